#!/usr/bin/env bash
# Installs Azurite, an Azure store on loopback, once, and prints the path of its program for blobs. Needs
# Node 18 or later, which is installed where that can be done.
set -euo pipefail

version=3.37.0
folder=${XDG_CACHE_HOME:-$HOME/.cache}/tfarrow/azurite-$version
program=$folder/node_modules/azurite/dist/src/blob/main.js

if ! command -v npm >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  { apt-get update -qq && apt-get install -qq -y --no-install-recommends nodejs npm; } >&2
fi
mkdir -p "$folder"
if command -v flock >/dev/null; then
  # Two runs at once: the second waits for the first.
  exec 9<"$folder"
  flock 9
fi
if [ ! -f "$program" ]; then
  echo "setup_azurite.sh: installing azurite $version (about 365 MB)" >&2
  npm install --silent --no-audit --no-fund --prefix "$folder" "azurite@$version" >&2
fi
[ -f "$program" ]
printf '%s\n' "$program"
