"""The commands of docs/deployment.md run as they stand, on one machine: a folder for each, and `scp` copies."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from veilflow.pipelines.cluster.addresses import on_loopback
from veilflow.pipelines.cluster.config import load_cluster

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "deployment.md").read_text()
BLOCKS = re.findall(r"^```bash\n# at the (\w+)\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)
MACHINES = ["hospital", "insurer", "coordinator"]
_SCP = """#!/bin/sh -e
for last; do :; done
folder="$MACHINES/${last%%:*}/${last#*:}"
while [ $# -gt 1 ]; do cp "$1" "$folder"; shift; done
"""


@pytest.fixture
def machine(tmp_path):
    """Run a block at a machine, with this machine's addresses in place of the documented ones."""
    bins = tmp_path / "bin"
    bins.mkdir()
    (bins / "scp").write_text(_SCP)
    (bins / "scp").chmod(0o755)
    for name in MACHINES:
        (tmp_path / name).mkdir(mode=0o700)
    addresses = on_loopback(MACHINES, {"spu": MACHINES}).base
    path = f"{bins}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "MACHINES": str(tmp_path)}

    def run(name: str, block: str) -> str:
        for number, party in enumerate(MACHINES, start=1):
            block = block.replace(f"10.0.0.{number}:9100", addresses[party]).replace(f"10.0.0.{number}", "127.0.0.1")
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block],
            cwd=tmp_path / name, env=environment, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{name}: {block}\n{done.stdout}{done.stderr}"
        return done.stdout

    return run


def test_three_machines_get_ready_and_no_private_key_travels(machine, tmp_path):
    assert len(BLOCKS) >= 10
    for name, block in BLOCKS:
        machine(name, block)
    pins = []
    for name in MACHINES:
        cluster = load_cluster(tmp_path / name / "cluster.yaml")
        assert cluster.profile == "production"
        pins.append(cluster.pins())
    assert pins[0] == pins[1] == pins[2]
    for name in MACHINES:
        private = {file.name for file in (tmp_path / name / "certs").iterdir() if b"PRIVATE KEY" in file.read_bytes()}
        assert private == {f"{name}.key", f"{name}.signing.pem"}


def test_every_bash_block_names_its_machine():
    assert len(re.findall(r"^```bash", TEXT, flags=re.MULTILINE)) == len(BLOCKS)
    assert {name for name, _ in BLOCKS} == set(MACHINES)


def test_renewing_keeps_the_identity_as_it_says(machine, tmp_path):
    for name, block in BLOCKS[:5]:
        machine(name, block)
    before = (tmp_path / "hospital/certs/hospital.signing.pub").read_text()
    machine("hospital", "veilflow certs request --party hospital --force\nscp certs/hospital.csr coordinator:inbox/")
    machine(
        "coordinator", "veilflow certs issue --folder authority --party hospital --request inbox/hospital.csr --force"
    )
    assert (tmp_path / "hospital/certs/hospital.signing.pub").read_text() == before
