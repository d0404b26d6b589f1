"""Oblivious transfer: a chooser gets one of two random keys per transfer, and its owner does not learn which.

Computes     m random transfers: the owner has two 128-bit keys for each, the chooser that of its choice bit.
Adversary    semi-honest, one of the two.
Reveals      nothing: to the owner not the choices, to the chooser not the other keys.
Not covered  an active party (that needs the consistency check of Keller, Orsini and Scholl 2015).
Assumes      128 base transfers: computational Diffie-Hellman on Curve25519, SHA-256 as a random oracle. Extension:
             AES-256 as a PRG, AES-128 with a public key as an ideal permutation (`derive`).
Cost         16 bytes per transfer from the chooser to the owner; about 1.5 million transfers a second.
Reference    extension: Ishai, Kilian, Nissim and Petrank, CRYPTO 2003, protocol for semi-honest parties. Hash: Guo,
             Katz, Wang and Yu, "Efficient and secure multiparty computation from fixed-key block ciphers", S&P 2020,
             TMMO. Base: the receiver's second public key is a point hashed from random bytes, whose secret it does not
             have.
"""

from __future__ import annotations

import hashlib
import secrets

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from veilflow.components.alignment.anonymous import prg
from veilflow.components.alignment.anonymous.two_party import curve

WIDTH = 128
"""Base transfers; the security parameter of the extension."""
_BASE = np.zeros((1, curve.POINT), np.uint8)
_BASE[0, 0] = 9
_STEP = 1 << 16


class Owner:
    """The side with two keys per transfer. It is the receiver of the base transfers."""

    def __init__(self) -> None:
        self._bits = np.frombuffer(secrets.token_bytes(WIDTH // 8), np.uint8)
        self._choices = np.unpackbits(self._bits, bitorder="little")
        self._secrets = [curve.new_secret() for _ in range(WIDTH)]
        self._streams = _Streams([])

    def start(self) -> np.ndarray:
        """First message: two points per base transfer, uint8, shape (128, 2, 32); one has a secret, one cannot."""
        known = np.concatenate([curve.blind(secret, _BASE) for secret in self._secrets])
        unknown = np.concatenate([curve.blind(curve.new_secret(), each[None]) for each in curve.random_points(WIDTH)])
        first = self._choices[:, None] == 0
        return np.stack([np.where(first, known, unknown), np.where(first, unknown, known)], axis=1)

    def finish_base(self, point: bytes) -> None:
        """Take the chooser's point; from here on `keys` works."""
        peer = np.frombuffer(point, np.uint8)[None]
        shared = [curve.blind(secret, peer).tobytes() for secret in self._secrets]
        pairs = zip(shared, self._choices, strict=True)
        self._streams = _Streams([_base_key(each, point, at, int(choice)) for at, (each, choice) in enumerate(pairs)])

    def keys(self, corrections: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Both keys of the next transfers, from the chooser's message: each uint64, shape (m, 2)."""
        wide = corrections.shape[1] * 8
        columns = self._streams.take(wide)
        columns ^= corrections * self._choices[:, None]
        first = _transposed(columns)
        return first, first ^ self._bits.view(np.uint64)


class Chooser:
    """The side that gets one key per transfer. It is the sender of the base transfers."""

    def __init__(self) -> None:
        self._streams = (_Streams([]), _Streams([]))

    def answer(self, points: np.ndarray) -> bytes:
        """Answer to `Owner.start`: one point, 32 bytes."""
        secret = curve.new_secret()
        point = curve.blind(secret, _BASE).tobytes()
        shared = [curve.blind(secret, points[:, choice]) for choice in (0, 1)]
        first, second = (
            [_base_key(each.tobytes(), point, at, choice) for at, each in enumerate(shared[choice])]
            for choice in (0, 1)
        )
        self._streams = (_Streams(first), _Streams(second))
        return point

    def choose(self, choices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Keys of the next transfers.

        Args:
            choices: bool, shape (m,); m a multiple of 64.

        Returns:
            uint64, shape (m, 2): the chosen keys; and the message for `Owner.keys`, uint8, shape (128, m / 8).
        """
        assert len(choices) % 64 == 0, len(choices)
        mine, message = (streams.take(len(choices)) for streams in self._streams)
        message ^= mine
        message ^= np.packbits(choices, bitorder="little")
        return _transposed(mine), message


def derive(keys: np.ndarray, session: bytes, start: int, width: int) -> np.ndarray:
    """Ring elements from the keys of transfers ``start``, ``start + 1``, ...: uint64, shape (m, width).

    Args:
        keys: uint64, shape (m, 2).
        session: 16 bytes, public and new in every run.

    ``pi(pi(x) ^ t) ^ pi(x)`` with t = (transfer, block): also the keys' known difference gives nothing away.
    """
    blocks = (width + 1) // 2
    permute = Cipher(algorithms.AES128(session), modes.ECB()).encryptor()
    out = np.empty((len(keys), blocks, 2), np.uint64)
    for low in range(0, len(keys), _STEP):
        base = _permuted(permute, keys[low : low + _STEP])
        tweaked = np.repeat(base[:, None, :], blocks, axis=1)
        tweaked[:, :, 0] ^= np.arange(start + low, start + low + len(base), dtype=np.uint64)[:, None]
        tweaked[:, :, 1] ^= np.arange(blocks, dtype=np.uint64)
        out[low : low + _STEP] = _permuted(permute, tweaked) ^ base[:, None, :]
    return np.ascontiguousarray(out.reshape(len(keys), blocks * 2)[:, :width])


def _permuted(encryptor: object, blocks: np.ndarray) -> np.ndarray:
    out = np.empty(blocks.nbytes + 15, np.uint8)
    encryptor.update_into(np.ascontiguousarray(blocks).data.cast("B"), out)  # type: ignore[attr-defined]
    found: np.ndarray = out[: blocks.nbytes].view(np.uint64).reshape(blocks.shape)
    return found


def _base_key(shared: bytes, point: bytes, at: int, choice: int) -> bytes:
    return hashlib.sha256(b"veilflow base transfer\0" + bytes([at, choice]) + point + shared).digest()


class _Streams:
    """Bits of many keys' streams, taken from the front; small requests share one expansion."""

    _LEAST = 1 << 10
    """Bytes of each key at a time."""

    def __init__(self, keys: list[bytes]) -> None:
        self._keys = keys
        self._at = 0
        self._ready = np.zeros((len(keys), 0), np.uint8)

    def take(self, bits: int) -> np.ndarray:
        """The next ``bits`` of every key's stream, packed: uint8, shape (keys, bits / 8)."""
        wanted = bits // 8
        lacking = wanted - self._ready.shape[1]
        if lacking > 0:
            blocks = (max(lacking, self._LEAST) + 15) // 16
            fresh = np.stack([prg.rows(key, self._at, blocks, 2).reshape(-1) for key in self._keys]).view(np.uint8)
            self._at += blocks
            self._ready = np.concatenate([self._ready, fresh], axis=1)
        taken: np.ndarray = self._ready[:, :wanted].copy()
        self._ready = self._ready[:, wanted:]
        return taken


def _transposed(columns: np.ndarray) -> np.ndarray:
    """Bit matrix (128, m) packed along m as (m, 128) packed: uint64, shape (m, 2). Little-endian bits throughout."""
    wide = columns.shape[1]
    # 8 x 8 blocks as one uint64 each, transposed by three swaps (Warren, Hacker's Delight, 7-3).
    block = np.ascontiguousarray(columns.reshape(WIDTH // 8, 8, wide).transpose(2, 0, 1)).view(np.uint64)[..., 0]
    for shift, mask in ((7, 0x00AA00AA00AA00AA), (14, 0x0000CCCC0000CCCC), (28, 0x00000000F0F0F0F0)):
        swap = (block ^ (block >> np.uint64(shift))) & np.uint64(mask)
        block = block ^ swap ^ (swap << np.uint64(shift))
    rows = np.ascontiguousarray(block)[..., None].view(np.uint8)  # (m / 8, 16, 8): byte group, then row
    return np.ascontiguousarray(rows.transpose(0, 2, 1)).reshape(wide * 8, WIDTH // 8).view(np.uint64)
