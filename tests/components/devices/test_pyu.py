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
    from secretflow.distributed.fed.proxy.brpc_link.brpc_link import BrpcLinkProxy

    from veilflow.components.devices.pyu import publish, run_on, send_to

    arrived, original = [], BrpcLinkProxy.recv

    def spy(self, src_party, seq_id):
        value = original(self, src_party, seq_id)
        arrived.append(repr(value))
        return value

    BrpcLinkProxy.recv = spy
    try:
        moved = send_to("insurer", run_on("hospital", lambda: SECRET))
        length = publish(run_on("insurer", len, moved))
    finally:
        BrpcLinkProxy.recv = original
    return {"seen": any(SECRET in value for value in arrived), "length": length}


def test_a_value_sent_to_one_party_reaches_no_other(veilflow_cluster):
    found = veilflow_cluster.call(who_receives)
    assert {party: result["seen"] for party, result in found.items()} == {
        "hospital": False,
        "insurer": True,
        "coordinator": False,
    }
    assert {result["length"] for result in found.values()} == {len(SECRET)}


def guards(ctx):
    """What becomes of exceptions; and what the log holds at its usual level, and at DEBUG."""
    from veilflow.components.devices.pyu import guarded
    from veilflow.components.errors import ComponentError, InternalError

    records = []

    class Keep(logging.Handler):
        def emit(self, record):
            records.append((record.levelno, self.format(record)))

    log = logging.getLogger("veilflow")
    handler, level = Keep(), log.level
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)

    def fail(error):
        raise error

    texts = {}
    try:
        for name, error in (
            ("ours", ComponentError("column 'age' is missing")),
            ("foreign", ValueError(f"could not convert '{SECRET}'")),
            ("exit", SystemExit(SECRET)),
        ):
            try:
                guarded("hospital", fail)(error)
            except (ComponentError, InternalError) as caught:
                texts[name] = [type(caught).__name__, str(caught), caught.__context__ is None]
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
    usual = "\n".join(text for number, text in records if number > logging.DEBUG)
    full = "\n".join(text for number, text in records if number == logging.DEBUG)
    return {"texts": texts, "usual": usual, "full": full}


def test_foreign_exceptions_become_a_reference_into_the_partys_own_log(veilflow_cluster):
    found = veilflow_cluster.call(guards)["hospital"]
    assert found["texts"]["ours"][:2] == ["ComponentError", "column 'age' is missing"]
    for name in ("foreign", "exit"):
        kind, text, alone = found["texts"][name]
        assert kind == "InternalError"
        assert text.startswith("hospital: internal error, reference ")
        assert alone, "the original exception does not travel along"
        assert text.split("reference ")[1].split()[0] in found["usual"]
    assert "ValueError" in found["usual"]
    assert "in fail" in found["usual"], "the log says where"
    assert SECRET not in found["usual"] + str(found["texts"])
    assert SECRET in found["full"]


def survives_pickling(ctx):
    from secretflow.utils import secure_pickle

    from veilflow.components.errors import ComponentError, InternalError

    found = []
    for error in (ComponentError("a b"), InternalError("x", "0a")):
        raw = secure_pickle.dumps(error)
        back = secure_pickle.loads(raw, filter_type=secure_pickle.FilterType.BLACKLIST)
        found.append([type(back).__name__, str(back)])
    return found


def test_our_errors_arrive_at_the_peers_as_they_were(veilflow_cluster):
    assert veilflow_cluster.call(survives_pickling)["insurer"] == [
        ["ComponentError", "a b"],
        ["InternalError", "x: internal error, reference 0a in x's own log"],
    ]
