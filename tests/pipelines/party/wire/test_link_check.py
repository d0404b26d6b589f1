"""Who is at every rank of a library's link: real yacl links in memory, one thread per party."""

import secrets
import threading

import pytest
import spu.libspu.link as yacl

from veilflow.pipelines.party.wire.errors import WireRefused
from veilflow.pipelines.party.wire.link_check import checker

PARTIES = ["alice", "bob", "carol"]
JOB = "a" * 32


class Tampered:
    """A link on which this rank says something else in one of the two rounds."""

    def __init__(self, link, said):
        self._link, self._said, self._round = link, said, 0

    def all_gather(self, text):
        self._round += 1
        return self._link.all_gather(self._said.get(self._round, lambda found: found)(text))


def _check(identities, jobs=None, names=None, tables=None, links=None):
    desc = yacl.Desc()
    desc.id = secrets.token_hex(8)
    desc.recv_timeout_ms = 5000
    for party in PARTIES:
        desc.add_party(party, party)
    found = {}

    def run(rank, party):
        link = yacl.create_mem(desc, rank)
        if links and party in links:
            link = links[party](link)
        try:
            check = checker(identities(party), (jobs or {}).get(party, JOB))
            check(link, (tables or {}).get(party, PARTIES), (names or {}).get(party, "spu"))
            found[party] = "ok"
        except WireRefused as refusal:
            found[party] = str(refusal)

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(PARTIES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(15)
        assert not thread.is_alive(), "nobody hangs"
    return found


def test_the_right_parties_meet(identity):
    assert _check(identity) == dict.fromkeys(PARTIES, "ok")


def test_bob_at_carols_rank_is_found_out(identity):
    found = _check(lambda party: identity("bob", claims="carol") if party == "carol" else identity(party))
    for party in ("alice", "bob"):
        assert found[party] == "a link in carol's name does not carry carol's signature."


@pytest.mark.parametrize("what", [{"jobs": {"carol": "b" * 32}}, {"names": {"carol": "psi"}}])
def test_a_link_of_another_job_or_purpose_is_refused(identity, what):
    found = _check(identity, **what)
    assert "does not carry carol's signature" in found["alice"]
    assert "does not carry" in found["carol"]


def test_ranks_in_another_order_are_refused(identity):
    assert "ok" not in _check(identity, tables={"carol": ["bob", "alice", "carol"]}).values()


def test_a_greeting_of_an_earlier_link_is_refused(identity):
    """Everything that Carol has said on an earlier link, word for word, by somebody without her key."""
    said = []

    class Recorded:
        def __init__(self, link):
            self._link = link

        def all_gather(self, text):
            said.append(text)
            return self._link.all_gather(text)

    assert set(_check(identity, links={"carol": Recorded}).values()) == {"ok"}
    words = {1: lambda _: said[0], 2: lambda _: said[1]}
    found = _check(
        lambda party: identity("bob", claims="carol") if party == "carol" else identity(party),
        links={"carol": lambda link: Tampered(link, words)},
    )
    assert "does not carry carol's signature" in found["alice"]


@pytest.mark.parametrize("text", ["", "zz", "00" * 63, "00" * 65, "x" * 5000])
def test_a_signature_that_is_none_is_refused(identity, text):
    found = _check(identity, links={"carol": lambda link: Tampered(link, {2: lambda _: text})})
    assert found["alice"].startswith(("a link's greeting is malformed", "a link in carol's name does not carry"))
