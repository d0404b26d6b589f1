"""At real parties: the hospital's process is in the attacker's hands; the insurer's ends with the reason."""

import gc
import re
from pathlib import Path

import numpy as np
import pytest

from veilflow.components.claims import Send
from veilflow.pipelines.launch.identities import with_new_identities

pytestmark = pytest.mark.cluster
PARTIES = ["hospital", "insurer"]


class OnTheWay:
    """The hospital's end of the link, with ``change(frame) -> frames`` between signing and sending."""

    def __init__(self, linker, change):
        self._linker, self._change = linker, change

    def send_async(self, rank, frame):
        for each in self._change(frame):
            self._linker.send_async(rank, each)

    def __getattr__(self, name):
        return getattr(self._linker, name)


def replay(proxy, trap):
    proxy._linker = OnTheWay(proxy._linker, lambda frame: [frame, frame])


def drop(proxy, trap):
    lost = iter([True])
    proxy._linker = OnTheWay(proxy._linker, lambda frame: [] if next(lost, False) else [frame])


def truncate(proxy, trap):
    proxy._linker = OnTheWay(proxy._linker, lambda frame: [frame[:-3]])


def oversize(proxy, trap):
    proxy._linker = OnTheWay(proxy._linker, lambda frame: [b"P" + (1 << 40).to_bytes(8, "little") + b"x"])


def another_job(proxy, trap):
    from veilflow.pipelines.party.wire.envelope import Sender

    proxy._senders["insurer"] = Sender(proxy._wire.identity, "f" * 32, "insurer")


def another_key(proxy, trap):
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from veilflow.pipelines.party.wire.envelope import Sender
    from veilflow.pipelines.party.wire.identity import Identity

    key = Ed25519PrivateKey.generate()
    forged = Identity("hospital", key, {"hospital": key.public_key()})
    proxy._senders["insurer"] = Sender(forged, proxy._job_name, "insurer")


def another_name(proxy, trap):
    from veilflow.pipelines.party.wire.envelope import Sender
    from veilflow.pipelines.party.wire.identity import Identity

    own = proxy._wire.identity
    other = Identity("coordinator", own.key, {**own.pins, "coordinator": own.key.public_key()})
    proxy._senders["insurer"] = Sender(other, proxy._job_name, "insurer")


def _open_own_gate(proxy):
    from veilflow.pipelines.party.wire.describe import describe

    proxy._wire.gate.admit_out = lambda tag, receiver, value: describe(value)


def _send_instead(proxy, value):
    _open_own_gate(proxy)
    proxy._without_exception = lambda data: value


def not_a_number(proxy, trap):
    _send_instead(proxy, np.array([1.0, np.nan, 1.0]))


def wrong_dtype(proxy, trap):
    _send_instead(proxy, np.ones(3, np.float32))


def a_failure_with_rows(proxy, trap):
    from veilflow.components.devices.pyu import Failed

    _send_instead(proxy, [Failed("hospital", "x"), np.ones(3, np.float32)])


def another_steps_line(proxy, trap):
    proxy._wire.step = "generous"


def hostile_pickle(proxy, trap):
    class Run:
        def __reduce__(self):
            return exec, (f"open({trap!r}, 'w')",)

    _send_instead(proxy, Run())


def the_same_object_twice(proxy, trap):
    """Two whole, well signed messages for one object: a later one must not replace what has arrived."""
    from veilflow.pipelines.party.wire import proxy as module

    _open_own_gate(proxy)
    original = module.SecureLinkProxy._send

    def twice(self, dest, data, seq):
        tag = self._tags[dest, seq]
        for number in (seq + 9, seq + 9, seq):
            self._tags[dest, number] = tag
            original(self, dest, data, number)

    module.SecureLinkProxy._send = twice


def unsigned_control(proxy, trap):
    from veilflow.pipelines.party.control import ControlLink

    for each in gc.get_objects():
        if isinstance(each, ControlLink):
            each._mesh.send("insurer", b'{"kind": "beat", "number": 0}' + bytes(64))


ATTACKS = {
    replay: "message [0-9]+ of hospital is repeated; [0-9]+ is next",
    drop: "message [0-9]+ of hospital is ahead of others that are missing",
    truncate: "a message in hospital's name does not carry hospital's signature",
    oversize: "hospital announces 1099511627776 bytes; at most 4294967296 are accepted",
    another_job: "a message in hospital's name does not carry hospital's signature",
    another_key: "a message in hospital's name does not carry hospital's signature",
    another_name: "a message in hospital's name does not carry hospital's signature",
    not_a_number: r"hospital sent float64 array of shape \[3\] in step 'attacked' with cells that are not finite",
    wrong_dtype: r"hospital sent float32 array of shape \[3\] as 'published' in step 'attacked', which that step does",
    a_failure_with_rows: "hospital sent bundle of 12 bytes as 'published'",
    another_steps_line: "hospital sent object [0-9]+ as 'published' of step 'generous'; here it is .*'attacked'",
    hostile_pickle: "a message names a type that is not on the list of what may be received",
    the_same_object_twice: "hospital sent object [0-9]+ twice",
    unsigned_control: "hospital failed.*: sent a control message that is not signed by it, or out of order",
}


def attacked(context, attack, trap):
    from secretflow.distributed.fed.global_context import get_global_context

    from veilflow.components.devices.pyu import publish, run_on

    line = Send("published", kind="array", dtype="float64", shape=(3,), times=8)
    context._wire.gate.open({context.node: [line], "generous": [Send("x", kind="anything")]})
    publish(run_on("insurer", np.ones, 3))  # both are here
    if context.self_party == "hospital" and attack:
        globals()[attack](get_global_context()._proxy, trap)
    return float(sum(publish(run_on("hospital", np.ones, 3)).sum() for _ in range(4)))


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory, loopback, play_all):
    scenarios = {}
    for name in ["", *(attack.__name__ for attack in ATTACKS)]:
        folder = tmp_path_factory.mktemp(f"attack_{name}")
        args = [name, str(folder / "the code ran")]
        job = {"job": "call", "function": f"{Path(__file__).resolve()}:attacked", "args": args}
        scenarios[name] = (folder, with_new_identities(loopback(folder, PARTIES)), job)
    return play_all(scenarios, at_once=8)


def test_without_an_attack_the_result_is_right(outcomes):
    assert outcomes[""].results == dict.fromkeys(PARTIES, 12.0), outcomes[""].message


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_the_honest_party_ends_with_the_reason_and_no_result(outcomes, attack):
    outcome = outcomes[attack.__name__]
    assert outcome.results is None, "no partial result"
    assert re.search(ATTACKS[attack], outcome.message), outcome.message
    assert outcome.codes()["insurer"] == 4
    assert outcome.seconds < 20, "nobody hangs"
    assert not (outcome.folder / "the code ran").exists()
