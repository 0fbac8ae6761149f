#!/usr/bin/env bash
# Builds the program and packs it for npm: FOLDER/postern-VERSION.tgz.
# usage: scripts/package.sh FOLDER [npm pack options …]
# Environment: SOURCE_URL, the repository; npm believes the provenance of a package only if that names it.
set -euo pipefail
out=$(mkdir -p "$1" && cd "$1" && pwd)
shift
cd "$(dirname "$0")/.."

npm run -s build >&2
if [ -n "${SOURCE_URL:-}" ]; then
  own=$(mktemp)
  cp package.json "$own"
  trap 'cp "$own" package.json && rm "$own"' EXIT
  npm pkg set repository.type=git "repository.url=git+$SOURCE_URL.git"
fi
npm pack --pack-destination "$out" "$@"
