"""Functions run where they are told to, values go where they are told to, and failures say nothing of the data."""

import logging

import pytest

pytestmark = pytest.mark.cluster
SECRET = "secret-4711"


def where(ctx):
    from veilflow.components.devices.pyu import publish, run_on

    ran = []

    def note(party):
        ran.append(party)
        return party, ctx.self_party

    both = {party: run_on(party, note, party, returns=2) for party in ctx.parties}
    at = publish({party: pair[1] for party, pair in both.items()})
    nested = publish([both["hospital"][0], {"x": (both["insurer"][0], 3)}])
    return {"ran": ran, "at": at, "nested": nested}


def test_a_function_runs_at_its_party_only_and_published_values_reach_all(veilflow_cluster):
    found = veilflow_cluster.call(where)
    for party, result in found.items():
        assert result["ran"] == [party]
        assert result["at"] == {each: each for each in found}
        assert result["nested"] == ["hospital", {"x": ["insurer", 3]}]


def who_receives(ctx):
    from veilflow.components.devices.pyu import publish, run_on, send_to
    from veilflow.pipelines.party.wire.proxy import SecureLinkProxy

    arrived, original = [], SecureLinkProxy.recv

    def spy(self, src_party, seq_id):
        value = original(self, src_party, seq_id)
        arrived.append(repr(value))
        return value

    SecureLinkProxy.recv = spy
    try:
        moved = send_to("insurer", run_on("hospital", lambda: SECRET))
        length = publish(run_on("insurer", len, moved))
    finally:
        SecureLinkProxy.recv = original
    return {"seen": any(SECRET in value for value in arrived), "length": length}


def test_a_value_sent_to_one_party_reaches_no_other(veilflow_cluster):
    found = veilflow_cluster.call(who_receives)
    assert {party: result["seen"] for party, result in found.items()} == {
        "hospital": False,
        "insurer": True,
        "coordinator": False,
    }
    assert {result["length"] for result in found.values()} == {len(SECRET)}


def copies_at(ctx, parties):
    """What each party knows of copies that lie at ``parties``, and how much it publishes for that."""
    from veilflow.components.devices.pyu import known, run_on

    def said():
        return sum(each["objects"] for each in ctx._wire.transcript.totals(ctx.node) if each["what"] == "published")

    before = said()
    found = known({party: run_on(party, lambda: {"norm": 2.5, "at": ctx.self_party}) for party in parties})
    return found["norm"], found["at"], said() - before


def test_what_all_have_a_copy_of_is_read_without_a_message_and_published_where_one_lacks_it(veilflow_cluster):
    parties = ["hospital", "insurer", "coordinator"]
    for party, found in veilflow_cluster.call(copies_at, parties).items():
        assert found == [2.5, party, 0]
    for party, found in veilflow_cluster.call(copies_at, parties[1:]).items():
        assert found[:2] == [2.5, "insurer"]
        assert found[2] == (2 if party == "insurer" else 0)


def guards(ctx):
    """What becomes of exceptions, and what the party's own log holds of them."""
    from veilflow.components.devices.pyu import guarded
    from veilflow.components.errors import ComponentError, InternalError

    records = []

    class Keep(logging.Handler):
        def emit(self, record):
            records.append(self.format(record))

    log = logging.getLogger("veilflow")
    handler = Keep()
    log.addHandler(handler)

    def fail(error):
        raise error

    texts = {}
    try:
        for name, error in (
            ("ours", ComponentError("column 'age' is missing")),
            ("foreign", ValueError(f"could not convert '{SECRET}'")),
            ("exit", SystemExit(SECRET)),
            ("full", OSError(28, SECRET, f"/srv/{SECRET}")),
            ("memory", MemoryError(SECRET)),
        ):
            try:
                guarded("hospital", fail)(error)
            except (ComponentError, InternalError) as caught:
                texts[name] = [type(caught).__name__, str(caught), caught.__context__ is None]
    finally:
        log.removeHandler(handler)
    return {"texts": texts, "log": "\n".join(records)}


def test_foreign_exceptions_become_a_reference_into_the_partys_own_log(veilflow_cluster):
    found = veilflow_cluster.call(guards)["hospital"]
    assert found["texts"]["ours"][:2] == ["ComponentError", "column 'age' is missing"]
    assert found["texts"]["full"][1] == "no space is left on the disk; free some. hospital's own log says where."
    assert found["texts"]["memory"][1].startswith("no memory is left; ")
    for name in ("full", "memory"):
        assert found["texts"][name][0] == "ComponentError"
        assert found["texts"][name][2], "no context that SecretFlow would send along"
    for name in ("foreign", "exit"):
        kind, text, alone = found["texts"][name]
        assert kind == "InternalError"
        assert text.startswith("hospital: internal error, reference ")
        assert alone, "the original exception does not travel along"
        assert text.split("reference ")[1].split()[0] in found["log"]
    assert f"ValueError: could not convert '{SECRET}'" in found["log"], "its operator must be able to find the cause"
    assert "in fail" in found["log"], "and where it was"
    assert SECRET not in str(found["texts"])


def failing(ctx, kind):
    """The insurer fails; what every party makes of values that depend on that, and of one that does not."""
    from veilflow.components.devices.pyu import publish, run_on, send_to
    from veilflow.components.errors import ComponentError, InternalError

    ran = []

    def fail():
        raise ComponentError("3 rows are not enough") if kind == "ours" else ValueError(SECRET)

    def use(*values):
        ran.append(values)
        return values

    one, two = run_on("insurer", fail, returns=2)
    derived = run_on("hospital", use, send_to("hospital", two), 5)
    nested = run_on("insurer", use, {"deep": [one]}, returns=2)
    fine = publish(run_on("hospital", lambda: 7))
    seen = []
    for values in (one, derived, {"x": [nested[1]]}, [run_on("coordinator", lambda: 1), send_to("insurer", derived)]):
        try:
            publish(values)
        except (ComponentError, InternalError) as error:
            seen.append([type(error).__name__, error.party, str(error)])
    return {"seen": seen, "ran": len(ran), "fine": fine, "after": publish(run_on("insurer", lambda: 8))}


@pytest.mark.parametrize("kind", ["ours", "foreign"])
def test_a_failure_is_raised_by_every_party_where_it_is_published(veilflow_cluster, kind):
    found = veilflow_cluster.call(failing, kind)
    for result in found.values():
        assert result["fine"] == 7
        assert result["ran"] == 0, "what depends on a failed value does not run"
        assert len(result["seen"]) == 4
        assert len({tuple(each) for each in result["seen"]}) == 1, "one failure, wherever it surfaces"
        name, party, text = result["seen"][0]
        assert party == "insurer"
        if kind == "ours":
            assert (name, text) == ("ComponentError", "3 rows are not enough")
        else:
            assert name == "InternalError"
            assert SECRET not in text
        assert result["after"] == 8
    assert len({str(result["seen"]) for result in found.values()}) == 1


def unguarded(ctx):
    """A function of SecretFlow's own kind, whose exception SecretFlow would send to the peers as it is."""
    import secretflow.distributed as sfd
    from secretflow.device import PYU

    def fail():
        raise ValueError(f"could not convert '{SECRET}'")

    return sfd.get(PYU("insurer")(fail)().data)


def test_an_exception_that_secretflow_would_send_becomes_a_reference(tmp_path):
    from veilflow.pipelines.launch.processes import PartyFailed
    from veilflow.pipelines.launch.simulation import Simulation

    with (
        Simulation(tmp_path, ["hospital", "insurer"]) as own,
        pytest.raises(PartyFailed, match="insurer failed in step 'unguarded': internal error") as caught,
    ):
        own.call(f"{__file__}:unguarded")
    assert SECRET not in str(caught.value)
    assert SECRET not in (tmp_path / "hospital" / "log.txt").read_text()
