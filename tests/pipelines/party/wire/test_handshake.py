"""Before any data: who is there and whether all run the same thing; everything else ends the start."""

import json
import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veilflow.pipelines.party.wire.errors import WireRefused
from veilflow.pipelines.party.wire.handshake import differences, odd_one_out, shake_hands

PARTIES = ["alice", "bob", "carol"]
FACTS = {"code": "c" * 64, "profile": "production", "version of jax": "0.4.26"}


class Room:
    """All parties at once, one thread each; ``tamper(round, sender, receiver, raw)`` is the network."""

    def __init__(self, identities, facts=None, tamper: Callable[..., bytes] = lambda n, s, r, raw: raw, parties=None):
        self._identities, self._facts, self._tamper = identities, facts or {}, tamper
        self._parties = parties or {}
        self._barriers = [threading.Barrier(len(PARTIES), timeout=5) for _ in range(2)]
        self._said: dict[tuple[int, str], bytes] = {}
        self.result: dict[str, str] = {}
        self.refused: dict[str, str] = {}
        self.crashed: dict[str, BaseException] = {}
        threads = [threading.Thread(target=self._party, args=(party,)) for party in PARTIES]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
            assert not thread.is_alive(), "nobody hangs"

    @property
    def said(self):
        return self._said

    def _party(self, me):
        rounds = iter(range(2))

        def exchange(raw):
            number = next(rounds)
            self._said[number, me] = raw
            self._barriers[number].wait()
            return {p: self._tamper(number, p, me, self._said[number, p]) for p in PARTIES if p != me}

        try:
            parties = self._parties.get(me, PARTIES)
            self.result[me] = shake_hands(self._identities(me), parties, self._facts.get(me, FACTS), exchange)
        except WireRefused as refusal:
            self.refused[me] = str(refusal)
            if next(rounds, None) == 1:
                self._barriers[1].abort()  # the others need not wait for this one's second message
        except threading.BrokenBarrierError:
            pass  # a peer has left
        except BaseException as error:
            self.crashed[me] = error
            self._barriers[1].abort()


def test_all_get_the_same_job_name_and_another_one_each_time(identity):
    rooms = [Room(identity), Room(identity)]
    names = [set(room.result.values()) for room in rooms]
    assert all(len(room.result) == 3 for room in rooms)
    assert [len(found) for found in names] == [1, 1]
    assert names[0] != names[1]
    (name,) = names[0]
    assert len(name) == 32
    assert int(name, 16) >= 0


def test_every_fact_that_differs_is_named_with_each_one_s_value(identity):
    other = {"code": "d" * 64, "profile": "simulation", "version of jax": "0.4.26", "extra": "x"}
    room = Room(identity, facts={"bob": other})
    assert set(room.refused) == set(PARTIES)
    for text in room.refused.values():
        assert "code: alice cccccccccccc, bob dddddddddddd, carol cccccccccccc" in text
        assert "profile: alice production, bob simulation, carol production" in text
        assert "extra: alice nothing, bob x, carol nothing" in text
        assert "jax" not in text


SOME_FACTS = st.dictionaries(st.sampled_from("abc"), st.sampled_from("xy"))


@given(SOME_FACTS, SOME_FACTS)
def test_a_difference_is_found_exactly_where_there_is_one(one, other):
    found = {each.split(":")[0] for each in differences({"p": one, "q": other})}
    assert found == {name for name in one | other if one.get(name) != other.get(name)}


def test_another_list_of_parties_is_refused(identity):
    room = Room(identity, parties={"carol": ["alice", "carol", "bob"]})
    assert "carol runs with another list of parties" in room.refused["alice"]


def test_a_hello_of_an_earlier_run_is_refused(identity):
    """The repeated hello carries a right signature; what it cannot have is an answer to this run's fresh numbers."""
    earlier = Room(identity).said

    def repeat(number, sender, receiver, raw):
        return earlier[number, sender] if sender == "bob" else raw

    room = Room(identity, tamper=repeat)
    assert not room.result
    assert "bob did not see the same greetings as" in " ".join(room.refused.values())


def test_only_the_hello_repeated_is_refused_too(identity):
    earlier = Room(identity).said
    room = Room(identity, tamper=lambda n, s, r, raw: earlier[0, s] if (n, s, r) == (0, "bob", "alice") else raw)
    assert "bob did not see the same greetings as alice" in room.refused["alice"]
    assert "alice" not in room.result


def test_swapped_hellos_are_refused(identity):
    said = {}

    def swap(number, sender, receiver, raw):
        said[number, sender] = raw
        return {"bob": said.get((number, "carol")), "carol": said.get((number, "bob"))}.get(sender) or raw

    room = Room(identity, tamper=swap)
    assert room.refused
    assert "does not carry" in " ".join(room.refused.values())


def test_bobs_key_does_not_greet_as_carol(identity):
    room = Room(lambda party: identity("bob", claims="carol") if party == "carol" else identity(party))
    assert "a hello in carol's name does not carry carol's signature" in room.refused["alice"]


def _resigned(identity, change):
    def tamper(number, sender, receiver, raw):
        if (number, sender) != (0, "bob"):
            return raw
        changed = change(raw[:-64])
        return changed + identity("bob").sign("hello", changed)

    return tamper


def _with(**changes):
    return lambda raw: json.dumps({**json.loads(raw), **changes}).encode()


MALFORMED = {
    "no JSON": lambda raw: b"{",
    "deep": lambda raw: b"[" * 60000,
    "a list": lambda raw: b"[]",
    "one key more": _with(extra=1),
    "one key less": lambda raw: json.dumps({k: v for k, v in json.loads(raw).items() if k != "facts"}).encode(),
    "another version": _with(version=2),
    "another party": _with(party="carol"),
    "a number as nonce": _with(nonce=5),
    "a short nonce": _with(nonce="ab"),
    "no nonce": _with(nonce=None),
    "facts of numbers": _with(facts={"code": 5}),
    "facts as a list": _with(facts=["code"]),
    "parties as a number": _with(parties=5),
    "parties of lists": _with(parties=[["alice"]]),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_signed_hello_that_is_none_is_refused(identity, case):
    room = Room(identity, tamper=_resigned(identity, MALFORMED[case]))
    assert not room.crashed
    assert "bob's hello is not of the form this version knows" in room.refused["alice"]


@pytest.mark.parametrize("raw", [b"", b"x" * 64, b"x" * ((1 << 16) + 1)])
def test_a_hello_of_impossible_length_is_refused(identity, raw):
    room = Room(identity, tamper=lambda n, s, r, found: raw if s == "bob" else found)
    assert f"bob's hello has {len(raw)} bytes" in room.refused["alice"]


@given(st.integers(0, 10**6), st.integers(1, 255), st.integers(0, 1))
def test_a_changed_byte_in_either_round_is_refused(identity, at, mask, number):
    def tamper(found, sender, receiver, raw):
        if (found, sender, receiver) != (number, "bob", "alice"):
            return raw
        changed = bytearray(raw)
        changed[at % len(raw)] ^= mask
        return bytes(changed)

    room = Room(identity, tamper=tamper)
    assert "alice" in room.refused
    assert not room.crashed


@pytest.mark.parametrize(
    ("facts", "alone"),
    [
        ({"a": {"v": "1"}, "b": {"v": "2"}, "c": {"v": "1"}}, "b"),
        ({"a": {"v": "1"}, "b": {"v": "2"}, "c": {"v": "3"}}, ""),
        ({"a": {"v": "1"}, "b": {"v": "2"}}, ""),
        ({"a": {"v": "1", "w": "1"}, "b": {"v": "2", "w": "1"}, "c": {"v": "1", "w": "2"}}, ""),
        ({"a": {"v": "1"}, "b": {"v": "2"}, "c": {"v": "1"}, "d": {"v": "1"}}, "b"),
        ({"a": {"v": "1"}, "b": {"v": "2"}, "c": {"v": "1"}, "d": {"v": "2"}}, ""),
    ],
)
def test_the_party_that_differs_from_all_others_is_named(facts, alone):
    assert odd_one_out(facts) == alone
