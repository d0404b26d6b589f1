"""What a bystander sees, what lies on disk, and what happens when something goes wrong half-way."""

import os
import signal
import socket
import stat
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytestmark = pytest.mark.cluster
HOLDERS = ("hospital", "insurer")
PEOPLE = {"hospital": ["ann", "bob", "cid", "dan"], "insurer": ["zoe", "cid", "bob"]}


def _component(ctx, **params):
    """A PSI over `PEOPLE`, whose cells nobody else uses, ready to evaluate."""
    from secretflow.component.core import Output, VTableSchema

    from veilflow.components.alignment.psi.component import Psi
    from veilflow.components.devices.pyu import run_on
    from veilflow.components.devices.tables import write_table

    inputs = {}
    for side, party in zip(("left", "right"), HOLDERS, strict=True):
        secret = f"secret_of_{party}"
        frame = pd.DataFrame({"person": PEOPLE[party], party: [secret] * len(PEOPLE[party])})
        schema = VTableSchema.from_dict(ids={"person": "str"}, features={party: "str"})
        stored = Output(uri=f"test/{side}")
        write_table(ctx, stored, {party: run_on(party, lambda frame=frame: frame)}, {party: schema})
        inputs[side] = stored.data
    settings = {"protocol": "RR22", "receiver": "both", "normalise": ["strip"], "duplicates": "error"}
    return Psi(
        **{**settings, "allow_empty": False, "left_id": [], "right_id": [], **params},
        **inputs,
        table=Output(uri="test/out"),
        report=Output(uri="test/report"),
    )


def what_arrives(ctx):
    """Everything SecretFlow's link hands to this party during a PSI, as text."""
    from veilflow.pipelines.party.wire.proxy import SecureLinkProxy

    component = _component(ctx)
    arrived, original = [], SecureLinkProxy.recv

    def spy(self, src_party, seq_id):
        value = original(self, src_party, seq_id)
        arrived.append([src_party, type(value).__name__, repr(value)])
        return value

    SecureLinkProxy.recv = spy
    try:
        component.evaluate(ctx)
    finally:
        SecureLinkProxy.recv = original
    return arrived


def test_the_coordinator_gets_counts_only_and_holders_no_cells(veilflow_cluster):
    arrived = veilflow_cluster.call(what_arrives)
    words = {*PEOPLE["hospital"], *PEOPLE["insurer"], "secret_of_hospital", "secret_of_insurer"}
    for party, values in arrived.items():
        text = " ".join(value for _, _, value in values)
        assert values, f"the spy saw nothing at {party}"
        assert not [word for word in words if word in text], party
    kinds = {kind for _, kind, _ in arrived["coordinator"]}
    assert kinds <= {"dict", "int", "bool", "str"}, "keys of the exchange are bytes and go to the holders only"
    assert "bytes" in {kind for _, kind, _ in arrived["insurer"]}
    texts = [value for _, kind, value in arrived["coordinator"] if kind == "str"]
    assert [len(text) for text in texts] == [18], "one name of a link, 16 hex digits"


def what_lies_on_disk(ctx):
    """The library's folder as it is while the library runs, and what is left when it has ended."""
    from veilflow.components.devices import psi

    component = _component(ctx)
    seen = {}
    original = psi.library.psi_execute

    def spy(config, link):
        folder = Path(config.input_params.path).parent
        seen["mode"] = stat.S_IMODE(folder.stat().st_mode)
        seen["inside storage"] = Path(ctx.data_dir) in folder.resolve().parents
        seen["temporary files"] = os.environ["TMPDIR"] == str(folder)
        seen["input"] = (folder / "in.csv").read_text()
        report = original(config, link)
        seen["files"] = sorted(path.name for path in folder.iterdir())
        return report

    before = os.environ.get("TMPDIR")
    psi.library.psi_execute = spy
    try:
        component.evaluate(ctx)
    finally:
        psi.library.psi_execute = original
    left = [str(path) for path in Path(ctx.data_dir).rglob("*") if "in.csv" in path.name or ".psi-" in path.name]
    return {**seen, "left": left, "restored": os.environ.get("TMPDIR") == before, "tmp": tempfile.gettempdir()}


def test_the_library_sees_pseudonyms_and_a_decoy_in_a_private_folder_that_goes_away(veilflow_cluster):
    found, marks_of = veilflow_cluster.call(what_lies_on_disk), {}
    for party in HOLDERS:
        seen = found[party]
        assert seen["mode"] == 0o700
        assert seen["inside storage"]
        assert seen["temporary files"]
        header, *lines = seen["input"].splitlines()
        assert header == "key,row"
        marks, rows = zip(*(line.split(",") for line in lines), strict=True)
        assert sorted(map(int, rows)) == list(range(len(PEOPLE[party]) + 1)), "one more than people: the decoy"
        assert len({len(mark) for mark in marks}) == 1, "the decoy looks like a person"
        marks_of[party] = {int(row): mark for mark, row in zip(marks, rows, strict=True)}
        assert seen["left"] == []
        assert seen["restored"]
        assert ".psi-" not in seen["tmp"]
    assert "input" not in found["coordinator"]
    hospital, insurer = (marks_of[party] for party in HOLDERS)
    assert (hospital[1], hospital[2]) == (insurer[2], insurer[1]), "bob and cid have one pseudonym at both"
    assert len({*hospital.values(), *insurer.values()}) == 7, "four and three people, two in common, two decoys"
    again = veilflow_cluster.call(what_lies_on_disk)["hospital"]["input"]
    assert not [mark for mark in hospital.values() if mark in again], "another run, other pseudonyms"


def with_an_awkward_folder(ctx):
    """The storage folder's name would break a shell command."""
    component = _component(ctx)
    awkward = Path(ctx.data_dir) / "a b;c$(d)'é"
    awkward.mkdir(exist_ok=True)
    ctx.data_dir = str(awkward)
    component.evaluate(ctx)
    return {"rows": _rows(component), "left": [path.name for path in awkward.iterdir()]}


def _rows(component):
    from secretflow.component.core import VTable

    return VTable.from_distdata(component.table.data).line_count


def test_a_storage_folder_with_blanks_and_quotes_is_no_obstacle(veilflow_cluster):
    found = veilflow_cluster.call(with_an_awkward_folder)
    assert all(result == {"rows": 2, "left": []} for result in found.values())


def with_one_party_losing_a_match(ctx, loser, instead):
    """``loser``'s library forgets a match, or (``instead``) reports another person than it matched."""
    from veilflow.components.alignment.psi import component as module
    from veilflow.components.errors import ComponentError

    component = _component(ctx)
    original = module.intersect

    def wrong(*args):
        found = original(*args)
        if ctx.self_party != loser:
            return found
        return found[:-1] if not instead else found - found.min()

    module.intersect = wrong
    try:
        component.evaluate(ctx)
    except ComponentError as refused:
        return str(refused)
    finally:
        module.intersect = original
    return "accepted"


def test_different_counts_at_the_two_parties_are_noticed(veilflow_cluster):
    found = veilflow_cluster.call(with_one_party_losing_a_match, "insurer", False)
    wanted = "the protocol gave the two parties different numbers of common people: hospital 2, insurer 1."
    assert set(found.values()) == {wanted}


def test_equal_counts_of_different_people_are_noticed(veilflow_cluster):
    found = veilflow_cluster.call(with_one_party_losing_a_match, "hospital", True)
    wanted = "the two parties' aligned rows differ: 2 at each, but not the same people. Nothing was stored."
    assert set(found.values()) == {wanted}


def plain(ctx, params):
    component = _component(ctx, **params)
    component.evaluate(ctx)
    return _rows(component)


def with_the_port_taken(ctx):
    component = _component(ctx)
    if ctx.self_party == "insurer":
        host, port = ctx.pair_addresses(*HOLDERS)["insurer"].rsplit(":", 1)
        taken = socket.socket()
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind((host, int(port)))
        taken.listen()
        ctx.taken = taken
    component.evaluate(ctx)


def test_a_taken_port_is_named(veilflow_cluster):
    from veilflow.pipelines.launch.processes import PartyFailed

    expected = r"insurer cannot listen on 127\.0\.0\.1:\d+ for its link with hospital: free the port or change it"
    with pytest.raises(PartyFailed, match=expected) as caught:
        veilflow_cluster.call(with_the_port_taken)
    assert caught.value.party == "insurer"


def alone(ctx):
    """The hospital opens the link, nobody else does."""
    from veilflow.components.devices import link
    from veilflow.components.errors import ComponentError

    link.CONNECT_SECONDS, link.SEND_RETRIES = 1, 2
    try:
        if ctx.self_party != "hospital":
            return "elsewhere"
        try:
            with link.pair_link(link.pair_route(ctx, *HOLDERS), "hospital", "alone", 2):
                return "connected"
        except ComponentError as refused:
            return str(refused)
    finally:
        link.CONNECT_SECONDS, link.SEND_RETRIES = 20, 10


def test_a_party_that_does_not_come_is_waited_for_no_longer_than_said(veilflow_cluster):
    found = veilflow_cluster.call(alone)
    assert found["hospital"].startswith("hospital waited 1 s for insurer at 127.0.0.1:")


def with_a_failing_library(ctx, text):
    """The library fails before it has sent anything, and quotes a key in its message."""
    from veilflow.components.devices import psi
    from veilflow.components.errors import ComponentError

    original = psi.library.psi_execute

    def fail(config, link):
        raise RuntimeError(text)

    class Link:
        rank = 0

    psi.library.psi_execute = fail
    try:
        psi.intersect(Link(), Path(ctx.data_dir), np.zeros((1, 2), np.uint64), "KKRT", 0, True)
    except ComponentError as refused:
        return {"text": str(refused), "left": [path.name for path in Path(ctx.data_dir).glob(".psi-*")]}
    finally:
        psi.library.psi_execute = original
    return {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[psi/utils/key.cc:99] found duplicated keys: ann",
            "PSI (KKRT) failed inside the library at psi/utils/key.cc:99.",
        ),
        ("ann", "PSI (KKRT) failed inside the library."),
        (
            "Get data timeout, key=root:ann",
            "PSI (KKRT): the other party did not answer in time; its own message or log",
        ),
    ],
)
def test_what_the_library_says_of_the_data_goes_no_further(veilflow_cluster, text, message):
    for found in veilflow_cluster.call(with_a_failing_library, text).values():
        assert found["text"].startswith(message)
        assert "ann" not in found["text"]
        assert found["left"] == []


def dies_in_the_middle(ctx):
    from veilflow.components.devices import psi

    component = _component(ctx)
    original = psi.library.psi_execute

    def spy(config, link):
        if ctx.self_party == "insurer":
            os.kill(os.getpid(), signal.SIGKILL)
        return original(config, link)

    psi.library.psi_execute = spy
    component.evaluate(ctx)


def test_a_party_that_dies_in_the_middle_is_named(veilflow_cluster):
    from veilflow.pipelines.launch.processes import PartyFailed

    with pytest.raises(PartyFailed, match=r"insurer failed.* killed by signal 9") as caught:
        veilflow_cluster.call(dies_in_the_middle)
    assert caught.value.party == "insurer"


def test_the_next_alignment_after_failures_works(veilflow_cluster):
    assert set(veilflow_cluster.call(plain, {}).values()) == {2}
