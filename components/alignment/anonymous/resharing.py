"""From two halves of a row to shares of the SPU's parties, such that nobody can relate them to what it knew.

Computes     x = a + b mod 2^64, with a at the helper and b at the carrier, becomes the SPU's shares of x.
ABY3         x = x_0 + x_1 + x_2, where the parties of rank i and i - 1 hold x_i. The component of helper and third, and
             that of carrier and third, are pseudo-random streams under the two's common key. Helper and carrier open
             to each other their half minus the stream they know; the sum is the third component. The third party
             receives nothing. Two numbers are sent per value, against three where shares are masked and passed on.
CHEETAH      the helper adds and the coordinator subtracts a stream that only these two know, before the carrier
             gets it.
Adversary    semi-honest, one corrupted party.
Reveals      nothing: what a party receives is masked by a stream whose key it does not have, used once.
Assumes      AES-256 (`prg`).
Cost         ABY3: 16 bytes per value in all, in one round; CHEETAH: 8 bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from veilflow.components.alignment.anonymous import prg


def component(ranks: Sequence[str], one: str, other: str) -> int:
    """Which of x_0, x_1, x_2 the two parties hold together."""
    first, second = ranks.index(one), ranks.index(other)
    return first if second == (first - 1) % 3 else second


def place(ranks: Sequence[str], me: str, peer: str) -> int:
    """Where ``me`` keeps the component it shares with ``peer``: 0 for x_rank, 1 for x_(rank + 1)."""
    return 0 if component(ranks, me, peer) == ranks.index(me) else 1


@dataclass(frozen=True)
class Component:
    """Part of one party's shares of a block of rows: some columns, at one place."""

    first: int
    """The first column."""
    columns: int
    place: int
    key: bytes | None = None
    """Where it is a stream; otherwise it is a sum of ``terms`` arrays."""
    terms: int = 0


def merge(
    parts: Sequence[Component], arrays: Sequence[np.ndarray], start: int, shape: tuple[int, int, int]
) -> np.ndarray:
    """One party's shares of the rows from ``start`` on: uint64, shape (rows, columns, k).

    Args:
        parts: every column and place once.
        arrays: one or two for each part that is no stream, in order, of shape (rows, the part's columns).
    """
    out = np.empty(shape, np.uint64)
    left = iter(arrays)
    for part in parts:
        target = out[:, part.first : part.first + part.columns, part.place]
        if part.key is not None:
            prg.write(target, part.key, start)
        elif part.terms == 1:
            target[...] = next(left)
        else:
            np.add(next(left), next(left), out=target)
    return out
