"""Arithmetic on shares of three parties, two components at each: what ABY3 does inside the SPU, on whole arrays.

A secret is x = x_0 + x_1 + x_2 mod 2^64; every two parties hold one component in common. A party's shares are written
as ``{peer: the component it has in common with that peer}``. Every function here is one party's local step; what it
returns for a peer is masked by a stream whose key that peer lacks, and each stream is used once.

Adversary    semi-honest, one of three parties.
Reveals      nothing.
Reference    Araki, Furukawa, Lindell, Nof and Ohara, CCS 2016 (product and re-sharing); Mohassel and Rindal, "ABY3",
             CCS 2018, section 5.3 (a secret bit as a number).

Bits. b = x xor y, where two parties (the *pair*) know x, their common component, and the third knows y, the xor of the
two others. As numbers b = x + y - 2 x y. The third shares y between the two; then x y is the sum of what each of the
pair computes alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

Shares = Mapping[str, np.ndarray]
"""Peer -> the component held in common with it."""

_MINUS_TWO = np.uint64(2**64 - 2)


def concealed(half: np.ndarray, stream: np.ndarray) -> np.ndarray:
    """An additive half as its peer gets it: minus the stream in common with the third party."""
    hidden: np.ndarray = half - stream
    return hidden


def from_halves(
    own: np.ndarray, received: np.ndarray, stream: np.ndarray, peer: str, third: str
) -> dict[str, np.ndarray]:
    """Shares of the sum of two parties' halves, at one of the two, after both have exchanged `concealed` halves."""
    return {peer: own + received, third: stream}


def bit_of_pair(components: Shares, peer: str) -> np.ndarray:
    """x, at one of the pair: the bit in common with the other one, as 0 or 1, uint64."""
    return (components[peer] & 1).astype(np.uint64)


def bit_of_third(components: Shares) -> np.ndarray:
    """y, at the third: the xor of its two bits, uint64."""
    one, other = components.values()
    found: np.ndarray = ((one ^ other) & 1).astype(np.uint64)
    return found


def bit_as_number(
    bit: np.ndarray, summand: np.ndarray, product: Shares, peer: str, third: str
) -> dict[str, np.ndarray]:
    """Shares of b at one of the pair.

    Args:
        bit: x.
        summand: this party's share of y (the stream, or what the third sent).
        product: its shares of x y.
    """
    return {peer: bit + _MINUS_TWO * product[peer], third: summand + _MINUS_TWO * product[third]}


def bit_as_number_at_third(summands: Shares, product: Shares) -> dict[str, np.ndarray]:
    """Shares of b at the third."""
    return {peer: summands[peer] + _MINUS_TWO * product[peer] for peer in summands}


def product(left: Shares, right: Shares, parties: Sequence[str], me: str, streams: Shares) -> np.ndarray:
    """One party's summand of the product, re-randomised; it becomes the component in common with `follower`.

    Args:
        left, right: shares of arrays that broadcast against each other.
        parties: all three, in one order at all of them.
        streams: per peer a stream in common with it, of the product's shape.
    """
    after, before = follower(parties, me), follower(parties, follower(parties, me))
    # Own component: the one shared with the party before. Each of the nine products is made by exactly one party.
    own_left, own_right, next_left, next_right = left[before], right[before], left[after], right[after]
    total: np.ndarray = own_left * (own_right + next_right) + next_left * own_right
    found: np.ndarray = total + streams[after] - streams[before]
    return found


def product_shares(own: np.ndarray, received: np.ndarray, parties: Sequence[str], me: str) -> dict[str, np.ndarray]:
    """Shares of the product at ``me``; it sent ``own`` to the party before and got ``received`` from the one after."""
    after = follower(parties, me)
    return {follower(parties, after): own, after: received}


def follower(parties: Sequence[str], me: str) -> str:
    """The next party, cyclically."""
    return parties[(list(parties).index(me) + 1) % 3]


def as_parts(shares: Shares, ranks: Sequence[str], me: str) -> np.ndarray:
    """In the SPU's layout: shape (..., 2), x_rank and x_(rank + 1); ``ranks`` are its parties in order."""
    after = follower(ranks, me)
    return np.stack([shares[follower(ranks, after)], shares[after]], axis=-1)


def from_parts(parts: np.ndarray, ranks: Sequence[str], me: str) -> dict[str, np.ndarray]:
    """The inverse of `as_parts`."""
    after = follower(ranks, me)
    return {follower(ranks, after): parts[..., 0], after: parts[..., 1]}
