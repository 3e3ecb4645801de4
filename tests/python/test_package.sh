#!/usr/bin/env bash
# Builds the Python package as a wheel, looks at it in an empty environment, and runs its tests.
#
#   tests/python/test_package.sh [PYTEST ARGUMENTS]
#
# Needs TFARROW_TEST_PYTHON, as ./test.sh sets it. TFARROW_TORCH_PYTHON is an interpreter with torch and
# NumPy, where that one has none; Debian's own, with python3-torch, is found.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

python=${TFARROW_TEST_PYTHON:?run ./test.sh, or set it to an interpreter with tests/python/requirements.txt}
target=${CARGO_TARGET_DIR:-$PWD/target}
work=$target/python
rm -rf "$work"
mkdir -p "$work"

echo "-- the wheel"
# As the other tests are built, so that what they built is used; a release is built without --profile.
"$(dirname "$python")/maturin" build --quiet --locked --profile dev --manifest-path python/Cargo.toml --out "$work/wheel"
wheel=$(echo "$work"/wheel/tfarrow-*-cp311-abi3-*.whl)
"$python" -m pip install --quiet --no-deps --disable-pip-version-check --target "$work/package" "$wheel"

echo "-- in an environment with nothing else"
"$python" -m venv "$work/empty"
"$work/empty/bin/pip" install --quiet --no-index --disable-pip-version-check "$wheel"
(
  cd "$work"
  digits="$OLDPWD/examples/data/digits/digits.tfrecord-*-of-*"
  "$work/empty/bin/python" - "$digits" <<'END'
import sys, tfarrow
ds = tfarrow.open(sys.argv[1])
assert ds.count() == 1797 and sum(batch.num_rows for batch in ds) == 1797
try:
    ds.to_pandas()
except ImportError as error:
    assert "pip install pandas" in str(error)
else:
    raise SystemExit("pandas is here?")
END
)

"$work/empty/bin/tfarrow" convert 'examples/data/digits/digits.tfrecord-*-of-*' -o "$work/digits.parquet" --progress never
[ "$("$work/empty/bin/python" -m tfarrow count "$work/digits.parquet" 2>/dev/null)" = 1797 ]
status=0
"$work/empty/bin/tfarrow" count /nowhere 2>/dev/null || status=$?
[ "$status" = 2 ]

echo "-- its tests"
export PYTHONPATH=$work/package
if [ -z "${TFARROW_TORCH_PYTHON:-}" ]; then
  for candidate in "$python" /usr/bin/python3; do
    if "$candidate" -c 'import torch, numpy' 2>/dev/null; then TFARROW_TORCH_PYTHON=$candidate; fi
  done
fi
export TFARROW_TORCH_PYTHON=${TFARROW_TORCH_PYTHON:-}
"$python" -m pytest -q -p no:cacheprovider python/tests "$@"
"$python" -m mypy --strict --python-version 3.11 --ignore-missing-imports --cache-dir="$work/mypy" python/tfarrow

echo "-- in an environment with Hugging Face's datasets"
"$(tests/python/setup_venv.sh huggingface)" tests/python/check_huggingface.py 'examples/data/digits/digits.tfrecord-*-of-*'
