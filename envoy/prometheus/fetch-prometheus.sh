#!/usr/bin/env bash
# Prints the absolute path of the folder with promtool and prometheus: where $PROMTOOL is, else where promtool on PATH is, else
# Debian's package, unpacked once to target/tools/ (nothing is installed, no service is started).
set -euo pipefail
cd "$(dirname "$0")/../.."

if [ -n "${PROMTOOL:-}" ]; then
  [ -x "$PROMTOOL" ] || { echo "error: PROMTOOL=$PROMTOOL is not an executable file" >&2; exit 1; }
  dirname "$(realpath "$PROMTOOL")"
  exit
fi
if promtool=$(command -v promtool); then
  dirname "$(realpath "$promtool")"
  exit
fi

folder=$PWD/target/tools/prometheus
if [ ! -x "$folder/promtool" ]; then
  if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
    echo "error: no promtool found. Set PROMTOOL to the path of one (it comes with Prometheus)." >&2
    exit 1
  fi
  echo "downloading Debian's package prometheus" >&2
  mkdir -p target/tools
  # A folder of its own and a rename at the end: two of these may run at once.
  download=$(mktemp -d "$PWD/target/tools/download.XXXXXX")
  trap 'rm -rf "$download"' EXIT
  get() { (cd "$download" && apt-get -qq download prometheus) >&2; }
  if ! get 2>/dev/null; then
    # The lists of packages are missing or old.
    as_root=()
    [ "$(id -u)" = 0 ] || as_root=(sudo)
    "${as_root[@]}" apt-get -qq -o DPkg::Lock::Timeout=120 update >&2
    get
  fi
  dpkg-deb --extract "$download"/prometheus_*.deb "$download/package"
  mv -T "$download/package/usr/bin" "$folder" 2>/dev/null || [ -x "$folder/promtool" ]
fi
echo "$folder"
