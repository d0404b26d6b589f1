#!/bin/sh
# environment.sh FOLDER VERSION LOCK: a virtual environment with exactly the packages of a lock.
# With uv where there is one or one can be installed (parallel downloads: a quarter of pip's time), else with pip.
set -eu
cd "$(dirname "$0")/.."
folder=$1 version=$2 lock=$3
python=$(sh tools/find_python.sh "$version")
uv=$(sh tools/find_uv.sh "${python:-python3}")
if [ -z "$python$uv" ]; then
    echo "setup: no Python $version here and no uv to bring one. Install Python $version, or set VEILFLOW_PYTHON to one, and run make again." >&2
    exit 1
fi
# Organisations' own authorities stand in the system's store, which pip reads by itself and uv when it is asked to.
export UV_SYSTEM_CERTS="${UV_SYSTEM_CERTS:-1}" UV_NATIVE_TLS="${UV_NATIVE_TLS:-1}"

with_uv() {
    rm -rf "$folder"
    "$uv" venv --quiet --python "${python:-$version}" "$folder" || return 1
    echo "setup: $("$folder/bin/python" --version), packages of $lock with uv"
    "$uv" pip install --quiet --python "$folder/bin/python" --require-hashes --no-deps -r "$lock"
}

with_pip() {
    rm -rf "$folder"
    "$python" -m venv --clear "$folder"
    echo "setup: $("$folder/bin/python" --version), packages of $lock with pip"
    "$folder/bin/python" -m pip install -qq --disable-pip-version-check --no-compile --require-hashes --no-deps -r "$lock"
}

if [ -n "$uv" ] && with_uv; then exit 0; fi
if [ -z "$python" ]; then
    echo "setup: uv found no Python $version. Install it, or set VEILFLOW_PYTHON to one, and run make again." >&2
    exit 1
fi
with_pip
