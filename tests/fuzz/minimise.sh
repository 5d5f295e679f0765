#!/usr/bin/env bash
# Puts into tests/fuzz/corpus what the last runs have found: for each target the fewest inputs that reach, together with the seeds,
# every edge that all short inputs reach.
#
#   tests/fuzz/minimise.sh [TARGET…]     after tests/fuzz/run.sh
set -euo pipefail
cd "$(dirname "$0")/../.."

found=${FUZZ_CORPUS:-target/fuzz/corpus}
built=target/fuzz/$(rustc +nightly -vV | sed -n 's/^host: //p')/release
targets=("$@")
if [ $# = 0 ]; then
  mapfile -t targets < <(ls "$found")
fi

for target in "${targets[@]}"; do
  committed=tests/fuzz/corpus/$target
  chosen=$(mktemp -d)
  cp tests/fuzz/seeds/"$target"/* "$chosen"
  mkdir -p "$committed"
  # A repository is no place for thousands of files: longer ones reach little that short ones do not.
  short=$(mktemp -d)
  find "$committed" "$found/$target" -type f -size "-${MAX_BYTES:-256}c" -exec cp {} "$short" \;
  # Without counters it is edges that count, not how often one was passed.
  "$built/$target" -set_cover_merge=1 -use_counters=0 -max_len=2048 "$chosen" "$short" 2>&1 |
    sed -n "s/^MERGE-OUTER: \([0-9]* new files.*\)/$target: \1/p"
  rm -rf "$committed"
  mkdir "$committed"
  find "$chosen" -type f -name '????????????????????????????????????????' -exec cp {} "$committed" \;
  rm -rf "$chosen" "$short"
done
du --bytes --total --max-depth=0 tests/fuzz/corpus/* tests/fuzz/seeds/*
