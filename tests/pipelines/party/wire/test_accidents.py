"""At real parties: what leaves by mistake does not leave, and the run ends everywhere with the place named."""

import re
from pathlib import Path

import numpy as np
import pytest

from veilflow.components.claims import Send
from veilflow.pipelines.launch.identities import with_new_identities

pytestmark = pytest.mark.cluster
PARTIES = ["hospital", "insurer"]
SECRET = 471147.1125


def _rows(count=3):
    return np.full((count, 4), SECRET)


def _allow(context, *lines):
    context._wire.gate.open({context.node: list(lines)})


def reveal(context):
    import secretflow as sf
    from secretflow.device import PYU

    _allow(context, Send("published"))
    sf.reveal(PYU("hospital")(_rows)())  # noqa: TID251 - the accident


def debug_move(context):
    from secretflow.device import PYU

    _allow(context, Send("published"))
    PYU("insurer")(np.shape)(PYU("hospital")(_rows)().to(PYU("insurer")))
    _meet()


def published_rows(context):
    from veilflow.components.devices.pyu import publish, run_on

    _allow(context, Send("published"))
    publish(run_on("hospital", _rows))


def rows_in_a_document(context):
    from veilflow.components.devices.pyu import publish, run_on

    _allow(context, Send("published"))
    publish(run_on("hospital", lambda: {"rows": 3, "debug": _rows()}))


def one_opening_too_many(context):
    from veilflow.components.devices.pyu import publish, run_on, send_to

    _allow(context, Send("published"), Send("sent", kind="array", shape=(3, 4), times=2))
    for _ in range(3):
        publish(run_on("insurer", len, send_to("insurer", run_on("hospital", lambda: np.zeros((3, 4))))))


def one_row_too_many(context):
    from veilflow.components.devices.events import sizes
    from veilflow.components.devices.pyu import run_on, send_to

    _allow(context, Send("sent", ("hospital",), ("insurer",), "array", "float64", ("batch", 4)), Send("published"))
    sizes(context, batch=2)
    run_on("insurer", len, send_to("insurer", run_on("hospital", _rows)))
    _meet()


def to_the_wrong_party(context):
    from veilflow.components.devices.pyu import run_on, send_to

    _allow(context, Send("sent", ("insurer",), ("hospital",), "array", "float64", (3, 4)), Send("published"))
    run_on("insurer", len, send_to("insurer", run_on("hospital", _rows)))
    _meet()


def _meet():
    from veilflow.components.devices.pyu import publish, run_on

    publish({party: run_on(party, lambda: 1) for party in PARTIES})


ROWS = r"was about to send float64 array of shape \[3, 4\] to insurer"
UNLABELLED = ROWS + r" without saying what it is\. It may send insurer: document as 'published'\. Nothing was sent\."
CASES = {
    reveal: UNLABELLED,
    debug_move: UNLABELLED,
    published_rows: ROWS + r" as 'published'\. It may send insurer: document as 'published'\.",
    rows_in_a_document: r"was about to send bundle of \d+ bytes to insurer as 'published'",
    one_opening_too_many: ROWS + r" as 'sent'\. .*array of shape \[3, 4\] 2 time\(s\)",
    one_row_too_many: ROWS + r" as 'sent'\. It may send insurer: float64 array of shape \['batch', 4\] as 'sent'",
    to_the_wrong_party: ROWS + r" as 'sent'\. It may send insurer: document as 'published'\.",
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory, loopback, play_all):
    scenarios = {}
    for case in CASES:
        folder = tmp_path_factory.mktemp(case.__name__)
        job = {"job": "call", "function": f"{Path(__file__).resolve()}:{case.__name__}", "args": []}
        scenarios[case.__name__] = (folder, with_new_identities(loopback(folder, PARTIES)), job)
    return play_all(scenarios, at_once=8)


@pytest.fixture(params=CASES, ids=lambda case: case.__name__)
def case(request):
    return request.param


def test_the_run_fails_and_step_and_shapes_are_named(outcomes, case):
    outcome = outcomes[case.__name__]
    assert outcome.message
    assert re.search(
        f"^hospital failed in step '{case.__name__}': step '{case.__name__}' {CASES[case]}", outcome.message
    )
    assert outcome.results is None


def test_every_party_ends_within_seconds_with_code_4(outcomes, case):
    outcome = outcomes[case.__name__]
    assert outcome.codes() == dict.fromkeys(PARTIES, 4)
    assert outcome.seconds < 15


def test_nothing_was_sent(outcomes, case):
    outcome = outcomes[case.__name__]
    allowed = 2 if case is one_opening_too_many else 0
    for party, direction in (("hospital", "out"), ("insurer", "in")):
        lines = [line for line in outcome.crossed(party, case.__name__) if line["direction"] == direction]
        assert sum(line["kind"] != "document" for line in lines) == allowed


def test_no_value_is_in_the_message_or_with_the_peer(outcomes, case):
    outcome = outcomes[case.__name__]
    found = outcome.message.encode() + repr(outcome.events).encode() + outcome.files("insurer")
    for form in (b"471147", np.float64(SECRET).tobytes()):
        assert form not in found
