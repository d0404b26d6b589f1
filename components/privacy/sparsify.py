"""Which coordinates travel: the same ones for every client of a round, chosen from public knowledge.

`random_mask` and `largest_mask` tell nothing about a client, and vectors on one mask can be added under encryption.
`own_largest` is the usual top-k of each client's update: its indices are private data and leak (masks alone help an
attacker), and different supports cannot be added in packed slots. It is a baseline for comparisons.

Error feedback is the server's: `Feedback` keeps what earlier *noised* aggregates said about coordinates that were not
applied. A client-side residual would carry a record's un-noised gradient into later rounds, uncounted.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

from veilflow.components.errors import ComponentError


def random_mask(seed: bytes, round: int, size: int, keep: int) -> np.ndarray:
    """rand-k: ``keep`` of ``size`` coordinates, sorted int64, the same for everybody who knows the public ``seed``.

    The seed is public and only makes clients agree; it protects nothing. Uniform over all subsets.
    """
    _require(size, keep)
    key = hashlib.sha256(b"veilflow rand-k v1" + seed + round.to_bytes(8, "little")).digest()
    # Ranks of independent uniform 64-bit numbers; equal ones (2**-24 at a million) fall to the lower index.
    order = np.argsort(_stream(key, size), kind="stable")
    return np.sort(order[:keep])


def row_mask(seed: bytes, round: int, rows: np.ndarray, keep: int) -> np.ndarray:
    """As `random_mask`, but whole rows at a time; the last one is cut so that ``keep`` are left.

    Args:
        rows: of each coordinate the number of its row, from 0: all that one input adds to a layer, for one.
    """
    _require(rows.size, keep)
    count = int(rows.max()) + 1
    key = hashlib.sha256(b"veilflow rows v1" + seed + round.to_bytes(8, "little")).digest()
    turn = np.empty(count, np.int64)
    turn[np.argsort(_stream(key, count), kind="stable")] = np.arange(count)
    return np.sort(np.argsort(turn[rows], kind="stable")[:keep])


def largest_mask(noised: np.ndarray, keep: int) -> np.ndarray:
    """The ``keep`` largest coordinates of the last *noised* aggregate: sorted int64. Post-processing, costs no budget.

    Coordinates outside of the mask are not seen again until `random_mask` brings them in: mix the two
    (`mixed_mask`).
    """
    _require(noised.size, keep)
    return np.sort(np.argsort(-np.abs(noised), kind="stable")[:keep])


def mixed_mask(noised: np.ndarray, seed: bytes, round: int, keep: int, explore: float = 0.25) -> np.ndarray:
    """`largest_mask` for most of the coordinates, random ones for the share ``explore`` of them."""
    fresh = max(1, round_half(keep * explore))
    if fresh >= keep:
        return random_mask(seed, round, noised.size, keep)
    chosen = largest_mask(noised, keep - fresh)
    rest = np.setdiff1d(np.arange(noised.size), chosen, assume_unique=True)
    return np.sort(np.concatenate([chosen, rest[random_mask(seed, round, rest.size, fresh)]]))


def own_largest(update: np.ndarray, keep: int) -> np.ndarray:
    """BASELINE, leaks: the coordinates that are largest in a client's own update."""
    return largest_mask(update, keep)


def scatter(values: np.ndarray, mask: np.ndarray, size: int) -> np.ndarray:
    """A dense vector of ``size`` with ``values`` at ``mask`` and zeros elsewhere."""
    dense = np.zeros(size, values.dtype)
    dense[mask] = values
    return dense


@dataclass
class Feedback:
    """Server-side error feedback on noised aggregates (post-processing: no budget).

    Each round the aggregate on the mask is added to the memory; only its ``keep`` largest coordinates are applied to
    the model and taken out. ``decay`` and ``cap`` keep a memory from growing without bound.
    """

    size: int
    decay: float = 1.0
    cap: float = float("inf")

    def __post_init__(self) -> None:
        if self.size < 1 or not 0 <= self.decay <= 1 or self.cap <= 0:
            raise ComponentError("error feedback: size and cap must be positive, and decay in [0, 1].")
        self.memory = np.zeros(self.size, np.float64)

    def step(self, noised: np.ndarray, mask: np.ndarray, keep: int) -> np.ndarray:
        """What to apply to the model now: dense float64.

        Args:
            noised: the *noised* aggregate on ``mask``, shape ``(len(mask),)``.
            keep: how many coordinates to apply.
        """
        self.memory *= self.decay
        self.memory[mask] += noised
        chosen = largest_mask(self.memory, keep)
        applied = scatter(self.memory[chosen], chosen, self.size)
        self.memory[chosen] = 0.0
        norm = float(np.linalg.norm(self.memory))
        if norm > self.cap:
            self.memory *= self.cap / norm
        return applied


def round_half(value: float) -> int:
    """Nearest whole number, halves up."""
    return int(value + 0.5)


def _stream(key: bytes, count: int) -> np.ndarray:
    raw = Cipher(algorithms.ChaCha20(key, bytes(16)), mode=None).encryptor().update(bytes(8 * count))
    return np.frombuffer(raw, np.uint64)


def _require(size: int, keep: int) -> None:
    if not 1 <= keep <= size:
        raise ComponentError(f"sparsify: {keep} of {size} coordinates cannot be kept; keep 1 to {size}.")
