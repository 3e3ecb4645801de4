#!/usr/bin/env bash
# Makes the Python environment of the tests, once, and prints the path of its interpreter.
#
#   tests/python/setup_venv.sh            # .venv in the repository, or the shared cache if it is there
#   tests/python/setup_venv.sh duckdb-1.1 # one of readers/ or environments/, always in the shared cache
#   TFARROW_VENV=DIR tests/python/setup_venv.sh
#   PYTHON=python3.12 tests/python/setup_venv.sh
#
# With CI=true the environment goes to a cache outside the clone, named after the requirements, so
# that the next clone finds it. A finished environment is not touched again until
# requirements.txt changes.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
reader=${1:-} # its name
requirements=$here/requirements.txt
for folder in readers environments; do
  [ ! -f "$here/$folder/$reader.txt" ] || requirements=$here/$folder/$reader.txt
done
say() { printf '%s\n' "$*" >&2; }

checksum() { if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -c 1-16; }
hash=$(checksum <"$requirements")
cached=${XDG_CACHE_HOME:-$HOME/.cache}/tfarrow/${reader:-venv}-$hash

if [ -n "$reader" ]; then
  venv=$cached
elif [ -n "${TFARROW_VENV:-}" ]; then
  venv=$TFARROW_VENV
elif [ "${CI:-}" = true ] || [ -f "$cached/.complete" ]; then
  venv=$cached
else
  venv=$root/.venv
fi
stamp=$venv/.complete

is_complete() { [ "$(cat "$stamp" 2>/dev/null)" = "$hash" ] && [ -x "$venv/bin/python" ]; }

find_python() {
  for candidate in ${PYTHON:-python3.11 python3.12 python3.13 python3}; do
    if "$candidate" -c 'import sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
      command -v "$candidate"
      return
    fi
  done
  say "setup_venv.sh: needs CPython 3.11, 3.12 or 3.13 (TensorFlow has no wheels for others); set PYTHON"
  return 1
}

# An environment is bound to its path, so it is built where it will stay. A half-made one has no
# stamp and is made again.
build() {
  python=$(find_python)
  say "setup_venv.sh: making $venv with $("$python" --version) (a few minutes, up to 2 GB)"
  rm -rf "$venv"
  mkdir -p "$(dirname "$venv")"
  "$python" -m venv "$venv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    --no-deps --requirement "$requirements" >&2
  "$venv/bin/python" -m pip check >&2
  printf '%s' "$hash" >"$stamp"
}

if ! is_complete; then
  mkdir -p "$(dirname "$venv")"
  # Two runs at once: the second waits for the first.
  if command -v flock >/dev/null; then
    exec 9<"$(dirname "$venv")"
    flock 9
  fi
  if ! is_complete; then build; fi
fi
printf '%s\n' "$venv/bin/python"
