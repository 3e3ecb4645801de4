#!/usr/bin/env bash
# Runs targets of the fuzzer, each for some time; prints a line a target.
#
#   fuzz/run.sh SECONDS [TARGET...]
#
# Needs a nightly compiler and cargo-fuzz. Goes on with the inputs of the last run in fuzz/corpus/;
# what a target fails with is kept in fuzz/artifacts/.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
seconds=$1
shift
[ $# -gt 0 ] || set -- $(sed -n 's/^name = "\(.*\)"$/\1/p' Cargo.toml | tail -n +2)
cargo +nightly fuzz build --fuzz-dir . >/dev/null || exit 2
# Files in memory: most targets write what they read.
[ ! -d /dev/shm ] || export TMPDIR=/dev/shm
failed=0
for target in "$@"; do
  mkdir -p "corpus/$target" "artifacts/$target"
  dictionary=()
  [ ! -f "dictionaries/$target.dict" ] || dictionary=(-dict="dictionaries/$target.dict")
  log=$(mktemp)
  cargo +nightly fuzz run --fuzz-dir . "$target" "corpus/$target" "seeds/$target" -- \
    -max_total_time="$seconds" -rss_limit_mb=2048 -malloc_limit_mb=1024 -timeout=10 -max_len=8192 \
    -print_final_stats=1 "${dictionary[@]}" >"$log" 2>&1
  status=$?
  executions=$(sed -n 's/^stat::number_of_executed_units: //p' "$log")
  coverage=$(grep -o 'cov: [0-9]*' "$log" | tail -1)
  printf '%-14s %9s executions, %s, exit %d\n' "$target" "${executions:-?}" "${coverage:-no coverage}" "$status"
  [ $status = 0 ] || { failed=1; grep -m1 -A3 'panicked at\|ERROR: ' "$log"; ls "artifacts/$target"; }
  rm -f "$log"
done
exit $failed
