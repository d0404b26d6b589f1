#!/bin/sh
# Build .venv from the lock. Called by `make setup`; run again it does nothing while the lock is unchanged.
set -eu
cd "$(dirname "$0")/.."
want=$(cat requirements.txt pyproject.toml setup.py veilflow.pth tools/setup.sh tools/environment.sh | cksum)
stamp=.venv/.veilflow-stamp
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$want" ]; then exit 0; fi

echo "setup: making .venv (about 350 MB to load; once)"
sh tools/environment.sh .venv 3.11 requirements.txt
uv=$(sh tools/find_uv.sh)
if [ -n "$uv" ]; then
    "$uv" pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable .
else
    .venv/bin/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
fi
cp veilflow.pth "$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"  # a wheel holds it
# Bytecode of what a run imports, and of nothing else: half the space and time of compiling every package.
PYTHONDONTWRITEBYTECODE= .venv/bin/python -c "import veilflow.pipelines.party.preload, veilflow.pipelines.cli" >/dev/null 2>&1 || {
    echo "setup: the installed packages cannot be imported; .venv/bin/python -c 'import secretflow' says why." >&2
    exit 1
}
echo "$want" > "$stamp"
echo "setup: ready in .venv"
