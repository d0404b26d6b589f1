import re
from pathlib import Path

import pytest

from veilflow.pipelines.certs import folder as certs
from veilflow.pipelines.cluster.addresses import AddressError
from veilflow.pipelines.cluster.config import is_loopback_host, load_cluster
from veilflow.pipelines.cluster.hosts import join, split

ROOT = Path(__file__).parents[3]
LOOPBACK = """
version: 1
profile: simulation
parties:
  hospital: {address: "127.0.0.1:9100", data: rows}
  insurer: {address: "localhost:9200"}
"""


def _write(folder: Path, text: str) -> Path:
    file = folder / "cluster.yaml"
    file.write_text(text)
    return file


def _production(folder: Path, drop: str = "", **changes: str) -> Path:
    """A good production file; ``drop`` removes the line or field that starts so, ``changes`` replace texts."""
    files = certs.ephemeral(folder, ["hospital", "insurer"])
    own = files["hospital"]
    lines = [
        "version: 1",
        "parties:",
        f'  hospital: {{address: "10.0.0.1:9100", signing_key: "{files["hospital"].pin}"}}',
        f'  insurer: {{address: "10.0.0.2:9100", signing_key: "{files["insurer"].pin}"}}',
        f"tls: {{ca: {own.ca.relative_to(folder)}, certificate: {own.certificate}, key: {own.key}}}",
        f"identity: {own.identity}",
    ]
    text = "\n".join(line for line in lines if not drop or not line.startswith(drop))
    for old, new in changes.items():
        text = text.replace(old, new)
    return _write(folder, text)


def _problems(file: Path) -> list[str]:
    with pytest.raises(AddressError) as caught:
        load_cluster(file)
    return str(caught.value).splitlines()[1:]


def test_the_example_is_valid():
    cluster = load_cluster(ROOT / "configs/clusters/example.yaml")
    assert (cluster.profile, list(cluster.parties)) == ("simulation", ["hospital", "insurer", "coordinator"])


@pytest.mark.parametrize(
    "address",
    ["[::1]:9100", "[2001:db8::1]:65535", "data_node.internal_net:9100", "a-b.example.org:1", "10.0.0.1:65535", "x:80"],
)
def test_addresses_of_every_kind_are_taken(tmp_path, address):
    text = LOOPBACK.replace("127.0.0.1:9100", address)
    host, port = split(address)
    assert join(host, port) == address
    if is_loopback_host(host):
        assert load_cluster(_write(tmp_path, text)).parties["hospital"].base == (host, port)


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("10.0.0.1:0", "a port is a number from 1 to 65535"),
        ("10.0.0.1:65536", "a port is a number from 1 to 65535"),
        ("10.0.0.1:99999", "a port is a number from 1 to 65535"),
        ("10.0.0.1", "is not HOST:PORT"),
        ("::1:9100", r"an IPv6 address stands in brackets, \[::1\]:PORT"),
        ("[10.0.0.1]:9100", "what stands in brackets is no IPv6 address"),
        ("[::1:9100", "is neither an IP address nor a host name"),
        ("10.0.0.300:9100", "is neither an IP address nor a host name"),
        ("a b:9100", "is neither an IP address nor a host name"),
        ("http://host:9100", "is neither an IP address nor a host name"),
        ("host:9१00", "is not HOST:PORT"),
    ],
)
def test_an_address_that_cannot_be_is_refused_when_the_file_is_read(tmp_path, address, why):
    (problem,) = _problems(_write(tmp_path, LOOPBACK.replace("127.0.0.1:9100", address)))
    assert re.search(why, problem), problem
    assert "parties -> hospital -> address" in problem


@pytest.mark.parametrize(("listen", "good"), [("0.0.0.0", 1), ("::", 1), ("10.0.0.1:9100", 0), ("[::]", 1), ("a/b", 0)])
def test_listen_is_a_host(tmp_path, listen, good):
    file = _write(tmp_path, LOOPBACK.replace("data: rows", f'listen: "{listen}"'))
    if good:
        assert load_cluster(file).parties["hospital"].listen == listen.strip("[]")
    else:
        assert "parties -> hospital -> listen" in _problems(file)[0]


def test_data_folders_are_relative_to_the_cluster_file(tmp_path):
    cluster = load_cluster(_write(tmp_path, LOOPBACK))
    assert cluster.parties["hospital"].data == tmp_path / "rows"
    assert cluster.parties["hospital"].base == ("127.0.0.1", 9100)


def test_a_file_that_says_nothing_is_production(tmp_path):
    cluster = load_cluster(_production(tmp_path))
    assert cluster.profile == "production"
    assert set(cluster.pins()) == {"hospital", "insurer"}
    assert cluster.identity == (tmp_path / "hospital" / "hospital.signing.pem").resolve()
    assert cluster.tls.ca == (tmp_path / "hospital" / "ca.pem").resolve()


@pytest.mark.parametrize("profile", ["", "profile: production"])
def test_production_needs_tls_identity_and_pins_also_on_loopback(tmp_path, profile):
    found = _problems(_write(tmp_path, LOOPBACK.replace("profile: simulation", profile)))
    assert len(found) == 3
    assert found[0].startswith("  links would be unencrypted: add tls: {ca, certificate, key}. On one machine")
    assert found[1].startswith("  this machine's party cannot sign: add identity")
    assert found[2].startswith("  nothing tells hospital, insurer from somebody else: add signing_key")


@pytest.mark.parametrize("host", ["10.0.0.7", "hospital.example", "0.0.0.0", "127.0.0.1.example"])
def test_a_simulation_does_not_leave_this_machine(tmp_path, host):
    (problem,) = _problems(_write(tmp_path, LOOPBACK.replace("127.0.0.1", host)))
    assert "simulation is for one machine, but the address of hospital leaves it" in problem


@pytest.mark.parametrize(
    ("drop", "problem"),
    [("tls", "links would be unencrypted"), ("identity", "this machine's party cannot sign")],
)
def test_each_missing_part_of_production_is_named(tmp_path, drop, problem):
    (found,) = _problems(_production(tmp_path, drop))
    assert problem in found


def test_missing_files_are_named(tmp_path):
    file = _production(tmp_path)
    (tmp_path / "hospital" / "hospital.key").unlink()
    (tmp_path / "hospital" / "hospital.signing.pem").unlink()
    (problem,) = _problems(file)
    assert "file(s) not found" in problem
    assert "hospital.key" in problem
    assert "hospital.signing.pem" in problem


def test_one_key_for_two_parties_is_refused(tmp_path):
    pins = load_cluster(_production(tmp_path)).pins()
    text = (tmp_path / "cluster.yaml").read_text().replace(pins["insurer"], pins["hospital"])
    (problem,) = _problems(_write(tmp_path, text))
    assert "hospital and insurer have the same signing_key" in problem


@pytest.mark.parametrize("pin", ["hunter2", "ed25519:AAAA", "ed25519:" + "/" * 43 + "/", "rsa:AAAA"])
def test_a_signing_key_that_is_none_is_refused(tmp_path, pin):
    pins = load_cluster(_production(tmp_path)).pins()
    text = (tmp_path / "cluster.yaml").read_text().replace(pins["insurer"], pin)
    (problem,) = _problems(_write(tmp_path, text))
    assert "parties -> insurer -> signing_key: " in problem


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LOOPBACK + "prot: 3\n", "prot: unknown key"),
        (LOOPBACK + "identiti: x\n", "line 7: identiti: unknown key; did you mean 'identity'?"),
        (LOOPBACK.replace("version: 1\n", ""), "version: is missing"),
        (LOOPBACK.replace("simulation", "debug"), "profile: Input should be 'production' or 'simulation'"),
        (LOOPBACK.replace(":9100", ""), "parties -> hospital -> address"),
        ("version: 1\nparties: {a: {address: 'x:1'}}\n", "at least 2 items"),
        ("version: [", "line 1: not valid YAML"),
        ("", "the file is empty; a cluster file has version and parties"),
        ("- a\n", "expected a mapping with version, profile and parties"),
        (LOOPBACK + "version: 1\n", "'version' is here a second time"),
        (LOOPBACK + "# " + "x" * 2**20, "larger than 1 MiB"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, text, message):
    with pytest.raises(AddressError, match=message):
        load_cluster(_write(tmp_path, text))


def test_a_file_that_is_no_text_or_cannot_be_read_is_said(tmp_path):
    (tmp_path / "cluster.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(AddressError, match="not UTF-8 text"):
        load_cluster(tmp_path / "cluster.yaml")
    with pytest.raises(AddressError, match="cannot be read: Is a directory"):
        load_cluster(tmp_path)
