#!/usr/bin/env bash
# Prints the folder with the Python packages of requirements.txt, which is filled once for each content of that file.
set -euo pipefail
cd "$(dirname "$0")/../.."

version=$(sha256sum tests/oracle/requirements.txt | cut -c 1-16)
folder=$PWD/target/tools/oracle-$version
if [ ! -d "$folder" ]; then
  python3 -m pip --version >/dev/null 2>&1 || {
    echo "error: the oracle needs python3 with pip" >&2
    exit 1
  }
  echo "installing the oracle's Python packages" >&2
  mkdir -p target/tools
  # A folder of its own and a rename at the end: two of these may run at once.
  install=$(mktemp -d "$PWD/target/tools/install.XXXXXX")
  trap 'rm -rf "$install"' EXIT
  python3 -m pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes --no-compile \
    --target "$install/packages" --requirement tests/oracle/requirements.txt >&2
  mv -T "$install/packages" "$folder" 2>/dev/null || [ -d "$folder" ]
fi
echo "$folder"
