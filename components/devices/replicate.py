"""Additive shares become the shares that the SPU keeps: for ABY3 one message per party, for CHEETAH none.

Computes     from a_0 + a_1 + a_2 = x mod 2^64 (a_i at party i; a party may hold none, which counts as 0): replicated
             shares x_i, x_(i+1) of the same x at party i.
Adversary    semi-honest, one of three parties, as ABY3.
Reveals      nothing: party i gets x_(i+1) = a_(i+1) + z_(i+1) with z a fresh zero sharing of which it lacks one seed.
Not covered  a malicious party; a party that gets two of the three additive shares from elsewhere.
Assumes      AES-128 in counter mode is a PRF; seeds from the operating system, one per call.
Cost         two rounds; per party 16 + 8 rows x columns bytes.
Reference    Araki et al. 2016, "High-Throughput Semi-Honest Secure Three-Party Computation", eprint 2016/768.
"""

import secrets
from collections.abc import Mapping
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from veilflow.components.devices.labels import SHARES
from veilflow.components.devices.pyu import run_on, send_to
from veilflow.components.devices.secret_layout import ring
from veilflow.components.devices.secret_table import SpuFacts

SEED_BYTES = 16


def replicate(parts: Mapping[str, Any], shape: tuple[int, int], spu: SpuFacts) -> dict[str, Any]:
    """Per SPU party its shares (rows, columns, k) of the sum of ``parts``, for `write_secret_table`.

    Args:
        parts: party of the SPU -> its additive share, uint64 (rows, columns) at that party. Two parties will do.
        shape: (rows, columns), public.

    What is sent carries the label "shares": list it in the step's `Claims.sends`.
    """
    assert set(parts) <= set(spu.parties), (sorted(parts), spu.parties)
    held = {party: parts.get(party) for party in spu.parties}
    if spu.protocol == "CHEETAH":
        return {party: run_on(party, lambda part: _or_zero(part, shape)[..., None], held[party]) for party in held}
    parties = spu.parties
    seeds = {party: run_on(party, secrets.token_bytes, SEED_BYTES) for party in parties}
    masked = {}
    for rank, party in enumerate(parties):
        given = send_to(party, seeds[parties[rank - 1]], SHARES)
        masked[party] = run_on(party, _masked, held[party], seeds[party], given, shape)
    found = {}
    for rank, party in enumerate(parties):
        neighbour = parties[(rank + 1) % 3]
        following = send_to(party, run_on(neighbour, np.ndarray.tobytes, masked[neighbour]), SHARES)
        found[party] = run_on(party, _pair, masked[party], following)
    return found


def keystream(seed: bytes, shape: tuple[int, ...]) -> np.ndarray:
    """Pseudo-random ring elements; a seed must be used once only."""
    cipher = Cipher(algorithms.AES(seed), modes.CTR(bytes(16))).encryptor()
    raw = np.zeros(int(np.prod(shape)), np.uint64)
    return np.frombuffer(cipher.update(raw.data.cast("B")), np.uint64).reshape(shape)


def _or_zero(part: np.ndarray | None, shape: tuple[int, int]) -> np.ndarray:
    return np.zeros(shape, np.uint64) if part is None else part.reshape(shape)


def _masked(part: np.ndarray | None, own: bytes, given: bytes, shape: tuple[int, int]) -> np.ndarray:
    """The share re-masked; the three masks add up to zero, and every two of them are random."""
    masked: np.ndarray = _or_zero(part, shape) + keystream(own, shape) - keystream(given, shape)
    return masked


def _pair(own: np.ndarray, following: bytes) -> np.ndarray:
    return np.stack([own, np.frombuffer(following, np.uint64).reshape(own.shape)], axis=-1)


def deal(values: np.ndarray, protocol: str) -> list[np.ndarray]:
    """Fresh shares of numbers that one party knows: per rank uint64 of shape (*values.shape, k), for that rank only."""
    whole = ring(values)
    first = keystream(secrets.token_bytes(SEED_BYTES), whole.shape)
    if protocol == "CHEETAH":
        return [first[..., None], (whole - first)[..., None]]
    second = keystream(secrets.token_bytes(SEED_BYTES), whole.shape)
    drawn = [first, second, whole - first - second]
    return [np.stack([drawn[rank], drawn[(rank + 1) % 3]], axis=-1) for rank in range(3)]
