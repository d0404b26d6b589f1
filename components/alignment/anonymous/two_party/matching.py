"""Which people are common, as positions in lists that only the other side can relate to rows.

Each holder's list is in a private random order. With hidden counts, both lists get the same number of extra points:

- pool 1: all of it in the first holder's list, a random part of it in the second's, filled up with random points;
- pool 2: the other way round.

So the number of matches is the number of common people plus noise of both sides, each in [0, pool]; a holder knows its
own noise, and the other's hides the count. List lengths say nothing. How many points of a pool come along is drawn from
the key in the `Holding`, so that a repeated run repeats it; which ones, anew each time.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from veilflow.components.alignment.anonymous import integer_noise
from veilflow.components.alignment.anonymous.interface import Holding
from veilflow.components.alignment.anonymous.packed_ids import BLOCK, PackedIds
from veilflow.components.alignment.anonymous.permutation import random_order
from veilflow.components.alignment.anonymous.ring import FRACTION_BITS
from veilflow.components.alignment.anonymous.two_party import curve

MEMBER = np.uint64(1 << FRACTION_BITS)


@dataclass(frozen=True)
class Padding:
    """How the count is hidden; public. A pool has ``2 * half`` points; ``half`` 0 switches it off."""

    epsilon: Fraction
    half: int

    @property
    def points(self) -> int:
        """Extra points in each list."""
        return 4 * self.half


@dataclass
class Listed:
    """A holder's list: people, then extra points, in its private order."""

    secret: bytes
    points: np.ndarray
    """uint8, shape (n, 32), not blinded."""
    values: np.ndarray
    """uint64, shape (n, columns); the first holder's last column says who is a person."""


def make_list(holding: Holding, salt: bytes, padding: Padding, first: bool) -> Listed:
    """Hash, pad and shuffle a holder's people.

    Args:
        salt: 16 bytes that both holders have and nobody else needs.
        first: whether it is the first holder, whose rows carry the membership mask where the count is hidden.
    """
    extra = _extra_points(salt, padding, first, holding.noise)
    points = np.concatenate([curve.hash_points(id_bytes(holding.ids), salt), extra])
    people, columns = holding.values.shape
    marked = first and padding.half > 0
    values = np.zeros((len(points), columns + marked), np.uint64)
    values[:people, :columns] = holding.values
    if marked:
        values[:people, -1] = MEMBER
    order = random_order(len(points))
    return Listed(curve.new_secret(), points[order], values[order])


def id_bytes(ids: PackedIds) -> list[bytes]:
    """Per row the bytes of its own blocks: the same for the same ID at every holder."""
    whole, width = ids.rows.tobytes(), ids.rows.shape[1]
    used = np.full(len(ids), width) if ids.blocks is None else ids.blocks.astype(np.int64) * BLOCK
    return [whole[at * width : at * width + size] for at, size in enumerate(used.tolist())]


def blinded(mine: Listed) -> np.ndarray:
    """The list as the other holder gets it."""
    return curve.blind(mine.secret, mine.points)


def blind_again(mine: Listed, theirs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The other's list under both secrets, in an order that only this holder knows; and that order."""
    order = random_order(len(theirs))
    return curve.blind(mine.secret, theirs[order]), order


def blind_too(mine: Listed, theirs: np.ndarray) -> np.ndarray:
    """The other's list under both secrets, in the order it came in."""
    return curve.blind(mine.secret, theirs)


def find_common(shuffled: np.ndarray, theirs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Matches, at the first holder, in a random order.

    Args:
        shuffled: its own list, under both secrets and in the other's order (`blind_again`).
        theirs: the other's list, under both secrets and in the other's order (`blind_too`).

    Returns:
        int64, shape (matches,) each: positions in ``shuffled`` and in ``theirs``.
    """
    where = {point: at for at, point in enumerate(_each(theirs))}
    pairs = [(at, where[point]) for at, point in enumerate(_each(shuffled)) if point in where]
    found = np.array(pairs, np.int64).reshape(-1, 2)[random_order(len(pairs))]
    return found[:, 0].copy(), found[:, 1].copy()


def _each(points: np.ndarray) -> list[bytes]:
    raw = points.tobytes()
    return [raw[at : at + curve.POINT] for at in range(0, len(raw), curve.POINT)]


def _extra_points(salt: bytes, padding: Padding, first: bool, noise: bytes | None) -> np.ndarray:
    if padding.half == 0:
        return np.zeros((0, curve.POINT), np.uint8)
    size = 2 * padding.half
    pools = [curve.hash_points([b"pool %d %d" % (pool, at) for at in range(size)], _pool_salt(salt)) for pool in (1, 2)]
    whole, part = pools if first else reversed(pools)
    draws = secrets.randbelow if noise is None else integer_noise.keyed_draws(noise)
    count = padding.half + integer_noise.bounded_laplace(padding.epsilon, padding.half, draws)
    chosen = random_order(size)[:count]
    return np.concatenate([whole, part[chosen], curve.random_points(size - count)])


def _pool_salt(salt: bytes) -> bytes:
    """Another one than that of IDs, so that no ID can be a pool's point."""
    return bytes(each ^ 0xFF for each in salt)


def new_salt() -> bytes:
    """16 random bytes."""
    return secrets.token_bytes(16)
