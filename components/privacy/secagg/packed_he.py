"""Secure sum under packed Paillier.

Computes     the coordinator learns sum_i x_i, exactly; the key's keeper and the clients learn nothing.
How          clients pack their values into few plaintexts (`privacy.packing`), encrypt them, and send them to the
             coordinator, who adds the ciphertexts, adds a ciphertext of a random R it alone knows, and sends the result
             to the keeper. The keeper decrypts sum + R and returns it; the coordinator takes R away.
Adversary    semi-honest, static: the coordinator, or the keeper, or any clients. NOT the coordinator together with
             the keeper: they could open every client's vector. If that is too much trust, use `masks` or `spu`.
Reveals      to the coordinator: the sum, who took part, its length. To the keeper: the number of ciphertexts; sum + R
             is within 2**-`BLIND_BITS` of uniform whatever the sum is, and it never gets a client's ciphertext.
Not covered  a malicious coordinator: it can have one client's ciphertext decrypted instead of the sum, and the keeper
             cannot tell. `masks` does not have this weakness. Malicious clients: a ciphertext is no proof that its
             values are in range. A total beyond its range is refused, but a value that leaks into the neighbouring slot
             and stays in range is not seen. A malicious keeper can return another total.
Assumes      Paillier is CPA-secure (decisional composite residuosity, 3072 bits); HEU draws its randomness well.
Cost         one ciphertext of 2 * key_bits per 2928 / slot-width values: with 10-bit slots (values of 8 bits, three
             clients) 2.7 bytes per value and client, 2.7 for the blinded sum, 1.3 for the opened one. Encryption
             dominates; the sum is decrypted once per round.
Reference    Paillier 1999; packing as in Zhang et al. 2020 (BatchCrypt, USENIX ATC). Our slots are exact: nothing is
             quantised here.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from heu import numpy as hnp
from heu import phe

from veilflow.components.errors import ComponentError

BLIND_BITS = 128
"""What the coordinator's R hides the sum with, beyond the sum's own width."""
_MARGIN = 16
"""Plaintexts stay this many bits below the key's size, so that the sum with R cannot wrap."""


def capacity(key_bits: int) -> int:
    """Bits of a plaintext that values may fill."""
    return key_bits - _MARGIN - BLIND_BITS


def ciphertext_bytes(count: int, key_bits: int) -> int:
    """What ``count`` ciphertexts take on the wire at most: HEU leaves out leading zeros, and adds 15 bytes to each."""
    return count * (2 * key_bits // 8 + 16) + 64


def opened_bytes(count: int, key_bits: int) -> int:
    """What ``count`` opened plaintexts take on the wire."""
    return count * (key_bits // 8)


def new_key(key_bits: int) -> tuple[Any, bytes]:
    """A key kit, which stays with the keeper, and the public key as bytes."""
    kit = hnp.setup(phe.SchemaType.ZPaillier, key_bits)
    return kit, kit.public_key().serialize()


def encrypt(public: bytes, plaintexts: Sequence[int]) -> bytes:
    """Encrypt whole numbers of up to the key's size, each under fresh randomness."""
    kit = _kit(public)
    return kit.encryptor().encrypt(_array(kit, plaintexts)).serialize()  # type: ignore[no-any-return]


def add_blinded(public: bytes, ciphertexts: Sequence[bytes], key_bits: int) -> tuple[bytes, list[int]]:
    """The sum of the clients' ciphertexts plus fresh R, and R, which stays with the coordinator.

    Raises:
        ComponentError: something else than ciphertexts, or of different lengths.
    """
    kit = _kit(public)
    arrays = [_load(each) for each in ciphertexts]
    if len({array.size for array in arrays}) != 1:
        raise ComponentError("secure sum: the clients sent different numbers of ciphertexts. Round discarded.")
    blind = [secrets.randbits(key_bits - _MARGIN) for _ in range(arrays[0].size)]
    total = kit.encryptor().encrypt(_array(kit, blind))
    for array in arrays:
        total = kit.evaluator().add(total, array)
    return total.serialize(), blind


def decrypt(kit: Any, ciphertexts: bytes, key_bits: int) -> bytes:
    """Plaintexts as little-endian numbers of ``key_bits // 8`` bytes each: the keeper's only use of its key."""
    opened = kit.decryptor().decrypt(_load(ciphertexts))
    return opened.to_bytes(key_bits // 8, "little")  # type: ignore[no-any-return]


def unblind(opened: bytes, blind: Sequence[int], key_bits: int) -> list[int]:
    """The packed sums.

    Raises:
        ComponentError: what the keeper returned is not a sum with this R.
    """
    width = key_bits // 8
    if len(opened) != width * len(blind):
        raise ComponentError("secure sum: the keeper returned another number of plaintexts. Round discarded.")
    numbers = [int.from_bytes(opened[i * width : (i + 1) * width], "little") for i in range(len(blind))]
    sums = [number - each for number, each in zip(numbers, blind, strict=True)]
    if min(sums) < 0 or max(sums) >> capacity(key_bits):
        raise ComponentError("secure sum: the opened total is out of range; a ciphertext was wrong. Round discarded.")
    return sums


@lru_cache(maxsize=4)
def _kit(public: bytes) -> Any:
    # HEU prepares tables for a key when it is loaded: once per key, not per round.
    return hnp.setup(phe.PublicKey.load_from(public))


def _array(kit: Any, numbers: Sequence[int]) -> Any:
    return hnp.array(list(numbers), kit.bigint_encoder())


def _load(raw: bytes) -> Any:
    try:
        return hnp.CiphertextArray.load_from(raw)
    except Exception:  # heu raises its own error with a native stack trace in its text
        raise ComponentError("secure sum: a peer sent something else than ciphertexts. Round discarded.") from None
