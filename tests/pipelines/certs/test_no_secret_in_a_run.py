"""A whole production run leaves its private keys in their files: not in arguments, environments, logs or ledgers."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from veilflow.pipelines.certs import folder as certs
from veilflow.pipelines.certs.keys import load_signing_key
from veilflow.pipelines.cluster.addresses import on_loopback

pytestmark = pytest.mark.cluster

PARTIES = ["hospital", "insurer"]
PIPELINE = """
version: 1
name: meeting
parties: [hospital, insurer]
nodes:
  patients: {uses: data/read_table, with: {party: hospital, path: "sample://breast_cancer/hospital", id: [person]}}
  meet: {uses: flow/barrier}
"""


def _forms(files: certs.PartyFiles) -> set[bytes]:
    """Every way in which a party's two private keys could be written down."""
    seed = load_signing_key(files.identity).private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    number = load_pem_private_key(files.key.read_bytes(), None).private_numbers().private_value
    scalar = number.to_bytes(32, "big")
    lines = [*files.identity.read_bytes().splitlines(), *files.key.read_bytes().splitlines()]
    base64 = {line for line in lines if line and not line.startswith(b"-----")}
    return {seed, scalar, seed.hex().encode(), scalar.hex().encode(), str(number).encode(), *base64}


def _cluster_file(folder: Path, party: str, files: dict[str, certs.PartyFiles], addresses: dict[str, str]) -> Path:
    rows = [f'  {name}: {{address: "{addresses[name]}", signing_key: "{files[name].pin}"}}' for name in PARTIES]
    own = files[party]
    tls = f"tls: {{ca: {own.ca}, certificate: {own.certificate}, key: {own.key}}}"
    path = folder / f"{party}.yaml"
    path.write_text("\n".join(["version: 1", "parties:", *rows, tls, f"identity: {own.identity}", ""]))
    return path


def _arguments_and_environments() -> bytes:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            try:
                found.append((process / name).read_bytes())
            except OSError:
                continue  # it has just ended, or is not ours to see
    return b"\n".join(found)


def test_private_keys_stay_in_their_files(tmp_path):
    files = certs.ephemeral(tmp_path / "certs", PARTIES)
    addresses = on_loopback(PARTIES, {}).base
    (tmp_path / "meeting.yaml").write_text(PIPELINE)
    runs = tmp_path / "runs"
    runs.mkdir()
    started = []
    for party in PARTIES:
        cluster = _cluster_file(tmp_path, party, files, addresses)
        command = [sys.executable, "-m", "veilflow.pipelines.cli", "run", str(tmp_path / "meeting.yaml")]
        words = ["--party", party, "--cluster", str(cluster), "--out", str(runs / party)]
        with (runs / f"{party}.txt").open("wb") as said:
            started.append(subprocess.Popen([*command, *words], stdout=said, stderr=subprocess.STDOUT))
    seen = b""
    deadline = time.monotonic() + 120
    while any(process.poll() is None for process in started) and time.monotonic() < deadline:
        seen += _arguments_and_environments()
        time.sleep(0.5)
    for process in started:
        process.kill()
        process.wait()
    said = {party: (runs / f"{party}.txt").read_text() for party in PARTIES}
    assert [process.returncode for process in started] == [0, 0], said
    assert json.loads((runs / "hospital" / "run.json").read_text())["status"] == "ok"
    forms = set().union(*(_forms(each) for each in files.values()))
    assert len(forms) >= 16
    assert str(tmp_path / "hospital.yaml").encode() in seen, "the run was never seen among the processes"
    assert not [form for form in forms if form in seen]
    written = [path for path in runs.rglob("*") if path.is_file()]
    assert any(path.name == "log.txt" for path in written)
    assert not [path for path in written for form in forms if form in path.read_bytes()]
