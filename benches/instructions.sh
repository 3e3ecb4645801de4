#!/usr/bin/env bash
# Instructions that conversions and reports take, of two commits: a figure that a busy machine does not move.
#
#   benches/instructions.sh [BEFORE [AFTER]]      # default: HEAD~1 HEAD
#
# Needs valgrind. Each commit is built in a folder of its own, removed at the end; the inputs are
# small files in the repository, start-up included. INPUTS='FILE...' adds your own.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

before=${1:-HEAD~1} after=${2:-HEAD}
work=$(mktemp -d)
trap 'git worktree prune; rm -rf "$work"' EXIT

build() { # COMMIT NAME
  git worktree add --quiet --detach "$work/$2" "$1"
  CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/instructions \
    cargo build --quiet --profile dist --locked --manifest-path "$work/$2/Cargo.toml"
  cp "${CARGO_TARGET_DIR:-target}/instructions/dist/tfarrow" "$work/$2.bin"
  git worktree remove --force "$work/$2"
}
case ${CARGO_TARGET_DIR:-} in '' | /*) ;; *) CARGO_TARGET_DIR=$PWD/$CARGO_TARGET_DIR ;; esac
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
build "$before" before
build "$after" after

count() { # BINARY ARGUMENTS...
  local threads=(--threads 1)
  [ "$2" != verify ] || threads=() # one thread, always
  valgrind --tool=callgrind --callgrind-out-file=/dev/null "$@" "${threads[@]}" 2>&1 |
    awk '/Collected/ { print $NF }'
}

printf '| conversion | before | after | after / before |\n| --- | --- | --- | --- |\n'
measure() { # LABEL ARGUMENTS...
  local label=$1 a b
  shift
  a=$(count "$work/before.bin" "$@")
  rm -rf "$work"/out*
  b=$(count "$work/after.bin" "$@")
  rm -rf "$work"/out*
  awk -v l="$label" -v a="$a" -v b="$b" \
    'BEGIN { if (a > 0 && b > 0) printf "| %s | %d | %d | %.3f |\n", l, a, b, b / a; else printf "| %s | %s | %s | failed |\n", l, a, b }'
}
digits='examples/data/digits/digits.tfrecord-*'
measure "digits, memory" convert "$digits" --dry-run
measure "digits, one column" convert "$digits" --dry-run --columns label
measure "digits, IPC" convert "$digits" -o "$work/out.arrow"
measure "digits, Parquet" convert "$digits" -o "$work/out.parquet"
measure "digits, .npyd" convert "$digits" --columns pixels,label -o "$work/out.npyd"
measure "saved dataset, Snappy" convert tests/golden/saved/snappy_multi_block/data --dry-run
measure "saved dataset, ragged" convert tests/golden/saved/ragged_r2_batched/data --dry-run
measure "ArrayRecord" convert tests/golden/array_record/many_small.array_record --record raw --dry-run
measure "digits, report" report "$digits" --json
for input in ${INPUTS:-}; do
  measure "$input" convert "$input" --dry-run
  measure "$input, report" report "$input" --json
  measure "$input, verify" verify "$input"
done
