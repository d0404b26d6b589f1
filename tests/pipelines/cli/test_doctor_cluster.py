"""`veilflow doctor --cluster FILE --party NAME`: one party's machine against its cluster file."""

import os
import re
import socket
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from click.testing import CliRunner

from veilflow.pipelines.certs import folder as certs
from veilflow.pipelines.cli.program import program
from veilflow.pipelines.cluster.addresses import on_loopback

PARTIES = ["hospital", "insurer"]


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A good production file on loopback, and `doctor` on it."""
    for name in ("XLA_FLAGS", "SSLKEYLOGFILE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "tables").mkdir()

    class Machine:
        addresses = on_loopback(PARTIES, {}).base
        file = tmp_path / "cluster.yaml"

        def make(self, now: datetime | None = None):
            self.files = certs.ephemeral(tmp_path / "certs", PARTIES, now)
            rows = [
                f'  {party}: {{address: "{self.addresses[party]}", data: tables, signing_key: "{files.pin}"}}'
                for party, files in self.files.items()
            ]
            own = self.files["hospital"]
            tls = f"tls: {{ca: {own.ca}, certificate: {own.certificate}, key: {own.key}}}"
            self.file.write_text("\n".join(["version: 1", "parties:", *rows, tls, f"identity: {own.identity}", ""]))
            return self

        def doctor(self, party: str = "hospital") -> tuple[int, str]:
            done = CliRunner().invoke(program, ["doctor", "--cluster", str(self.file), "--party", party])
            return done.exit_code, done.stdout

    return Machine().make()


def test_a_machine_in_order(machine):
    code, said = machine.doctor()
    assert code == 0, said
    for check in ("cluster file", "keys", "certificate", "temporary folder", "environment", "data folder", "own ports"):
        assert re.search(rf"^ok +{check} ", said, re.MULTILINE), said
    assert "profile production, 2 parties, 2 pinned keys" in said


def test_a_key_that_others_can_read(machine):
    machine.files["hospital"].key.chmod(0o644)
    code, said = machine.doctor()
    assert code == 1
    assert "WRONG  keys" in said
    assert "chmod 600" in said


def test_another_party_s_certificate_and_identity(machine):
    code, said = machine.doctor("insurer")
    assert code == 1
    assert "the certificate does not name 'insurer'" in said
    assert "the identity is not the one pinned for insurer" in said


@pytest.mark.parametrize(
    ("days", "code", "text"), [(5, 0, "expires in 24 day(s)"), (31, 1, "the certificate has expired on")]
)
def test_dates(machine, days, code, text):
    found, said = machine.make(datetime.now(timezone.utc) - timedelta(days=days)).doctor()
    assert (found, text in said) == (code, True), said


def test_a_port_that_is_taken(machine):
    host, port = machine.addresses["hospital"].split(":")
    with socket.create_server((host, int(port))):
        code, said = machine.doctor()
    assert code == 1
    assert f"port {port} on {host} is in use by" in said
    assert f"(process {os.getpid()})" in said


def test_a_port_that_the_system_hands_out_itself_is_warned_of(machine, monkeypatch):
    from veilflow.pipelines.cli import doctor_cluster

    _, port = machine.addresses["hospital"].split(":")
    monkeypatch.setattr(doctor_cluster, "handed_out", lambda file: (int(port) - 5, int(port) + 5))
    code, said = machine.doctor()
    assert code == 0
    assert re.search(r"^note +own ports ", said, re.MULTILINE), said
    assert f"choose a port below {int(port) - 5}" in " ".join(said.split())
    monkeypatch.setattr(doctor_cluster, "handed_out", lambda file: (int(port) + 1, 65535))
    assert re.search(r"^ok +own ports ", machine.doctor()[1], re.MULTILINE)


def test_the_range_is_the_kernel_s(tmp_path):
    from veilflow.pipelines.cli.doctor_cluster import handed_out

    (tmp_path / "range").write_text("15000\t64000\n")
    assert handed_out(tmp_path / "range") == (15000, 64000)
    assert handed_out(tmp_path / "none") == (32768, 60999)


def test_a_name_that_is_not_known_here_is_said(machine):
    machine.addresses = {**machine.addresses, "insurer": "no-such-host.invalid:9100"}
    code, said = machine.make().doctor()
    assert code == 0
    assert "insurer (no-such-host.invalid) is not known here now" in " ".join(said.split())


def test_a_data_folder_that_is_gone(machine, tmp_path):
    (tmp_path / "tables").rmdir()
    code, said = machine.doctor()
    assert code == 1
    assert "tables is no folder" in said


def test_an_unknown_party_and_a_bad_file(machine):
    assert "has no party 'nobody'" in machine.doctor("nobody")[1]
    machine.file.write_text(machine.file.read_text().replace("identity:", "identiti:"))
    code, said = machine.doctor()
    assert code == 1
    assert "identiti: unknown key; did you mean 'identity'?" in said


def test_both_options_or_none():
    done = CliRunner().invoke(program, ["doctor", "--party", "hospital"])
    assert done.exit_code == 2
    assert "go together" in done.output


def test_the_example_cluster_file_passes():
    file = Path(__file__).parents[3] / "configs/clusters/example.yaml"
    done = CliRunner().invoke(program, ["doctor", "--cluster", str(file), "--party", "hospital"])
    assert "profile simulation, 3 parties" in done.stdout
