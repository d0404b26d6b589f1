"""The coordinator's part: join pseudonyms, draw an order, pad.

Whoever knows how many rows came out knows a number of people that are common at least (`certain`). So many of them
stand first, chosen by their pseudonyms under a key of the coordinator's own; the others stand behind them, mixed with
the padding. That tells nothing new, and lets later steps open figures over rows none of which is padding. The same
people have the same pseudonyms in every run (`protocol`), so these are the same every time: with other ones in each
run, scores would count all.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from veilflow.components.alignment.anonymous.interface import FULL, NOT_HIDDEN
from veilflow.components.alignment.anonymous.key_agreement import derive
from veilflow.components.alignment.anonymous.permutation import random_order, sorted_with_places
from veilflow.components.errors import ComponentError


@dataclass(frozen=True)
class Matches:
    """What the coordinator knows after the join; only parts of it go to others."""

    positions: tuple[np.ndarray, ...]
    """Per holder uint32, shape (rows,): where in its list each row stands; distinct."""
    member: np.ndarray
    """uint8, shape (rows,): 1 for people in common, 0 for padding."""
    matched: int


def match(pseudonyms: Sequence[np.ndarray], hide_count: str, minimum: int, key: bytes | None = None) -> Matches:
    """The people that all lists have, in a fresh random order, padded.

    Args:
        pseudonyms: per holder uint64, shape (people, 2), rows distinct.
        hide_count: one of `interface.HIDE_COUNT`.
        minimum: of common people.
        key: of the coordinator, by which it chooses who stands first: holders know pseudonyms, and must not know whom
            it would choose. None: a new one.

    Raises:
        ComponentError: fewer than ``minimum``; the message does not say how many.
    """
    found = join(pseudonyms)
    matched = len(found[0])
    if matched < minimum:
        raise ComponentError(
            f"fewer than {minimum} people are common to all holders, which is the minimum that was agreed: "
            f"too few to hide one of them. Compare how IDs are written at the holders (normalise), or lower minimum."
        )
    smallest = min(map(len, pseudonyms))
    rows = padded(matched, smallest, hide_count)
    leading = _first(pseudonyms[0][found[0]], certain(rows, smallest, hide_count, minimum), key)
    order = _random_with_people_first(leading, matched, rows)
    filled = [
        np.concatenate([places, _others(places, len(listed), rows - matched)]).astype(np.uint32)[order]
        for places, listed in zip(found, pseudonyms, strict=True)
    ]
    return Matches(tuple(filled), (order < matched).astype(np.uint8), matched)


def padded(matched: int, smallest: int, hide_count: str) -> int:
    """How many rows come out for ``matched`` common people, where the smallest set has ``smallest``."""
    if hide_count == NOT_HIDDEN:
        return matched
    if hide_count == FULL:
        return smallest
    step = 1 << max(0, matched.bit_length() - 3)
    return min(smallest, -(-max(1, matched) // step) * step)


def certain(rows: int, smallest: int, hide_count: str, minimum: int) -> int:
    """How many people are common at least, as everybody can tell from public figures alone."""
    if hide_count == NOT_HIDDEN:
        return rows
    if hide_count == FULL:
        return min(minimum, rows)
    low, high = 0, rows  # the smallest number that is padded to so many rows
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if padded(middle, smallest, hide_count) >= rows else (middle + 1, high)
    return max(low, min(minimum, rows))


def _first(pseudonyms: np.ndarray, number: int, key: bytes | None) -> np.ndarray:
    """Where ``number`` of ``pseudonyms`` stand that only ``key`` decides, in no meaningful order."""
    if not number:
        return np.zeros(0, np.int64)
    secret = derive(key or secrets.token_bytes(32), "who is first")[:16]
    # A pseudonym is one block, and no two are equal: no mode is needed.
    blocks = Cipher(algorithms.AES(secret), modes.ECB()).encryptor().update(np.ascontiguousarray(pseudonyms).tobytes())
    found: np.ndarray = np.argpartition(np.frombuffer(blocks, np.uint64)[::2], number - 1)[:number]
    return found


def _random_with_people_first(leading: np.ndarray, matched: int, rows: int) -> np.ndarray:
    """A random order of ``range(rows)`` that begins with ``leading``, numbers below ``matched``, in random order."""
    behind = np.ones(rows, bool)
    behind[leading] = False
    mixed = np.flatnonzero(behind)
    return np.concatenate([leading[random_order(len(leading))], mixed[random_order(len(mixed))]])


def _others(taken: np.ndarray, people: int, count: int) -> np.ndarray:
    """``count`` random places out of ``range(people)`` that are not ``taken``, in random order."""
    free = np.ones(people, bool)
    free[taken] = False
    places = np.flatnonzero(free)
    return places[random_order(len(places))[:count]] if count else places[:0]


def join(pseudonyms: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Per list the positions of the pseudonyms that all lists have, aligned with each other; in no meaningful order."""
    found = [np.arange(len(pseudonyms[0]))]
    common = pseudonyms[0]
    for following in pseudonyms[1:]:
        here, there = _join_two(common, following)
        found = [places[here] for places in found] + [there]
        common = common[here]
    return found


def _join_two(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions of equal rows. Sorting looks at the upper bits of the first halves only; what agrees there is compared
    as a whole, and where rows of ``one`` agree there among themselves, those few are joined by hand."""
    bits = max(1, len(one), len(other)).bit_length()
    keys, first = sorted_with_places(one[:, 0], bits)
    wanted, second = sorted_with_places(other[:, 0], bits)
    at = np.minimum(np.searchsorted(keys, wanted), max(0, len(keys) - 1))
    hit = keys[at] == wanted if len(keys) else np.zeros(len(wanted), bool)
    here, there = first[at[hit]], second[hit]
    same = (one[here, 0] == other[there, 0]) & (one[here, 1] == other[there, 1])
    repeated = np.unique(keys[1:][keys[1:] == keys[:-1]])
    if not len(repeated) or same.all():
        return here[same], there[same]
    ambiguous, missed = first[np.isin(keys, repeated)], there[~same]
    more, found = _join_by_hand(one[ambiguous], other[missed])
    return np.concatenate([here[same], ambiguous[more]]), np.concatenate([there[same], missed[found]])


def _join_by_hand(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    known = {row.tobytes(): at for at, row in enumerate(one)}
    pairs = [(known.get(row.tobytes(), -1), at) for at, row in enumerate(other)]
    found = np.array([pair for pair in pairs if pair[0] >= 0], np.int64).reshape(-1, 2)
    return found[:, 0], found[:, 1]
