"""A party's record of the wire: digests and shapes, in order; never a value."""

import hashlib
import json
import secrets

import numpy as np
import pytest

from veilflow.pipelines.party.wire.codec import encode
from veilflow.pipelines.party.wire.describe import describe
from veilflow.pipelines.party.wire.envelope import Header, Sender
from veilflow.pipelines.party.wire.transcript import FILE, Transcript


@pytest.fixture
def transcript(tmp_path):
    made = Transcript(tmp_path)
    yield made
    made._file.close()


def _note(transcript, identity, value, step="train", what="sent", to="bob"):
    payload = encode(value)
    *_, header = Sender(identity("alice"), "a" * 32, to).frames(step, what, 1, payload)
    assert isinstance(header, Header)
    transcript.note("out", to, header, describe(value))
    transcript.flush()
    return b"".join(payload)


def test_a_line_tells_digest_and_shape(transcript, identity, tmp_path):
    sent = _note(transcript, identity, np.zeros((3, 2), "f4"))
    (line,) = map(json.loads, (tmp_path / FILE).read_text().splitlines())
    assert line == {
        "direction": "out", "peer": "bob", "step": "train", "what": "sent", "kind": "array", "dtype": "float32",
        "shape": [3, 2], "items": 1, "bytes": len(sent), "number": 0, "sha256": hashlib.sha256(sent).hexdigest(),
    }  # fmt: skip


def test_no_value_is_in_it(transcript, identity, tmp_path):
    canary = secrets.token_hex(8)
    for value in (canary, [canary], {canary: 1.0}, canary.encode(), np.array([canary]), {"n": 47114711.25}):
        _note(transcript, identity, value)
    text = (tmp_path / FILE).read_text()
    assert text.count("\n") == 6
    for planted in (canary, "47114711", canary.encode().hex()):
        assert planted not in text


def test_totals_are_per_receiver_label_and_shape_of_one_step(transcript, identity, tmp_path):
    sizes = [len(_note(transcript, identity, np.zeros(4))) for _ in range(3)]
    _note(transcript, identity, np.zeros(4), to="carol")
    _note(transcript, identity, [1], step="other")
    first, second = transcript.totals("train")
    assert first == {
        "to": "bob", "what": "sent", "kind": "array", "type": "float64[4]", "objects": 3, "bytes": sum(sizes)
    }  # fmt: skip
    assert second["to"] == "carol"
    transcript.forget()
    assert transcript.totals("train") == []


def test_another_run_is_written_elsewhere(transcript, identity, tmp_path):
    _note(transcript, identity, 1)
    transcript.move(tmp_path / "second")
    _note(transcript, identity, 2)
    assert [len((folder / FILE).read_text().splitlines()) for folder in (tmp_path, tmp_path / "second")] == [1, 1]
