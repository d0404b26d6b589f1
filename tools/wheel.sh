#!/bin/sh
# wheel.sh FOLDER: build our wheel there, without network: the build needs setuptools and wheel only, which .venv has.
set -eu
cd "$(dirname "$0")/.."
uv=$(sh tools/find_uv.sh)
if [ -n "$uv" ]; then
    "$uv" build --quiet --offline --wheel --no-build-isolation --python .venv/bin/python --out-dir "$1"
else
    .venv/bin/python -m pip wheel -qq --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir "$1" .
fi
