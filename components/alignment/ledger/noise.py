"""Noise that a repeated question gets again: fresh noise averages out, the same noise does not.

Computes     from the holder's ledger key, the question (what is asked, with which epsilon), its own set of people and
             its partners': a key for the noise of that one question.
Guarantees   (tests) the same question about the same people has the same key in every run, whatever the parties are
             called, whichever table comes first, and whatever their columns hold; one person more or less at either
             side, or another epsilon, and the key is another one, which nobody else can tell from a random one.
Assumes      HKDF-SHA256 as a PRF; a partner that states the set of people it brings (`sketch`). A partner that runs
             other code and states an old set with another one gets two counts under the same noise, and their
             difference. Its statements are signed and stand in the ledger; that is all there is against it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from veilflow.components.alignment.anonymous.key_agreement import derive
from veilflow.components.alignment.ledger.sketch import Sketch


@dataclass(frozen=True)
class Question:
    """What a run will tell about a count, with noise; public."""

    kind: str
    """Noise is drawn apart for each kind."""
    epsilon: Fraction
    """0: nothing is told, and nothing charged; only what is drawn shall be the same every time."""


def noise_key(key: bytes, question: Question, own: Sketch, partners: Sequence[Sketch]) -> bytes:
    """32 bytes, for this holder's noise on ``question`` alone.

    Args:
        key: of this holder's ledger.
        own, partners: the sets of people; values do not matter, since a count does not depend on them.
    """
    sets = sorted(f"{each.key}:{each.digest}" for each in partners)
    return derive(key, "count noise", question.kind, str(question.epsilon), own.digest, *sets)


def question_name(noise: bytes) -> str:
    """32 hex digits that name a question in the ledger and say nothing about its noise."""
    return hashlib.blake2b(b"", key=noise, digest_size=16, person=b"vf ledger quest").hexdigest()
