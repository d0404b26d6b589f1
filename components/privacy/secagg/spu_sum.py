"""Secure sum inside an SPU.

Computes     the coordinator learns sum_i x_i, exactly; the SPU's parties and the clients learn nothing.
Adversary    semi-honest: one of three SPU parties (ABY3), or one of two (CHEETAH). Two ABY3 parties together can open
             every client's vector. Clients that are not parties of the SPU only send shares.
Reveals      to the coordinator: the sum, who took part, its length.
Not covered  malicious clients or SPU parties.
Assumes      the SPU's protocol; links as `pipelines.party` sets them up.
Cost         2 ring elements of 8 bytes to each of 3 ranks (ABY3): 48 bytes per value, limb and client, and 16 from each
             rank to the coordinator; no multiplication, so no traffic between the ranks.
Reference    Mohassel and Rindal 2018, eprint.iacr.org/2018/403 (ABY3).

JAX programs are compiled with 32-bit integers, so a value travels as limbs of 24 bits, as many as its bound needs (one
where the total fits into 31 bits). Limbs are summed apart and joined at the coordinator.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from veilflow.components.errors import ComponentError

LIMB_BITS = 24
MAX_CLIENTS = 1 << (31 - LIMB_BITS - 1)
"""The sum of so many limbs still fits an int32."""


def limbs(bound: int, clients: int) -> int:
    """How many limbs a value of up to ``bound`` needs.

    Raises:
        ComponentError: more clients than a limb's spare bits allow.
    """
    if clients > MAX_CLIENTS:
        raise ComponentError(
            f"secure sum: the spu backend takes up to {MAX_CLIENTS} clients, not {clients}; use masks."
        )
    count = 1
    # The lowest limbs lie in [0, 2**24); the top one keeps the sign and all that is left.
    while ((bound >> (LIMB_BITS * (count - 1))) + 1) * clients >= 1 << 31:
        count += 1
    return count


def split(vector: np.ndarray, count: int) -> np.ndarray:
    """int64 of shape ``(d,)`` -> int32 limbs of shape ``(count, d)``, lowest first."""
    lower = [(vector >> (LIMB_BITS * i)) & ((1 << LIMB_BITS) - 1) for i in range(count - 1)]
    stacked: np.ndarray = np.stack([*lower, vector >> (LIMB_BITS * (count - 1))]).astype(np.int32)
    return stacked


def join(summed: np.ndarray) -> np.ndarray:
    """The inverse of `split` on sums of limbs."""
    found = np.zeros(summed.shape[1], np.int64)
    for i, limb in enumerate(summed):
        found += limb.astype(np.int64) << (LIMB_BITS * i)
    return found


def variables(parties: tuple[str, ...]) -> Mapping[str, str]:
    """Per client the SPU variable that holds its limbs."""
    return {party: f"secagg/{party}" for party in parties}
