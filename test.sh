#!/usr/bin/env bash
# Sets up what the tests need and runs every test.
#
#   ./test.sh
#
# Needs Rust and CPython 3.11 to 3.13. The first run makes a Python environment with TensorFlow,
# pandas, polars, pyarrow and DuckDB (tests/python/setup_venv.sh); later runs find it. To use your
# own, set TFARROW_TEST_PYTHON to its interpreter. Likewise for two readers of older versions, Spark
# among them, which needs Java (tests/python/readers); TFARROW_TEST_READERS="" leaves them out. And for the
# servers of object stores: set TFARROW_TEST_MOTO to an interpreter that has moto, TFARROW_TEST_AZURITE to the
# blob.js of an Azurite (which needs Node).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

section() { printf '\n== %s\n' "$*"; }

if [ "${CI:-}" = true ] && [ -z "${CARGO_TARGET_DIR:-}" ]; then
  export CARGO_TARGET_DIR=${XDG_CACHE_HOME:-$HOME/.cache}/tfarrow/target
fi

section "Python environment"
: "${TFARROW_TEST_PYTHON:=$(tests/python/setup_venv.sh)}"
export TFARROW_TEST_PYTHON
export TFARROW_REQUIRE_PYTHON=1 # a test that needs Python fails without it, rather than being skipped
export TF_CPP_MIN_LOG_LEVEL=3 CUDA_VISIBLE_DEVICES=
echo "$TFARROW_TEST_PYTHON"

section "Readers of older versions"
export TFARROW_TEST_READERS=${TFARROW_TEST_READERS-spark-3.5 duckdb-1.1}
for reader in $TFARROW_TEST_READERS; do tests/python/setup_venv.sh "$reader"; done

section "Object stores on loopback, for tests/cloud"
: "${TFARROW_TEST_MOTO:=$(tests/python/setup_venv.sh moto)}"
export TFARROW_TEST_MOTO
echo "$TFARROW_TEST_MOTO"
: "${TFARROW_TEST_AZURITE:=$(tests/setup_azurite.sh)}"
export TFARROW_TEST_AZURITE
echo "$TFARROW_TEST_AZURITE"

section "A browser for the pages of reports"
if ! command -v chromium >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  apt-get install -y -qq chromium >/dev/null || true
fi
if command -v chromium >/dev/null; then
  export TFARROW_REQUIRE_CHROMIUM=1
  chromium --version
else
  echo "there is no chromium: pages are made and not looked at"
fi

section "Library, program, integration tests, examples and documentation tests"
cargo test --locked --no-fail-fast

section "Object stores and web servers"
cargo test --locked -p tfarrow-store -p tfarrow-cloud
cargo test --locked --features cloud --lib -- input
cargo test --locked --features cloud --test cloud

section "Live pipelines, in the libtensorflow of that environment"
cargo test --locked --features tensorflow --lib -- live graph_def
cargo test --locked --features tensorflow --test library -- live

section "The Python package"
if ! /usr/bin/python3 -c 'import torch' 2>/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  # For the loaders of torch: its own wheels are made for GPUs, and large.
  apt-get update -qq && apt-get install -qq -y --no-install-recommends python3-torch >/dev/null
fi
tests/python/test_package.sh

section "Ray, Spark, Dask and Daft"
if ! command -v java >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  apt-get install -y -qq --no-install-recommends openjdk-17-jre-headless >/dev/null || true
fi
tests/python/test_engines.sh

section "The library without default features"
cargo test --locked --no-default-features --lib --test layering

section "All tests passed"
