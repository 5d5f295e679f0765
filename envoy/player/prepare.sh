#!/usr/bin/env bash
# Fetches and makes what the page of players needs: programs, the players, the film. With --tests also what drives a browser.
set -euo pipefail
cd "$(dirname "$0")/../.."

tests=''
if [ "${1:-}" = --tests ]; then tests=1; fi

# Debian's packages by the programs that they bring.
packages=()
need() { command -v "$1" >/dev/null || packages+=("$2"); }
need node nodejs
need npm npm
need ffmpeg ffmpeg
if [ -n "$tests" ]; then need "${CHROMIUM:-chromium}" chromium; fi
if [ "${#packages[@]}" -gt 0 ]; then
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "error: install ${packages[*]}, or the like of your system. MDRM_NO_BROWSER=1 leaves the browser out of make test." >&2
    exit 1
  fi
  echo "installing ${packages[*]}" >&2
  apt-get update -q >&2
  DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${packages[@]}" >&2
fi

# npm writes this file when it is done.
installed() { [ "$1/node_modules/.package-lock.json" -nt "$1/package-lock.json" ]; }
for folder in envoy/player ${tests:+tests/player}; do
  installed "$folder" || (cd "$folder" && npm ci --ignore-scripts --no-audit --no-fund >&2)
done

film=target/player/film
for source in envoy/player/content.mjs envoy/player/cenc.mjs; do
  if [ ! "$film" -nt "$source" ]; then
    node envoy/player/content.mjs "$PWD/$film"
    break
  fi
done
