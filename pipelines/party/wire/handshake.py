"""Before any data: the parties make sure who they are and that they are about to run the same thing.

Computes     a job name of 128 bits that no earlier run had, and the certainty that every party has the same facts
             (code, package versions, profile, devices).
Adversary    anybody on the network; a member that speaks as another one or repeats an old hello.
Reveals      to every party: versions, digests of code, policies and device settings, and random numbers.
Not covered  a member that lies about its own code.
Assumes      the pinned signing keys (`Identity`).
Cost         two rounds on the control link, once per connection.
Reference    sign-and-confirm as in SIGMA (Krawczyk 2003), without key exchange: TLS has the keys.
"""

import hashlib
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from veilflow.pipelines.party.wire.errors import NotAlike, WireRefused
from veilflow.pipelines.party.wire.identity import SIGNATURE_BYTES, Identity

Exchange = Callable[[bytes], Mapping[str, bytes]]
"""Send the same bytes to every peer; what each peer sent."""

_VERSION = 1
_MAX_HELLO = 1 << 16
_HELLO, _CONFIRM = "hello", "confirmation"


def shake_hands(identity: Identity, parties: Sequence[str], facts: Mapping[str, str], exchange: Exchange) -> str:
    """The job name, once every party has proved who it is and that its ``facts`` are ours.

    Raises:
        WireRefused: a signature is wrong, a hello is malformed or old, or facts differ: all of them are named.
    """
    me = identity.party
    own = {
        "version": _VERSION,
        "party": me,
        "parties": list(parties),
        "nonce": secrets.token_hex(16),
        "facts": dict(facts),
    }
    raw = json.dumps(own, sort_keys=True).encode()
    received = exchange(raw + identity.sign(_HELLO, raw))
    hellos = {me: raw, **{peer: _signed(identity, peer, _HELLO, received[peer]) for peer in parties if peer != me}}
    read = {party: own if party == me else _read(party, hellos[party]) for party in parties}
    _require_same(read, parties)
    digest = hashlib.sha256()
    for party in sorted(parties):
        digest.update(len(hellos[party]).to_bytes(4, "big") + hellos[party])
    whole = digest.digest()
    # Signed together with everybody's fresh numbers: a repeated hello has no such signature.
    answers = exchange(whole + identity.sign(_CONFIRM, whole))
    for peer in parties:
        if peer != me and _signed(identity, peer, _CONFIRM, answers[peer]) != whole:
            raise WireRefused(f"{peer} did not see the same greetings as {me}: somebody repeats or changes messages.")
    return digest.hexdigest()[:32]


def _signed(identity: Identity, party: str, purpose: str, raw: bytes) -> bytes:
    if not SIGNATURE_BYTES < len(raw) <= _MAX_HELLO:
        raise WireRefused(f"{party}'s {purpose} has {len(raw)} bytes.")
    text, signature = raw[:-SIGNATURE_BYTES], raw[-SIGNATURE_BYTES:]
    identity.require(party, purpose, text, signature)
    return text


def _read(party: str, raw: bytes) -> dict[str, Any]:
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or set(found) != {"version", "party", "parties", "nonce", "facts"}:
        raise WireRefused(f"{party}'s hello is not of the form this version knows.")
    nonce, facts, parties = found["nonce"], found["facts"], found["parties"]
    if found["version"] != _VERSION or found["party"] != party or not isinstance(nonce, str) or len(nonce) != 32:
        raise WireRefused(f"{party}'s hello is not of the form this version knows.")
    if not isinstance(parties, list) or not all(isinstance(each, str) for each in parties):
        raise WireRefused(f"{party}'s hello is not of the form this version knows.")
    if not isinstance(facts, dict) or not all(isinstance(each, str) for pair in facts.items() for each in pair):
        raise WireRefused(f"{party}'s hello is not of the form this version knows.")
    return found


def _require_same(hellos: Mapping[str, Mapping[str, Any]], parties: Sequence[str]) -> None:
    others = [party for party in parties if list(hellos[party]["parties"]) != list(parties)]
    if others:
        raise WireRefused(f"{', '.join(others)} runs with another list of parties.")
    facts = {party: hellos[party]["facts"] for party in parties}
    differing = differences(facts)
    if differing:
        alone = odd_one_out(facts)
        who = f" Only {alone} differs: install or set up there what the others have." if alone else ""
        raise NotAlike(f"the parties are not set up alike. {'; '.join(differing)}.{who}", alone)


def odd_one_out(facts: Mapping[str, Mapping[str, str]]) -> str:
    """The one party without which all of at least two others have the same facts; empty where there is none."""
    found = []
    for party in facts:
        others = [held for name, held in facts.items() if name != party]
        if len(others) >= 2 and all(held == others[0] for held in others):
            found.append(party)
    return found[0] if len(found) == 1 else ""


def differences(facts: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Every fact that is not the same at all parties, with each one's value."""
    names = list(dict.fromkeys(name for held in facts.values() for name in held))
    found = []
    for name in names:
        values = {party: held.get(name, "nothing") for party, held in facts.items()}
        if len(set(values.values())) > 1:
            found.append(f"{name}: " + ", ".join(f"{party} {_short(value)}" for party, value in values.items()))
    return found


def _short(value: str) -> str:
    """Digests differ in their first digits as surely as in all of them."""
    return value[:12] if len(value) == 64 and all(each in "0123456789abcdef" for each in value) else value[:80]
