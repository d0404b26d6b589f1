"""Many small whole numbers in few large ones: slots that add without touching each other.

A value v with |v| <= bound is stored as v + bound, never negative, in a slot wide enough for the sum of all clients'.
So sums of packed numbers are packed sums, exactly; there are no signs and no carries. `bits` packs one line without
room to add; calling it for every plaintext would take twice the time to unpack.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from veilflow.components.errors import ComponentError


@dataclass(frozen=True)
class Slots:
    """How values lie in plaintexts. Public, the same at all clients.

    Args:
        bound: largest absolute value of one client's coordinate, weights included.
        clients: how many vectors may be added.
        capacity: bits that one plaintext holds.

    Raises:
        ComponentError: not even one slot fits.
    """

    bound: int
    clients: int
    capacity: int

    def __post_init__(self) -> None:
        if self.bound < 1 or self.clients < 1 or self.width > min(63, self.capacity):
            raise ComponentError(
                f"packing: {self.clients} clients with values up to {self.bound} need slots of {self.width} bits; at "
                f"most {min(63, self.capacity)} are possible. Use a coarser grid."
            )

    @property
    def width(self) -> int:
        """Bits of a slot: holds ``clients * 2 * bound``."""
        return (2 * self.bound * self.clients).bit_length()

    @property
    def per_plaintext(self) -> int:
        """Slots in one plaintext."""
        return self.capacity // self.width

    def plaintexts(self, length: int) -> int:
        """How many plaintexts a vector of ``length`` fills."""
        return -(-length // self.per_plaintext)


def pack(vector: np.ndarray, slots: Slots) -> list[int]:
    """``vector`` (int64, shape ``(d,)``) as `Slots.plaintexts` whole numbers.

    Raises:
        ComponentError: a value beyond the bound, which would run into the next slot.
    """
    if vector.size and (int(vector.max()) > slots.bound or int(vector.min()) < -slots.bound):
        raise ComponentError(f"packing: a value exceeds the bound of {slots.bound}; it would corrupt its neighbour.")
    rows = slots.plaintexts(vector.size)
    filled = np.full(rows * slots.per_plaintext, slots.bound, np.int64)  # padding counts as zeros
    filled[: vector.size] = vector + slots.bound
    bits = np.unpackbits(filled.astype(">u8").view(np.uint8).reshape(-1, 8), axis=1)[:, 64 - slots.width :]
    lines = bits.reshape(rows, slots.per_plaintext * slots.width)
    pad = -lines.shape[1] % 8
    raw = np.packbits(np.pad(lines, ((0, 0), (pad, 0))), axis=1)
    return [int.from_bytes(row.tobytes(), "big") for row in raw]


def unpack(numbers: Sequence[int], slots: Slots, length: int, added: int) -> np.ndarray:
    """The sum as int64 of shape ``(length,)``.

    Args:
        numbers: sums of ``added`` clients' packed vectors.

    Raises:
        ComponentError: a sum that ``added`` honest vectors cannot have, or another number of plaintexts.
    """
    if len(numbers) != slots.plaintexts(length) or not 1 <= added <= slots.clients:
        raise ComponentError(f"packing: {len(numbers)} plaintexts do not hold {length} values of {added} clients.")
    size = -(-slots.per_plaintext * slots.width // 8)
    if any(number < 0 or number >> (slots.per_plaintext * slots.width) for number in numbers):
        raise ComponentError("packing: a plaintext is beyond its slots; somebody's values were out of range.")
    raw = b"".join(int(number).to_bytes(size, "big") for number in numbers)
    lines = np.unpackbits(np.frombuffer(raw, np.uint8).reshape(len(numbers), size), axis=1)
    bits = lines[:, lines.shape[1] - slots.per_plaintext * slots.width :].reshape(-1, slots.width)
    wide = np.packbits(np.pad(bits, ((0, 0), (64 - slots.width, 0))), axis=1)
    found = wide.view(">u8").reshape(-1).astype(np.int64)
    if found.size and int(found.max()) > 2 * slots.bound * added:
        raise ComponentError("packing: a sum is beyond its range; somebody's values were out of range.")
    return found[:length] - slots.bound * added
