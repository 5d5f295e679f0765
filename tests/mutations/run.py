#!/usr/bin/env python3
"""Breaks the rules of mutants.toml one at a time; for each at least one test must fail.

    tests/mutations/run.py [NAME…]

All mutants are built at once, in a copy of the repository: the variable MUTANT says in which place the copy is broken. Without
it the copy is whole, and its tests must pass. Writes results.md if all mutants were run.
"""

import datetime
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / "tests/mutations"
COPY = ROOT / "target/mutants"

SWITCH = """
/// Whether this is the place that is broken.
pub(crate) fn mutated(name: &str) -> bool {
    std::env::var("MUTANT").is_ok_and(|mutant| mutant == name)
}
"""
#: The module reads the variable, too.
ENVIRONMENT = ('{"key_values": environment}', '{"key_values": environment, "host_env_keys": ["MUTANT"]}')


def copied():
    """The files of the repository, as they are. What has not changed keeps its time, for cargo."""
    files = subprocess.run(["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True, text=True)
    texts = {}
    for name in filter(None, files.stdout.split("\0")):
        if (ROOT / name).is_file():
            texts[name] = (ROOT / name).read_bytes()
    return texts


def replace(texts, file, old, new):
    text = texts[file].decode()
    if text.count(old) != 1:
        sys.exit(f"{file} has this {text.count(old)} times, not once: {old}")
    texts[file] = text.replace(old, new).encode()


def write(texts):
    for path in [path for path in COPY.rglob("*") if path.is_file() and "target" not in path.relative_to(COPY).parts[:1]]:
        if str(path.relative_to(COPY)) not in texts:
            path.unlink()
    for name, text in texts.items():
        path = COPY / name
        if not path.is_file() or path.read_bytes() != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text)
            shutil.copymode(ROOT / name, path)


def run(binary, filter_, mutant=None, **options):
    environment = {**os.environ, "CARGO_TARGET_DIR": str(COPY / "target"), "MDRM_WASM": str(COPY / "target/mdrm_authz.wasm")}
    if mutant:
        environment["MUTANT"] = mutant
    target = ["--lib"] if binary == "lib" else ["--test", binary]
    command = ["cargo", "test", "--quiet", "--locked", *target, "--", filter_]
    return subprocess.run(command, cwd=COPY, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)


def failed(output):
    """The names of the tests that failed."""
    _, _, names = output.rpartition("\nfailures:\n")
    return [line.strip() for line in names.splitlines() if line.startswith("    ")]


def main():
    mutants = tomllib.loads((FOLDER / "mutants.toml").read_text())["mutant"]
    texts = copied()
    for mutant in mutants:
        old = mutant["from"]
        replace(texts, mutant["file"], old, f'if crate::mutated("{mutant["name"]}") {{ {mutant["to"]} }} else {{ {old} }}')
    texts["src/lib.rs"] += SWITCH.encode()
    replace(texts, "tests/support/bootstrap.rs", *ENVIRONMENT)
    write(texts)

    chosen = [mutant for mutant in mutants if not sys.argv[1:] or mutant["name"] in sys.argv[1:]]
    if any(mutant["test"][0] == "e2e" for mutant in chosen):
        subprocess.run(["envoy/build-wasm.sh"], cwd=COPY, env={**os.environ, "CARGO_TARGET_DIR": str(COPY / "target")}, check=True)
    for binary, filter_ in sorted({tuple(mutant["test"]) for mutant in chosen}):
        whole = run(binary, filter_)
        if whole.returncode or " 0 passed" in whole.stdout:
            sys.exit(f"{binary} {filter_}: nothing is broken, and yet\n{whole.stdout}")

    rows, survivors = [], []
    for mutant in chosen:
        names = failed(run(*mutant["test"], mutant=mutant["name"]).stdout)
        print(mutant["name"], "is found by" if names else "SURVIVES", " ".join(names), flush=True)
        if not names:
            survivors.append(mutant["name"])
        found_by = f"`{names[0]}`" + (f" and {len(names) - 1} more" if len(names) > 1 else "") if names else "nothing"
        rows.append(f"| `{mutant['name']}` | {mutant['rule']} | `{mutant['file']}` | {found_by} |\n")
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} mutants were found")
    if len(chosen) == len(mutants):
        table = "".join(rows)
        (FOLDER / "results.md").write_text(f"""# Rules that were broken

Written by `make mutants` on {datetime.date.today()} ({os.cpu_count()} cores of {platform.machine()}): {len(chosen) - len(survivors)} of {len(chosen)} mutants were found.

| mutant | rule of the contract | in | found by |
| --- | --- | --- | --- |
{table}""")
    sys.exit(bool(survivors))


if __name__ == "__main__":
    main()
