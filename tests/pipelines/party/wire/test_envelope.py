"""Signed messages in order: what is taken, and everything that is not."""

import hashlib
import tracemalloc
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veilflow.pipelines.party.wire import envelope
from veilflow.pipelines.party.wire.envelope import CHUNK_BYTES, MAX_PAYLOAD, Header, Receiver, Sender
from veilflow.pipelines.party.wire.errors import WireRefused

JOB = "a" * 32


def _frames(sender, *parts, step="train", what="sent", seq=1):
    found = list(sender.frames(step, what, seq, [memoryview(part) for part in parts]))
    assert isinstance(found[-1], Header)
    return found[:-1], found[-1]


def _take(receiver, frames):
    results = [receiver.take(frame) for frame in frames]
    assert all(result is None for result in results[:-1]), "a message is whole with its last frame only"
    return results[-1]


@pytest.fixture
def sender(identity):
    return Sender(identity("bob"), JOB, "carol")


@pytest.fixture
def receiver(identity):
    return Receiver(identity("carol"), JOB, "bob")


def _refused(receiver, frames, why):
    with pytest.raises(WireRefused, match=why):
        _take(receiver, frames)


def test_a_message_arrives_whole_with_the_header_that_was_signed(sender, receiver):
    frames, signed = _frames(sender, b"abc", b"", b"defg", step="train", what="noised", seq=77)
    header, payload = _take(receiver, frames)
    assert bytes(payload) == b"abcdefg"
    assert header == signed
    assert (header.job, header.sender, header.receiver, header.number) == (JOB, "bob", "carol", 0)
    assert (header.step, header.what, header.seq, header.size) == ("train", "noised", 77, 7)
    assert header.sha256 == hashlib.sha256(b"abcdefg").hexdigest()
    assert not payload.readonly, "arrays in it can be worked on in place"


@pytest.mark.parametrize("size", [0, 1, *(k * CHUNK_BYTES + d for k in (1, 2) for d in (-1, 0, 1))])
def test_every_length_around_a_piece_s_border_arrives(sender, receiver, size):
    content = bytes(range(251)) * (size // 251 + 1)
    content = content[:size]
    frames, _ = _frames(sender, content[: size // 3], content[size // 3 :])
    assert len(frames) == (1 if size <= CHUNK_BYTES else 1 - (-size // CHUNK_BYTES))
    assert bytes(_take(receiver, frames)[1]) == content
    after, _ = _frames(sender, b"next")
    assert bytes(_take(receiver, after)[1]) == b"next"


@given(st.lists(st.binary(max_size=40), max_size=6), st.integers(1, 9))
def test_any_payload_cut_into_any_pieces_arrives(identity, parts, chunk):
    kept, envelope.CHUNK_BYTES = envelope.CHUNK_BYTES, chunk
    try:
        frames, _ = _frames(Sender(identity("bob"), JOB, "carol"), *parts)
    finally:
        envelope.CHUNK_BYTES = kept
    assert bytes(_take(Receiver(identity("carol"), JOB, "bob"), frames)[1]) == b"".join(parts)


def _long(sender):
    """A message of three pieces and the frame that ends it, 20 bytes in all."""
    kept, envelope.CHUNK_BYTES = envelope.CHUNK_BYTES, 8
    try:
        return _frames(sender, b"0123456789abcdefghij")[0]
    finally:
        envelope.CHUNK_BYTES = kept


def test_a_repeated_message_is_refused(sender, receiver):
    frames, _ = _frames(sender, b"pay 100")
    _take(receiver, frames)
    _refused(receiver, frames, "message 0 of bob is repeated; 1 is next")


def test_a_message_that_overtakes_another_is_refused(sender, receiver):
    _frames(sender, b"first")
    _refused(receiver, _frames(sender, b"second")[0], "message 1 of bob is ahead of others that are missing; 0 is next")


def test_a_message_of_another_run_is_refused(identity, receiver):
    frames, _ = _frames(Sender(identity("bob"), "b" * 32, "carol"), b"x")
    _refused(receiver, frames, "does not carry bob's signature")


def test_a_message_to_somebody_else_is_refused(identity, receiver):
    frames, _ = _frames(Sender(identity("bob"), JOB, "alice"), b"x")
    _refused(receiver, frames, "does not carry bob's signature")


def test_a_message_handed_on_by_a_third_party_is_refused(identity):
    """Bob signed it for Carol; Alice plays it to Carol as her own."""
    frames, _ = _frames(Sender(identity("bob"), JOB, "carol"), b"x")
    _refused(Receiver(identity("carol"), JOB, "alice"), frames, "does not carry alice's signature")


def test_bobs_key_cannot_speak_as_carol(identity):
    forged = Sender(identity("bob", claims="carol"), JOB, "alice")
    _refused(Receiver(identity("alice"), JOB, "carol"), _frames(forged, b"x")[0], "does not carry carol's signature")


@pytest.mark.parametrize(
    "change",
    [
        {"job": "b" * 32}, {"number": 1}, {"sender": "carol"}, {"receiver": "alice"}, {"step": "other"},
        {"what": "published"}, {"seq": 2}, {"size": 2}, {"sha256": hashlib.sha256(b"y").hexdigest()},
    ],
)  # fmt: skip
def test_a_signature_over_anything_else_is_refused(identity, sender, receiver, change):
    """Of every field, sent or not, the receiver's own view must be what was signed."""
    _, header = _frames(sender, b"x")
    raw = replace(header, **change).to_bytes()
    _refused(receiver, [_last(header, identity("bob").sign("message", raw), b"x")], "does not carry bob's signature")


def _last(header, signature, body=b""):
    return b"M" + header.to_wire() + signature + body


def test_the_same_message_with_its_own_signature_is_taken(identity, sender, receiver):
    _, header = _frames(sender, b"x")
    good = _last(header, identity("bob").sign("message", header.to_bytes()), b"x")
    assert receiver.take(good) is not None


def test_a_signature_for_another_purpose_is_refused(identity, receiver, sender):
    _, header = _frames(sender, b"x")
    signature = identity("bob").sign("hello", header.to_bytes())
    _refused(receiver, [_last(header, signature, b"x")], "does not carry bob's signature")


def test_a_small_message_costs_little_beside_its_content(sender):
    (frame,), _ = _frames(sender, b"x" * 100, step="train", what="masked vector")
    assert len(frame) == 100 + 1 + 20 + len("trainmasked vector") + 64


def test_a_name_too_long_to_be_counted_is_not_sent(sender):
    with pytest.raises(WireRefused, match="too long to be sent"):
        _frames(sender, b"x", what="w" * (1 << 16))


def test_cut_off_at_every_byte_it_is_refused(identity, sender):
    (frame,), _ = _frames(sender, b"0123456789")
    for end in range(len(frame)):
        with pytest.raises(WireRefused):
            Receiver(identity("carol"), JOB, "bob").take(frame[:end])


def test_a_piece_cut_off_at_every_byte_is_refused(identity, sender):
    frames = _long(sender)
    for end in range(len(frames[0])):
        fresh = Receiver(identity("carol"), JOB, "bob")
        with pytest.raises(WireRefused):
            _take(fresh, [frames[0][:end], *frames[1:]])


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_message_without_one_of_its_pieces_is_refused(sender, receiver, missing):
    frames = _long(sender)
    _refused(receiver, frames[:missing] + frames[missing + 1 :], r"bytes and should have 20")


def test_pieces_in_another_order_or_twice_are_refused(identity, sender):
    a, b, c, end = _long(sender)
    longer = "longer than announced"
    for wrong, why in (([b, a, c, end], "signature"), ([a, b, b, c, end], longer), ([a, b, c, c, end], longer)):
        _refused(Receiver(identity("carol"), JOB, "bob"), wrong, why)


def test_bytes_behind_the_end_are_refused(identity, sender):
    (frame,), _ = _frames(sender, b"x")
    _refused(Receiver(identity("carol"), JOB, "bob"), [frame + b"y"], "does not carry bob's signature")
    *pieces, end = _long(Sender(identity("bob"), JOB, "carol"))
    _refused(Receiver(identity("carol"), JOB, "bob"), [*pieces, end + b"y"], "bytes behind its end")


@pytest.mark.parametrize("at", range(400))
def test_one_flipped_bit_anywhere_is_refused(identity, sender, at):
    (frame,), _ = _frames(sender, b"0123456789" * 3)
    changed = bytearray(frame)
    changed[at % len(frame)] ^= 1 << (at % 8)
    with pytest.raises(WireRefused):
        Receiver(identity("carol"), JOB, "bob").take(bytes(changed))


@given(st.integers(0, 10**6), st.integers(0, 7))
def test_one_flipped_bit_in_a_long_message_is_refused(identity, at, bit):
    frames = [bytearray(frame) for frame in _long(Sender(identity("bob"), JOB, "carol"))]
    at %= sum(map(len, frames))
    for frame in frames:
        if at < len(frame):
            frame[at] ^= 1 << bit
            break
        at -= len(frame)
    with pytest.raises(WireRefused):
        _take(Receiver(identity("carol"), JOB, "bob"), [bytes(frame) for frame in frames])


@given(st.binary(max_size=300))
def test_random_bytes_are_refused(identity, frame):
    fresh = Receiver(identity("carol"), JOB, "bob")
    with pytest.raises(WireRefused):
        _take(fresh, [frame, b"M" + frame])  # what looks like a piece is in no message that anybody has signed


def test_an_oversize_announcement_is_refused_before_memory_is_taken(receiver):
    frame = b"P" + (MAX_PAYLOAD + 1).to_bytes(8, "little") + b"x"
    tracemalloc.start()
    try:
        _refused(receiver, [frame], f"announces {MAX_PAYLOAD + 1} bytes; at most {MAX_PAYLOAD}")
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_message_that_grows_beyond_its_announcement_is_refused(receiver):
    _refused(receiver, [b"P" + (3).to_bytes(8, "little") + b"four"], "longer than announced")


def test_an_oversize_payload_is_not_sent(sender, monkeypatch):
    monkeypatch.setattr(envelope, "MAX_PAYLOAD", 9)
    with pytest.raises(WireRefused, match="a message of 10 bytes is longer than the 9"):
        _frames(sender, b"0123456789")


def test_after_a_refusal_nothing_more_is_taken(identity, receiver):
    good, _ = _frames(Sender(identity("bob"), JOB, "carol"), b"good")
    _refused(receiver, [b"Xnonsense"], "sent something that is no message")
    _refused(receiver, good, "nothing more is taken from bob")


def test_names_that_are_no_text_are_refused(identity, sender, receiver):
    _, header = _frames(sender, b"x")
    frame = bytearray(_last(header, identity("bob").sign("message", header.to_bytes()), b"x"))
    frame[1 + 20] = 0xFF
    _refused(receiver, [bytes(frame)], "header cannot be read")


def test_refusals_hold_no_payload(identity, sender, receiver):
    frames, _ = _frames(sender, b"SECRET-4711")
    _take(receiver, frames)
    with pytest.raises(WireRefused) as caught:
        receiver.take(frames[0])
    assert "SECRET" not in str(caught.value)


def test_a_key_that_is_not_the_pinned_one_makes_no_identity(keys, identity):
    pins = identity("alice").pins
    with pytest.raises(WireRefused, match="alice's signing key is not the one that the cluster file names"):
        type(identity("alice"))("alice", keys["bob"], pins)
    with pytest.raises(WireRefused, match="no signing key is known for 'mallory'"):
        identity("alice").require("mallory", "message", b"x", bytes(64))
