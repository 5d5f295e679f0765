#!/usr/bin/env bash
# Runs fuzz targets one after the other and prints a table of what they did; fails if one has found something.
#
#   tests/fuzz/run.sh [TARGET…]     without names: all
#
#   FUZZ_SECONDS (60), FUZZ_RUNS (no limit): when a target is done
#   FUZZ_CORPUS (target/fuzz/corpus): inputs that were found to reach more; begins with the committed ones
#
# Needs cargo-fuzz and a nightly compiler. No sanitizer: natively this crate is free of unsafe code, and they would halve the speed.
set -euo pipefail
cd "$(dirname "$0")/../.."

corpus=${FUZZ_CORPUS:-target/fuzz/corpus}
artifacts=target/fuzz/artifacts
targets=("$@")
if [ $# = 0 ]; then
  mapfile -t targets < <(find tests/fuzz/targets -name '*.rs' -printf '%f\n' | sed 's/\.rs$//' | sort)
fi

# cargo-fuzz has no --locked: this fails where the lock file would have to change.
cargo +nightly metadata --locked --format-version 1 --manifest-path tests/fuzz/Cargo.toml >/dev/null
cargo +nightly fuzz build --fuzz-dir tests/fuzz --target-dir target/fuzz --sanitizer none
built=target/fuzz/$(rustc +nightly -vV | sed -n 's/^host: //p')/release

stat_of() { sed -n "s/^stat::$1: *//p" "$2"; }

failed=0
rows=("| target | executions | a second | edges covered | features | finds |" "| --- | --- | --- | --- | --- | --- |")
for target in "${targets[@]}"; do
  mkdir -p "$corpus/$target" "$artifacts/$target"
  inputs=("$corpus/$target")
  for committed in tests/fuzz/{seeds,corpus}/"$target"; do
    if [ -d "$committed" ]; then inputs+=("$committed"); fi
  done
  log=$artifacts/$target.log
  limits=("-max_total_time=${FUZZ_SECONDS:-60}" "-runs=${FUZZ_RUNS:--1}")
  finds=0
  # Inputs are text of a few kilobytes; longer ones repeat what shorter ones do.
  if ! "$built/$target" "${limits[@]}" -max_len=4096 -timeout=10 -print_final_stats=1 "-artifact_prefix=$artifacts/$target/" \
    "${inputs[@]}" >"$log" 2>&1; then
    finds=1
    failed=1
    tail -40 "$log" >&2
  fi
  reached=$(sed -n 's/^#[0-9]*.*cov: \([0-9]*\) ft: \([0-9]*\).*/\1 | \2/p' "$log" | tail -1)
  rows+=("| $target | $(stat_of number_of_executed_units "$log") | $(stat_of average_exec_per_sec "$log") | $reached | $finds |")
  printf '%s\n' "${rows[-1]}" >&2
done
printf '%s\n' "${rows[@]}"
exit "$failed"
