#!/usr/bin/env python3
"""Writes target/mdrm_authz.cdx.json: what the module is made of, as a CycloneDX 1.5 document.

Components are the crates that `cargo tree --target wasm32-wasip1 --edges normal` lists, with the checksums of Cargo.lock, and
Rust's standard library. A crate that only runs in the compiler (a procedural macro, and what only those need) has the scope
`excluded`: nothing of it is in the module. The same sources give the same document: it holds neither a time nor a path.
"""

import hashlib
import json
import pathlib
import subprocess
import sys
import tomllib

TARGET = "wasm32-wasip1"

top = pathlib.Path(__file__).resolve().parent.parent
module = top / "target/mdrm_authz.wasm"
tools = top / "target/mdrm_authz.tools"


def output(*command):
    return subprocess.run(command, cwd=top, check=True, stdout=subprocess.PIPE, text=True).stdout


def tree(edges):
    """What `cargo tree` says: the edges from crate to crate, crates as (name, version), the root first; and what is known of them.

    `cargo metadata` would not do: it adds the features that other targets and the tests ask for, and the crates that they bring.
    """
    lines = output(
        "cargo", "tree", "--locked", "--target", TARGET, "--edges", edges, "--prefix", "depth", "--no-dedupe",
        "--format", "\t{p}\t{l}\t{r}",
    )
    edges, about, way = {}, {}, []
    for line in lines.splitlines():
        depth, package, licence, repository = line.split("\t")
        name, version = package.split(" ")[:2]
        crate = (name, version.removeprefix("v"))
        about[crate] = (licence, repository)
        edges.setdefault(crate, set())
        way[int(depth):] = [crate]
        if len(way) > 1:
            edges[way[-2]].add(crate)
    return edges, about


def reference(crate):
    return "pkg:cargo/{}@{}".format(*crate)


def component(crate, licence, repository, checksum, scope):
    described = {
        "type": "library",
        "bom-ref": reference(crate),
        "name": crate[0],
        "version": crate[1],
        "scope": scope,
        "purl": reference(crate),
        # Some crates still separate licences with a slash, which is not SPDX's grammar.
        "licenses": [{"expression": licence.replace("/", " OR ")}],
        "hashes": [{"alg": "SHA-256", "content": checksum}],
    }
    if repository:
        described["externalReferences"] = [{"type": "vcs", "url": repository}]
    return described


def main():
    for path in [module, tools]:
        if not path.exists():
            sys.exit(f"error: {path} is not there: make wasm")
    rustc, *optimiser = tools.read_text().splitlines()
    edges, about = tree("normal")
    linked = tree("normal,no-proc-macro")[0]
    root, *crates = edges
    locked = tomllib.loads((top / "Cargo.lock").read_text())["package"]
    checksums = {(package["name"], package["version"]): package.get("checksum") for package in locked}
    own = tomllib.loads((top / "Cargo.toml").read_text())["package"]
    standard = {
        "type": "library",
        "bom-ref": "rust-std",
        "name": "rust-std",
        "version": rustc.split()[1],
        "scope": "required",
        "licenses": [{"expression": "MIT OR Apache-2.0"}],
        "externalReferences": [{"type": "vcs", "url": "https://github.com/rust-lang/rust"}],
    }
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": reference(root),
                "name": "mdrm_authz.wasm",
                "version": own["version"],
                "description": own["description"],
                "licenses": [{"expression": own["license"]}],
                "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(module.read_bytes()).hexdigest()}],
            },
            "properties": [{"name": "cdx:rustc:sbom:target:triple", "value": TARGET}]
            + [{"name": "mdrm-authz:wasm-opt", "value": version} for version in optimiser],
        },
        "components": [
            component(crate, *about[crate], checksums[crate], "required" if crate in linked else "excluded")
            for crate in sorted(crates)
        ]
        + [standard],
        "dependencies": [
            {
                "ref": reference(crate),
                "dependsOn": sorted(map(reference, edges[crate])) + ([standard["bom-ref"]] if crate == root else []),
            }
            for crate in [root, *sorted(crates)]
        ],
    }
    written = top / "target/mdrm_authz.cdx.json"
    written.write_text(json.dumps(document, indent=1) + "\n")
    print(f"{written.relative_to(top)}: {len(linked) - 1} crates, {len(edges) - len(linked)} more in the compiler alone")


main()
