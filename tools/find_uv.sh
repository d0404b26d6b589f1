#!/bin/sh
# Print a uv: the one on the PATH, or one installed into .bootstrap from hashes. Nothing where neither can be had.
set -eu
cd "$(dirname "$0")/.."
if command -v uv >/dev/null 2>&1 && uv --version >/dev/null 2>&1; then command -v uv; exit 0; fi
own=.bootstrap/bin/uv
if ! { [ -x "$own" ] && cmp -s tools/lock/uv.txt .bootstrap/uv.txt; }; then
    rm -rf .bootstrap
    # From /: a `.python-version` here may name a Python that is not installed, and pyenv then refuses to start any.
    here=$PWD
    (cd / && "${1:-python3}" -m venv "$here/.bootstrap") >&2 || exit 0
    .bootstrap/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r tools/lock/uv.txt >&2 || exit 0
    cp tools/lock/uv.txt .bootstrap/uv.txt
fi
echo "$PWD/$own"
