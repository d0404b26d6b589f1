#!/bin/sh
# Our wheel beside SecretFlow 1.14.0b0 as it comes (CPython 3.10): the embedding tests, the decoder's, and one pipeline
# per way of learning. Called by `make test-stock`.
set -eu
cd "$(dirname "$0")/.."
root=$PWD stamp=.venv-stock/.veilflow-stamp
want=$(cat requirements-stock.txt tools/environment.sh | cksum)
if ! { [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$want" ]; }; then
    sh tools/environment.sh .venv-stock 3.10 requirements-stock.txt
    echo "$want" > "$stamp"
fi
python=$root/.venv-stock/bin/python
rm -rf build/wheel
sh tools/wheel.sh build/wheel
# Offline and with its dependencies: it installs only if SecretFlow's own packages are all that it asks for.
uv=$(sh tools/find_uv.sh)
if [ -n "$uv" ]; then
    "$uv" pip freeze --python "$python" | grep -v '^veilflow' > build/before.txt
    "$uv" pip install --quiet --offline --reinstall-package veilflow --python "$python" build/wheel/*.whl
    "$uv" pip freeze --python "$python" | grep -v '^veilflow' > build/after.txt
else
    "$python" -m pip freeze | grep -v '^veilflow' > build/before.txt
    "$python" -m pip install -qq --disable-pip-version-check --no-index --force-reinstall --no-deps build/wheel/*.whl
    "$python" -m pip check --disable-pip-version-check
    "$python" -m pip freeze | grep -v '^veilflow' > build/after.txt
fi
cmp build/before.txt build/after.txt || { echo "test-stock: the wheel changed SecretFlow's packages." >&2; exit 1; }
PATH=$root/.venv-stock/bin:$PATH
export PATH
pytest -c pyproject.toml tests/embedding tests/pipelines/party/wire/test_codec.py \
    tests/pipelines/party/wire/test_codec_under_attack.py tests/components/test_platforms.py
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
cd "$out"
for name in hospital_insurer anonymous_hospital_insurer three_banks; do
    veilflow run "$root/configs/pipelines/$name.yaml" --out "$out/$name"
done
