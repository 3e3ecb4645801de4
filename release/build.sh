#!/usr/bin/env bash
# Builds what a release is made of, tries it in clean environments, and puts it into a folder:
#
#   release/build.sh [FOLDER]        # target/release-files
#
# - tfarrow-VERSION-x86_64-linux.tar.gz: the program with object stores in it, for glibc 2.17 and later, with completions
#   for shells and man pages, all from the program's own table of options;
# - tfarrow-VERSION-cp311-abi3-manylinux2014_x86_64.….whl: the Python package, which brings the program too;
# - tfarrow-VERSION.cdx.json: what both are made of (CycloneDX); the wheel has its own as well;
# - SHA256SUMS.
#
# Needs Rust, CPython 3.11 or later, and the package registries: zig, which links for the old glibc, cargo-zigbuild,
# maturin and cargo-cyclonedx come from there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

files=${1:-target/release-files}
target=$(uname -m)-unknown-linux-gnu
oldest_glibc=2.17
tools=${CARGO_TARGET_DIR:-$PWD/target}/release-tools
version=$(cargo metadata --no-deps --format-version 1 | python3 -c 'import json, sys
print(next(package["version"] for package in json.load(sys.stdin)["packages"] if package["name"] == "tfarrow"))')
name=tfarrow-$version-$(uname -m)-linux

section() { printf '\n== %s\n' "$*"; }
fail() {
  printf 'release: %s\n' "$*" >&2
  exit 1
}

section "Tools"
[ -x "$tools/bin/maturin" ] || python3 -m venv "$tools"
"$tools/bin/pip" install --quiet --disable-pip-version-check ziglang==0.15.2 cargo-zigbuild==0.24.1 'maturin>=1.9,<2'
[ -x "$tools/bin/cargo-cyclonedx" ] || cargo install --quiet --locked --root "$tools" cargo-cyclonedx@0.5.7
export PATH=$tools/bin:$PATH
rm -rf "$files"
mkdir -p "$files"
files=$(cd "$files" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

section "The program"
cargo zigbuild --locked --profile dist --features cloud --target "$target.$oldest_glibc" --bin tfarrow
program=${CARGO_TARGET_DIR:-target}/$target/dist/tfarrow
needed=$(objdump -T "$program" | grep -o 'GLIBC_[0-9.]*' | sort -Vu | tail -1)
[ "$(printf '%s\n' "GLIBC_$oldest_glibc" "$needed" | sort -V | tail -1)" = "GLIBC_$oldest_glibc" ] ||
  fail "the program needs $needed"

section "What goes with it"
mkdir -p "$work/$name/completions" "$work/$name/man"
cp "$program" README.md CHANGELOG.md LICENSE "$work/$name/"
for shell in bash zsh fish powershell elvish; do
  "$program" completions "$shell" >"$work/$name/completions/tfarrow.$shell"
done
"$program" man >"$work/$name/man/tfarrow.1"
for command in convert schema head count verify report plan task commit; do
  "$program" man "$command" >"$work/$name/man/tfarrow-$command.1"
done
tar --create --gzip --file "$files/$name.tar.gz" --directory "$work" --owner 0 --group 0 "$name"

section "The wheel"
maturin build --locked --zig --compatibility manylinux2014 --profile dist --manifest-path python/Cargo.toml --out "$files"

section "What they are made of"
cargo cyclonedx --quiet --format json --features cloud --override-filename "tfarrow-$version.cdx"
find . -name "tfarrow-$version.cdx.json" -not -path './target/*' -not -path './tfarrow-*' -delete
# Where it was built is nobody's business.
sed "s|path+file://$PWD|path+file:///tfarrow|g" "tfarrow-$version.cdx.json" >"$files/tfarrow-$version.cdx.json"
rm "tfarrow-$version.cdx.json"

section "In clean environments"
digits=$PWD/'examples/data/digits/digits.tfrecord-*-of-*'
tar --extract --file "$files/$name.tar.gz" --directory "$work"
(
  cd "$work"
  env --ignore-environment "$work/$name/tfarrow" convert "$digits" -o digits.parquet --progress never
  [ "$(env --ignore-environment "$work/$name/tfarrow" count digits.parquet 2>/dev/null)" = 1797 ]
  python3 -m venv empty
  empty/bin/pip install --quiet --no-index --disable-pip-version-check "$files"/tfarrow-*.whl
  [ "$(env --ignore-environment empty/bin/tfarrow count digits.parquet 2>/dev/null)" = 1797 ]
  env --ignore-environment empty/bin/python -c 'import sys, tfarrow
assert sum(batch.num_rows for batch in tfarrow.open(sys.argv[1])) == 1797' "$digits"
)

section "Checksums"
(cd "$files" && sha256sum -- * | tee SHA256SUMS)
