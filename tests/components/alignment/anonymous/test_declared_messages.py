"""Every message of the protocol is one that the claims declare, and every promised receipt is written."""

import numpy as np
import pytest

from veilflow.components.alignment.anonymous.coordinator import protocol
from veilflow.components.alignment.anonymous.interface import CHEETAH
from veilflow.components.alignment.anonymous.spu_compare import protocol as spu_compare
from veilflow.components.alignment.anonymous.two_party import protocol as two_party
from veilflow.components.alignment.anonymous_psi.claims import AnonymousPsiClaims
from veilflow.components.claims import ALL, Artifact, NodeView

from .comparing import ComparingRecorder
from .recorder import Recorder, at_holders, holding, plan_of

VIEW = NodeView(
    "align",
    ("hospital", "insurer", "coordinator"),
    {"protocol": "coordinator", "hide_count": "rounded"},
    {"tables": [Artifact("table", ("hospital",)), Artifact("table", ("insurer",))]},
)


def test_every_message_of_the_protocol_is_declared():
    """Sender, receiver, dtype and shape of everything sent in a run fit one of the claimed sends."""
    people = [f"p{i}" for i in range(30)]
    holdings = {"hospital": holding(people, np.ones((30, 2), np.int64)), "insurer": holding(people, np.ones((30, 1)))}
    recorder = Recorder()
    ranks = ("hospital", "insurer", "coordinator")
    plan = plan_of(holdings, ranks, "coordinator", hide_count="rounded")
    protocol.align(recorder, at_holders(holdings), plan, recorder.note)
    sends = AnonymousPsiClaims().sends(VIEW)
    for receiver, messages in recorder.views.items():
        for (sender, value), label in zip(messages, recorder.labels[receiver], strict=True):
            fitting = [send for send in sends if send.what == label]
            assert any(_fits(send, sender, receiver, value) for send in fitting), (sender, receiver, label)
        for send in sends:
            if isinstance(send.times, int):
                assert recorder.labels[receiver].count(send.what) <= send.times * len(plan.holders)
    fired = {(name, party) for party, name, _ in recorder.notes}
    for protection in AnonymousPsiClaims().protections(VIEW):
        if protection.name != "run_ledger":  # the component charges it, before the protocol starts
            assert {(protection.name, party) for party in protection.at} <= fired


def test_every_message_of_a_comparison_is_declared():
    people = {"hospital": [f"p{i}" for i in range(30)], "insurer": [f"p{i}" for i in range(10, 70)]}
    holdings = {party: holding(ids, np.ones((len(ids), 2), np.int64)) for party, ids in people.items()}
    recorder = ComparingRecorder(("hospital", "insurer", "coordinator"))
    plan = plan_of(holdings, recorder.ranks, "", minimum=5)
    spu_compare.align(recorder, at_holders(holdings), plan, recorder.note)
    require_declared(recorder, {**VIEW.params, "protocol": "spu_compare"})


@pytest.mark.parametrize("hide_count", ["no", "full"])
def test_every_message_of_two_parties_is_declared(hide_count):
    people = {"hospital": [f"p{i}" for i in range(30)], "insurer": [f"p{i}" for i in range(10, 70)]}
    holdings = {party: holding(ids, np.ones((len(ids), 2), np.int64)) for party, ids in people.items()}
    recorder = Recorder()
    plan = plan_of(holdings, ("hospital", "insurer"), "", CHEETAH, hide_count=hide_count, settings={"epsilon": 3.0})
    two_party.align(recorder, at_holders(holdings), plan, recorder.note)
    require_declared(recorder, {"protocol": "two_party", "hide_count": hide_count})


def require_declared(recorder, params):
    view = NodeView("align", VIEW.parties, params, VIEW.inputs)
    sends = AnonymousPsiClaims().sends(view)
    for receiver, messages in recorder.views.items():
        for (sender, value), label in zip(messages, recorder.labels[receiver], strict=True):
            fitting = [send for send in sends if send.what == label]
            assert any(_fits(send, sender, receiver, value) for send in fitting), (sender, receiver, label)
        for send in sends:
            if isinstance(send.times, int):
                assert recorder.labels[receiver].count(send.what) <= send.times
    assert not any(send.kind == "anything" for send in sends)
    fired = {(name, party) for party, name, _ in recorder.notes}
    for protection in AnonymousPsiClaims().protections(view):
        if protection.name != "run_ledger":
            assert {(protection.name, party) for party in protection.at} <= fired


def _fits(send, sender, receiver, value):
    if (send.sender != (ALL,) and sender not in send.sender) or (send.to != (ALL,) and receiver not in send.to):
        return False
    if isinstance(value, bytes):
        return send.kind == "bytes" and len(value) <= send.max_bytes
    return (
        send.kind == "array"
        and str(value.dtype) == send.dtype
        and len(send.shape) == value.ndim
        and all(wanted is None or wanted == size for wanted, size in zip(send.shape, value.shape, strict=True))
        and value.nbytes <= send.max_bytes
    )
