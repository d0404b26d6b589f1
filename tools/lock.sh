#!/bin/sh
# Write the locks. `make lock` keeps the versions that still fit; `make lock UPGRADE=1` takes the newest that do.
#   requirements.txt        CPython 3.11, current libraries (tools/lock/overrides.txt instead of SecretFlow's pins)
#   requirements-stock.txt  CPython 3.10, SecretFlow 1.14.0b0 as it comes
#   tools/lock/uv.txt, audit.txt   uv itself; the tools of `make sbom` and `make audit`
#   tools/lock/versions.tsv        every version of requirements.txt and the day it was published
set -eu
cd "$(dirname "$0")/.."
uv=$(sh tools/find_uv.sh)
[ -n "$uv" ] || { echo "lock: needs uv; install it and run make lock again." >&2; exit 1; }
upgrade=${UPGRADE:+--upgrade}
# Neither the index nor any other host gets into the files: whoever installs chooses where from.
compile() {
    "$uv" pip compile --quiet $upgrade --generate-hashes --no-emit-index-url --no-emit-find-links \
        --custom-compile-command "make lock" "$@" >/dev/null
}
compile pyproject.toml --extra dev --python-version 3.11 --prerelease=if-necessary-or-explicit \
    --override tools/lock/overrides.txt --output-file requirements.txt
compile pyproject.toml --extra dev --python-version 3.10 --prerelease=if-necessary-or-explicit \
    --constraint tools/lock/stock.txt --output-file requirements-stock.txt
compile tools/lock/uv.in --universal --output-file tools/lock/uv.txt
compile tools/lock/audit.in --python-version 3.11 --output-file tools/lock/audit.txt
# When each version was published; the file that says so also names hosts, so only this list is kept.
dated=$(mktemp -d)
trap 'rm -rf "$dated"' EXIT
"$uv" pip compile --quiet requirements.txt --no-deps --python-version 3.11 --format pylock.toml \
    --output-file "$dated/pylock.toml" >/dev/null
"$uv" run --quiet --no-project --python 3.11 tools/lock_dates.py "$dated/pylock.toml" >tools/lock/versions.tsv
"$uv" run --quiet --no-project --python 3.11 tools/lock_inputs.py --write
