#!/usr/bin/env bash
# Builds the module once more, from a copy of the sources in another folder and with nothing built before, and compares it with
# target/mdrm_authz.wasm byte for byte; and the crates that were compiled for it with those that the SBOM says are in it.
set -euo pipefail
cd "$(dirname "$0")/.."

module=$PWD/target/mdrm_authz.wasm
[ -f "$module" ] || { echo "error: $module is not there: make wasm" >&2; exit 1; }

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/a folder of another length"
cd "$folder/a folder of another length"
# What Cargo reads, which is more than what it compiles: it wants the files of all targets that are named.
cp -r "$OLDPWD"/{Cargo.toml,Cargo.lock,src,envoy} .
mkdir tests
find "$OLDPWD/tests" -mindepth 1 -maxdepth 1 -not -name fuzz -exec cp -r {} tests/ \;

env -u CARGO_TARGET_DIR envoy/build-wasm.sh >/dev/null
if ! cmp "$module" target/mdrm_authz.wasm; then
  echo "error: two builds of the same sources differ" >&2
  exit 1
fi

compiled=$(find target/wasm32-wasip1/wasm/deps -name '*.rlib' -printf '%f\n' | sed 's/^lib\(.*\)-[0-9a-f]*\.rlib$/\1/' | sort)
listed=$(python3 - "$OLDPWD/target/mdrm_authz.cdx.json" <<'PYTHON'
import json, sys

components = json.load(open(sys.argv[1]))["components"]
names = [of["name"] for of in components if of["scope"] == "required" and of["name"] != "rust-std"]
print("\n".join(sorted(name.replace("-", "_") for name in names)))
PYTHON
)
# Where the standard library was compiled as well, its own crates are among them; the SBOM has it as one.
if [ -n "$(comm -13 <(echo "$compiled") <(echo "$listed"))" ] || { ! grep -qx std <<<"$compiled" && [ "$compiled" != "$listed" ]; }; then
  echo "error: what was compiled is not what the SBOM lists" >&2
  diff <(echo "$compiled") <(echo "$listed") >&2
  exit 1
fi
echo "reproducible: $(sha256sum <"$module" | cut -d' ' -f1)  mdrm_authz.wasm"
