#!/bin/sh
# Build .venv from the lock. Called by `make setup`; run again it does nothing while the lock is unchanged.
set -eu
cd "$(dirname "$0")/.."
want=$(cat requirements.txt pyproject.toml tools/setup.sh | cksum)
stamp=.venv/.veilflow-stamp
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$want" ]; then exit 0; fi

python=$(sh tools/find_python310.sh)
if [ -n "$python" ]; then
    echo "setup: virtual environment with $("$python" --version)"
    "$python" -m venv --clear .venv
else
    # No Python 3.10 here: let uv, installed with whatever python3 there is, bring one.
    echo "setup: no Python 3.10 found; asking uv for one"
    rm -rf .bootstrap
    (cd / && python3 -m venv "$OLDPWD/.bootstrap")
    .bootstrap/bin/python -m pip install -qq uv || {
        echo "setup: cannot install uv. Install Python 3.10, or set VEILFLOW_PYTHON to one, and run make again." >&2
        exit 1
    }
    .bootstrap/bin/uv venv --quiet --clear --seed --python 3.10 .venv || {
        echo "setup: uv found no Python 3.10. Install it, or set VEILFLOW_PYTHON to one, and run make again." >&2
        exit 1
    }
fi
echo "setup: installing the locked packages (about 360 MB; once)"
.venv/bin/python -m pip install -qq --disable-pip-version-check --require-hashes --no-deps -r requirements.txt
.venv/bin/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
.venv/bin/python -m pip check --disable-pip-version-check >/dev/null || .venv/bin/python -m pip check || true
echo "$want" > "$stamp"
echo "setup: ready in .venv"
