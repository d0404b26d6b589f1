"""`veilflow certs` as people use it; and no secret in what it prints or in any process's arguments."""

import re
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from click.testing import CliRunner

from veilflow.pipelines.certs import folder as certs
from veilflow.pipelines.certs.authority import certificate_pem, new_authority
from veilflow.pipelines.cli.program import program
from veilflow.pipelines.cluster.config import load_cluster

PARTIES = {"hospital": "10.0.0.1:9100", "insurer": "insurer.example:9200", "coordinator": "10.0.0.3:9300"}


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(*args: str, code: int = 0) -> str:
        done = CliRunner().invoke(program, ["certs", *map(str, args)])
        assert done.exit_code == code, done.output
        return done.output

    return call


def _make_all(run) -> str:
    said = run("init")
    for party, address in PARTIES.items():
        said += run("request", "--party", party, "--address", address)
        said += run("issue", "--party", party, "--request", f"certs/{party}.csr")
    return said


def _secrets(folder: Path) -> set[str]:
    """Every line of base64 inside every private key below ``folder``."""
    found = set()
    for file in folder.rglob("*"):
        if file.is_file() and b"PRIVATE KEY" in file.read_bytes():
            found |= {line for line in file.read_text().splitlines() if not line.startswith("-----")}
    return found


def test_three_machines_from_nothing_to_a_cluster_file(run, tmp_path):
    _make_all(run)
    entries = [word for party, address in PARTIES.items() for word in ("--party", f"{party}={address}")]
    assert "is ready for" in run("cluster", *entries, "--me", "insurer", "--data", tmp_path / "tables")
    cluster = load_cluster(tmp_path / "cluster.yaml")
    assert cluster.profile == "production"
    assert cluster.parties["insurer"].base == ("insurer.example", 9200)
    assert cluster.parties["insurer"].data == tmp_path / "tables"
    assert cluster.parties["hospital"].data is None
    assert cluster.identity == tmp_path / "certs" / "insurer.signing.pem"
    assert cluster.pins()["hospital"] == (tmp_path / "certs" / "hospital.signing.pub").read_text().strip()


def test_a_missing_pin_is_asked_for(run, tmp_path):
    _make_all(run)
    (tmp_path / "certs" / "insurer.signing.pub").unlink()
    said = run("cluster", "--party", "hospital=a:1", "--party", "insurer=b:1", "--me", "hospital", code=2)
    assert "no public signing key in certs/insurer.signing.pub: ask that party" in said
    assert not (tmp_path / "cluster.yaml").exists()


def test_nothing_private_is_printed(run, tmp_path):
    said = _make_all(run)
    public = [file for file in (tmp_path / "certs").iterdir() if file.suffix in (".pem", ".csr", ".pub")]
    said += run("show", *[file for file in public if ".signing.pem" not in file.name])
    secrets = _secrets(tmp_path / "certs")
    assert len(secrets) >= 7
    assert not [secret for secret in secrets if secret in said]


def test_a_private_key_is_not_shown(run):
    run("init")
    said = run("show", "certs/ca.key", code=2)
    assert "holds a private key, which is shown to nobody" in said


def test_both_sides_see_the_same_key_to_compare(run):
    run("init")
    asked = run("request", "--party", "hospital")
    signed = run("issue", "--party", "hospital", "--request", "certs/hospital.csr")
    (one,), (other,) = (re.findall(r"key {10}((?:[0-9a-f]{4} ?){16})", text) for text in (asked, signed))
    assert one.strip() == other.strip()


def test_show_warns_of_certificates_that_are_or_soon_will_be_useless(run, tmp_path):
    now = datetime.now(timezone.utc)
    cases = {
        "good": (new_authority("x", 60), ""),
        "soon": (new_authority("x", 20), "expires in 19 day"),
        "expired": (new_authority("x", 5, now - timedelta(days=9)), "expired on"),
        "future": (new_authority("x", 5, now + timedelta(days=9)), "not valid before"),
    }
    for name, (authority, warning) in cases.items():
        (tmp_path / name).write_bytes(certificate_pem(authority.certificate))
        said = run("show", name, code=1 if warning else 0)
        assert (f"WARNING      {warning}" in said) if warning else ("WARNING" not in said)


def test_mistakes_end_with_2_and_say_what_to_do(run):
    assert "run `veilflow certs init` first" in run("issue", "--party", "a", code=2)
    run("init")
    assert "already there. Keep them, choose another --folder, or replace them with --force." in run("init", code=2)
    assert "names no party" in run("issue", "--party", "../a", code=2)
    Path("x.csr").write_text("nonsense")
    assert "no PEM certificate request" in run("issue", "--party", "a", "--request", "x.csr", code=2)
    assert "Missing option '--party'" in run("issue", code=2)
    assert "expected NAME=HOST:PORT" in run("cluster", "--party", "hospital", "--me", "hospital", code=2)


def test_no_argument_of_any_process_holds_a_secret(tmp_path):
    """While the command makes keys, and after it, no process on this machine shows one in its arguments."""
    command = [sys.executable, "-m", "veilflow.pipelines.cli", "certs"]
    seen: set[str] = set()
    for words in (["init"], ["issue", "--party", "hospital"], ["request", "--party", "insurer"]):
        process = subprocess.Popen([*command, *words], cwd=tmp_path, stdout=subprocess.DEVNULL)
        while process.poll() is None:
            seen |= _arguments()
        assert process.returncode == 0
    seen |= _arguments()
    secrets = _secrets(tmp_path)
    assert len(secrets) >= 5
    assert any("veilflow.pipelines.cli" in line for line in seen), "the command itself was never seen"
    assert not [line for line in seen for secret in secrets if secret in line]


def _arguments() -> set[str]:
    found = set()
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.add(file.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue  # it has just ended
    return found


def test_simulations_need_no_command(tmp_path):
    assert set(certs.ephemeral(tmp_path, PARTIES)) == set(PARTIES)
