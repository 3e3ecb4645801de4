#!/usr/bin/env bash
# Runs the tests of the Python package on Ray and on Spark, which are started here, and the recipes of
# docs/clusters.md for Dask and Daft.
#
#   tests/python/test_engines.sh [PYTEST ARGUMENTS]
#
# Needs the wheel that test_package.sh has built, and Java 17 or later for Spark: without it, Spark is left
# out, unless TFARROW_REQUIRE_JAVA is set. TFARROW_TEST_ENGINES is an interpreter with
# environments/engines.txt, made if it is not set (1.3 GB, a few minutes), and so is one with
# environments/recipes.txt (0.6 GB).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

: "${TFARROW_TEST_ENGINES:=$(tests/python/setup_venv.sh engines)}"
package=${CARGO_TARGET_DIR:-$PWD/target}/python/package
[ -d "$package" ] || { echo "run tests/python/test_package.sh first" >&2; exit 1; }
# Workers are processes of their own, and find it by this.
export PYTHONPATH=$package RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO=0 RAY_USAGE_STATS_ENABLED=0
tests=(tests/python/engines/test_ray.py)
if command -v java >/dev/null; then
  tests+=(tests/python/engines/test_spark.py)
elif [ -n "${TFARROW_REQUIRE_JAVA:-}" ]; then
  echo "there is no java, which Spark needs" >&2
  exit 1
else
  echo "there is no java: Spark is left out"
fi
"$TFARROW_TEST_ENGINES" -m pytest -q -p no:cacheprovider "${tests[@]}" "$@"

echo "-- in an environment with Dask and Daft"
"$(tests/python/setup_venv.sh recipes)" -m pytest -q -p no:cacheprovider tests/python/engines/test_recipes.py
