"""Oblivious switching: one party's rows in an order that only the other one knows, as additive shares of the two.

Computes     the owner has a matrix, the chooser a list of distinct rows of it. Both end with shares that sum mod 2^64
             to those rows, in the list's order.
Adversary    semi-honest, one of the two.
Reveals      nothing: the owner sees only messages of oblivious transfer, the chooser only values that are masked anew
             at every switch. Sizes are public: rows, columns, length of the list.
Not covered  an active party; it can make the shares wrong, not learn the other's input from its own result.
Assumes      what `transfer` assumes; the owner's masks are AES-256 streams.
Cost         N k switches (N = 2^k wires, rows rounded up): 16 bytes from the chooser and 8 bytes per column from the
             owner each. Rounds: one per layer, 2k - 1.
Reference    Mohassel and Sadeghian, "How to hide circuits in MPC", EUROCRYPT 2013, section 3 (oblivious switching
             networks). Changed: the sum of a pair passes through a switch, so one correction serves both of its
             outputs.

A switch over wires x, y. The chooser holds x + a, y + b; the owner holds a, b. If not swapped the upper output's mask
becomes a + g0, where g0 is derived from the transfer's first key; so a swap needs (a + g0) - b, sent under the second
key. The lower output is the pair's sum minus the upper one, on both sides.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

import numpy as np

from veilflow.components.alignment.anonymous import prg
from veilflow.components.alignment.anonymous.two_party import network, transfer

LEAST_LEVELS = 7
"""Layers of 64 switches at least: transfers come by 64."""


def levels(rows: int) -> int:
    """k, of the 2^k wires that ``rows`` rows need."""
    return max(LEAST_LEVELS, (max(rows, 1) - 1).bit_length())


@dataclass
class OwnerSide:
    """State of the party whose rows they are; `layer` once per stride, then `share`."""

    transfers: transfer.Owner
    session: bytes
    masks: np.ndarray
    """uint64, shape (wires, columns): what is to be subtracted from the chooser's values."""

    @staticmethod
    def start(transfers: transfer.Owner, session: bytes, values: np.ndarray) -> tuple[OwnerSide, np.ndarray]:
        """The state, and the masked rows for the chooser: uint64, shape (wires, columns)."""
        wires = 1 << levels(len(values))
        masks = prg.rows(secrets.token_bytes(32), 0, wires, values.shape[1]).copy()
        masked = masks.copy()
        masked[: len(values)] += values
        return OwnerSide(transfers, session, masks), masked

    def layer(self, number: int, stride: int, corrections: np.ndarray) -> np.ndarray:
        """From the chooser's message to the swaps' corrections for it: uint64, shape (wires / 2, columns)."""
        wires, width = self.masks.shape
        low = network.pairs(wires, stride)
        keys = self.transfers.keys(corrections)
        straight, crossed = (transfer.derive(each, self.session, number * wires // 2, width) for each in keys)
        upper, lower = self.masks[low], self.masks[low + stride]
        after = upper + straight
        self.masks[low], self.masks[low + stride] = after, upper + lower - after
        message: np.ndarray = after - lower - crossed
        return message

    def share(self, rows: int) -> np.ndarray:
        """This party's share of the first ``rows`` outputs."""
        found: np.ndarray = np.zeros((), np.uint64) - self.masks[:rows]
        return found


@dataclass
class ChooserSide:
    """State of the party that knows the order; per stride `choose`, then `layer`, at last `share`."""

    transfers: transfer.Chooser
    session: bytes
    switches: list[np.ndarray]
    keys: np.ndarray | None = None
    values: np.ndarray | None = None

    @staticmethod
    def start(transfers: transfer.Chooser, session: bytes, rows: int, chosen: np.ndarray) -> ChooserSide:
        """Route the network that brings ``chosen`` (distinct positions below ``rows``) to the front."""
        return ChooserSide(transfers, session, network.route(network.complete(chosen, 1 << levels(rows))))

    def choose(self, number: int) -> np.ndarray:
        """The message for `OwnerSide.layer`."""
        self.keys, message = self.transfers.choose(self.switches[number])
        return message

    def layer(self, number: int, stride: int, corrections: np.ndarray) -> None:
        """Apply a layer to the masked values."""
        assert self.values is not None
        assert self.keys is not None
        wires, width = self.values.shape
        low, swap = network.pairs(wires, stride), self.switches[number][:, None]
        first, second = self.values[low], self.values[low + stride]
        step = transfer.derive(self.keys, self.session, number * wires // 2, width)
        upper = np.where(swap, second + corrections, first) + step
        self.values[low], self.values[low + stride] = upper, first + second - upper

    def share(self, rows: int) -> np.ndarray:
        """This party's share of the first ``rows`` outputs."""
        assert self.values is not None
        return self.values[:rows]
