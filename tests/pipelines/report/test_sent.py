"""The report says what left each party, grouped so that a reader sees it."""

from veilflow.pipelines.ledger import Sent
from veilflow.pipelines.report import render
from veilflow.pipelines.report.sent import sent_rows


def _sent(sender, to, what, kind, type_="", objects=1, size=10):
    return Sent(sender=sender, to=to, what=what, kind=kind, type=type_, objects=objects, bytes=size)


def test_receivers_and_shapes_of_one_kind_are_one_row(good):
    good.nodes[2].sent = [
        _sent("hospital", "insurer", "embedding", "array", "float32[64x16]", 9, 900),
        _sent("hospital", "coordinator", "embedding", "array", "float32[32x16]", 1, 100),
        _sent("hospital", "insurer", "runtime", "document"),
    ]
    (row,) = sent_rows(good)
    assert (row.sender, row.to, row.what) == ("hospital", "insurer and coordinator", "embedding")
    assert row.kind == "array float32[32x16], float32[64x16]"
    assert (row.objects, row.size) == (10, 1000)


def test_what_a_component_did_not_declare_is_called_so(good):
    good.nodes[2].sent = [_sent("insurer", "hospital", "", "bundle")]
    assert sent_rows(good)[0].what == "undeclared"
    assert "undeclared" in render(good)


def test_a_run_without_messages_has_no_such_section(good):
    assert "What left each party" not in render(good)
