"""Which rows make up which batch: public, random, the same at every party."""

import hashlib
import secrets
from collections.abc import Iterator, Sequence

import numpy as np

from veilflow.components.errors import ComponentError

TOKEN_BYTES = 16


def batch_size(rows: int, wanted: int, minimum: int) -> int:
    """The size all batches of a run have: near ``wanted``, and never below ``minimum``.

    The last rows of an epoch that would make a shorter batch are left out of that epoch (other rows each time), because
    a sum over few rows says more about each of them.

    Raises:
        ComponentError: fewer rows than ``minimum``.
    """
    if rows < minimum:
        raise ComponentError(
            f"{rows} row(s) cannot fill a batch of at least {minimum}; bring more rows or lower minimum_batch "
            "(a sum over few rows says more about each of them)."
        )
    return max(minimum, rows // max(1, round(rows / wanted)))


def order_token() -> bytes:
    """A party's part of the randomness behind an epoch's order."""
    return secrets.token_bytes(TOKEN_BYTES)


def epoch_order(tokens: Sequence[bytes], rows: int) -> np.ndarray:
    """A permutation of the rows drawn from the hash of everybody's tokens.

    No party that follows the protocol chooses it; one that waits for the others' tokens before sending its own could.
    """
    seed = hashlib.sha256(b"".join(tokens)).digest()
    return np.random.default_rng(int.from_bytes(seed, "little")).permutation(rows)


def batches(order: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Whole batches only."""
    for start in range(0, len(order) - size + 1, size):
        yield order[start : start + size]
