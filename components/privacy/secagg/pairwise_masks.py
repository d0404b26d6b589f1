"""Secure sum with pairwise masks.

Computes     the coordinator learns sum_i x_i mod 2**b, b the least that holds every sum; the clients learn nothing.
Adversary    semi-honest, static; the coordinator may collude with up to n - 2 clients of the round. Public keys are
             authentic because every message of a run is signed (`pipelines.party.wire`).
Reveals      to the coordinator: the sum, who took part, the vector's length. The sum alone can tell about a client
             (n = 2, or repeated rounds): noise goes in before it (`privacy.release`).
Dropout      a round's roster is fixed before anybody masks, and never by the coordinator. Who is not in it costs
             nothing. If one of the roster fails afterwards, `open_sum` refuses the rest, and the round is repeated
             among the others under another round number. No mask of the lost client is ever opened, so a late or kept
             copy of its vector stays as secret as before; no share of a key has to be handed to anybody.
             A coordinator that lies opens nothing more: who is in a round each client says itself, to all the others,
             or all of them work it out from public settings (`SecureSum`).
Not covered  malicious clients (a wrong vector changes the sum) and a round number used twice with different vectors,
             which would show their difference; `SecureSum` never does.
Assumes      X25519, HKDF-SHA256, ChaCha20 as a PRF.
Cost         one key exchange per step; 1 message of b bits per value, and n - 1 key streams, per client and round.
Reference    "Masking with one-time pads" in Bonawitz et al. 2017, eprint.iacr.org/2017/281. Left out: their recovery
             of dropped clients' masks by Shamir shares, which costs the double masking that the repeat does not need.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping, Sequence

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from veilflow.components.errors import ComponentError
from veilflow.components.privacy.bits import pack_bits, signed, unpack_bits, width_of

_LABEL = b"veilflow pairwise mask v1"


def ring(bound: int, clients: int) -> int:
    """The width b of the smallest ring of integers mod 2**b in which a sum of ``clients`` values of up to ``bound``
    cannot wrap."""
    return width_of(bound * clients)


def new_key() -> tuple[bytes, bytes]:
    """A fresh (private, public) X25519 pair, from the operating system's randomness; one per client and step."""
    key = X25519PrivateKey.generate()
    return key.private_bytes_raw(), key.public_key().public_bytes_raw()


def agree(private: bytes, me: str, publics: Mapping[str, bytes]) -> dict[str, bytes]:
    """The 32-byte secret that ``me`` shares with each other client; both ends compute the same.

    Args:
        publics: every client's public key, ``me`` included.

    Raises:
        ComponentError: a key that is no point of the curve or leads to no secret (all zero).
    """
    # Bound to the whole roster: clients that were told different keys end with different masks, and the sum is noise.
    roster = hashlib.sha256(b"".join(_framed(p.encode()) + _framed(publics[p]) for p in sorted(publics))).digest()
    own = X25519PrivateKey.from_private_bytes(private)
    secrets = {}
    for peer in sorted(set(publics) - {me}):
        try:
            shared = own.exchange(X25519PublicKey.from_public_bytes(publics[peer]))
        except ValueError:
            raise ComponentError(f"secure sum: the public key of {peer} is not valid.") from None
        info = _LABEL + b"".join(_framed(name.encode()) for name in sorted((me, peer)))
        secrets[peer] = HKDF(SHA256(), 32, salt=roster, info=info).derive(shared)
    return secrets


def mask(
    vector: np.ndarray, me: str, secrets: Mapping[str, bytes], roster: Sequence[str], round: int, width: int
) -> bytes:
    """Hide ``vector`` (int64, shape ``(d,)``) for one round: values of ``width`` bits (`ring`), packed without gaps,
    uniform to whoever lacks the secrets.

    Args:
        secrets: of `agree`.
        roster: the clients of this round, ``me`` among them; at least two.
        round: never twice with different vectors.
    """
    assert me in roster, "masks of others do not hide this vector"
    assert len(set(roster)) == len(roster) >= 2, "a roster of one masks nothing"
    hidden = vector.view(np.uint64)  # modulo 2**64, and so modulo 2**width, exact for what fits the bound
    for peer in roster:
        if peer != me:
            stream = _expand(secrets[peer], round, roster, vector.size, width)
            hidden = hidden + stream if me < peer else hidden - stream
    return pack_bits(hidden, width)


def open_sum(masked: Mapping[str, bytes], roster: Sequence[str], bound: int, width: int, size: int) -> np.ndarray:
    """The sum as int64 of shape ``(size,)``: all masks cancel.

    Raises:
        ComponentError: a vector of the roster is missing (masks would remain), or the total is beyond what ``bound``
            allows: somebody's vector or masks were wrong.
    """
    missing = [party for party in roster if masked.get(party) is None]
    if missing or set(masked) != set(roster):
        raise ComponentError(
            f"secure sum: {', '.join(missing) or 'a stranger'} breaks the round's roster. Nothing was opened; "
            "repeat the round with the others under a new number."
        )
    total = np.zeros(size, np.uint64)
    for party in roster:
        total += unpack_bits(masked[party], width, size)
    found = signed(total, width)
    limit = bound * len(roster)
    if int(found.max()) > limit or int(found.min()) < -limit:
        raise ComponentError(
            "secure sum: the total is beyond its bound; a vector or a mask was wrong. Round discarded."
        )
    return found


def _expand(secret: bytes, round: int, roster: Sequence[str], size: int, width: int) -> np.ndarray:
    """``size`` values (uint64) whose low ``width`` bits are uniform, the same at both ends; another stream for every
    round and roster."""
    info = _LABEL + struct.pack("<Q", round) + b"".join(_framed(party.encode()) for party in sorted(roster))
    key = HKDF(SHA256(), 32, salt=None, info=info).derive(secret)
    cell = np.dtype(np.uint32 if width <= 32 else np.uint64)
    # One key is used for one stream only, so the nonce may be constant.
    stream = Cipher(algorithms.ChaCha20(key, bytes(16)), mode=None).encryptor().update(bytes(size * cell.itemsize))
    return np.frombuffer(stream, dtype=cell).astype(np.uint64)


def _framed(raw: bytes) -> bytes:
    return struct.pack("<I", len(raw)) + raw
