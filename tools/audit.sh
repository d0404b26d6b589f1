#!/bin/sh
# audit.sh sbom: dist/sbom.cdx.json, a CycloneDX bill of materials of the lock.
# audit.sh advisories: what is known against the lock's versions. Where that data cannot be had, the versions by age.
set -eu
cd "$(dirname "$0")/.."
stamp=.venv-audit/.veilflow-stamp
want=$(cat tools/lock/audit.txt | cksum)
if ! { [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$want" ]; }; then
    sh tools/environment.sh .venv-audit 3.11 tools/lock/audit.txt
    echo "$want" > "$stamp"
fi
case $1 in
sbom)
    mkdir -p dist
    .venv-audit/bin/cyclonedx-py environment --output-reproducible --pyproject pyproject.toml \
        --output-file dist/sbom.cdx.json .venv/bin/python
    echo "audit: dist/sbom.cdx.json"
    ;;
advisories)
    status=0
    mkdir -p build
    .venv-audit/bin/pip-audit --require-hashes --disable-pip --progress-spinner off -r requirements.txt \
        > build/advisories.txt 2>&1 || status=$?
    # A package whose advisories cannot be looked up counts as "no known vulnerabilities": that is no answer.
    unknown=$(grep -c 'could not be audited' build/advisories.txt || true)
    if [ "$unknown" -gt 0 ] || [ "$status" -gt 1 ]; then
        echo "audit: no advisory data for $unknown of $(wc -l < tools/lock/versions.tsv) packages; all versions, oldest first:"
        sort -t "$(printf '\t')" -k 3 tools/lock/versions.tsv
        exit 0
    fi
    cat build/advisories.txt
    exit "$status"
    ;;
esac
