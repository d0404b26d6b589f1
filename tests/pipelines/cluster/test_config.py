from pathlib import Path

import pytest

from veilflow.pipelines.cluster.addresses import AddressError
from veilflow.pipelines.cluster.config import load_cluster

LOOPBACK = """
version: 1
parties:
  hospital: {address: "127.0.0.1:9100", data: rows}
  insurer: {address: "localhost:9200"}
"""


def _write(folder: Path, text: str) -> Path:
    file = folder / "cluster.yaml"
    file.write_text(text)
    return file


def test_data_folders_are_relative_to_the_cluster_file(tmp_path):
    cluster = load_cluster(_write(tmp_path, LOOPBACK))
    assert cluster.parties["hospital"].data == tmp_path / "rows"
    assert cluster.parties["hospital"].base == ("127.0.0.1", 9100)


def test_addresses_off_this_machine_without_tls_are_refused(tmp_path):
    text = LOOPBACK.replace("127.0.0.1", "10.0.0.7")
    with pytest.raises(AddressError, match="leave this machine but there is no 'tls' section"):
        load_cluster(_write(tmp_path, text))


def test_a_host_name_counts_as_off_this_machine(tmp_path):
    with pytest.raises(AddressError, match="leave this machine"):
        load_cluster(_write(tmp_path, LOOPBACK.replace("127.0.0.1", "hospital.example")))


def test_missing_tls_files_are_named(tmp_path):
    text = LOOPBACK + "tls: {ca: ca.pem, certificate: me.pem, key: me.key}\n"
    (tmp_path / "ca.pem").write_text("x")
    with pytest.raises(AddressError, match=r"TLS file\(s\) not found: .*me.pem, .*me.key"):
        load_cluster(_write(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LOOPBACK + "prot: 3\n", "prot: Extra inputs are not permitted"),
        (LOOPBACK.replace(":9100", ""), "parties -> hospital -> address"),
        ("version: 1\nparties: {a: {address: 'x:1'}}\n", "at least 2 items"),
        ("version: [", "cannot be read as YAML"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, text, message):
    with pytest.raises(AddressError, match=message):
        load_cluster(_write(tmp_path, text))
