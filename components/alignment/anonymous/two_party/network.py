"""Any permutation as switches between fixed pairs of wires: a Benes network.

A network over 2^k wires has 2k - 1 layers. In the layer of stride h every wire i is paired with wire i + h (i without
bit h), and each pair is swapped or not. Strides go N/2, ..., 2, 1, 2, ..., N/2. Where the pairs are is public; only the
switches depend on the permutation.

Reference    Benes 1964; Waksman, "A permutation network", JACM 1968: two-colouring of the cycles that pairs of inputs
             and pairs of outputs form. All sub-networks of a level are coloured at once, cycles by pointer doubling.
Cost         N k^2 steps of numpy: 0.2 s for 2^16 wires.
"""

from __future__ import annotations

import numpy as np


def strides(levels: int) -> list[int]:
    """The layers of a network over ``2 ** levels`` wires (levels at least 1), in order of application."""
    down = [1 << level for level in range(levels - 1, 0, -1)]
    return [*down, 1, *reversed(down)]


def pairs(wires: int, stride: int) -> np.ndarray:
    """The lower wire of every pair of a layer: int64, shape (wires / 2,); the other one is ``stride`` above."""
    numbers = np.arange(wires // 2, dtype=np.int64)
    return (numbers // stride) * (2 * stride) + numbers % stride


def complete(chosen: np.ndarray, wires: int) -> np.ndarray:
    """Where each input goes so that output t is input ``chosen[t]``; inputs that nobody chose fill the rest.

    Args:
        chosen: int64, shape (m,), distinct, each in [0, wires).
    """
    goes = np.full(wires, -1, np.int64)
    goes[chosen] = np.arange(len(chosen))
    rest = np.flatnonzero(goes < 0)
    goes[rest] = np.arange(len(chosen), wires)
    return goes


def route(goes: np.ndarray) -> list[np.ndarray]:
    """Switches, layer by layer, that bring input p to output ``goes[p]``.

    Args:
        goes: a permutation of range(2^k), k at least 1: int64.

    Returns:
        Per layer bool, shape (wires / 2,), in the order of `pairs`.
    """
    wires = len(goes)
    first: list[np.ndarray] = []
    last: list[np.ndarray] = []
    stride = wires // 2
    while stride > 1:
        low = pairs(wires, stride)
        came = np.empty(wires, np.int64)
        came[goes] = np.arange(wires)
        upper = _colours(goes, came, stride)
        first.append(upper[low])
        last.append(upper[came[low]])
        where = (np.arange(wires) & ~stride) | (upper * stride)
        moved = np.empty(wires, np.int64)
        moved[where] = (goes & ~stride) | (upper * stride)
        goes, stride = moved, stride // 2
    low = pairs(wires, 1)
    return [*first, goes[low] != low, *reversed(last)]


def apply(switches: list[np.ndarray], values: np.ndarray) -> np.ndarray:
    """``values`` (one row per wire) through the network, in the clear."""
    wires = len(values)
    out: np.ndarray = values.copy()
    for stride, swap in zip(strides(wires.bit_length() - 1), switches, strict=True):
        low = pairs(wires, stride)[swap]
        out[low], out[low + stride] = out[low + stride], out[low]
    return out


def _colours(goes: np.ndarray, came: np.ndarray, stride: int) -> np.ndarray:
    """Per input whether it takes the upper sub-network: just one of an input pair, and just one of an output pair."""
    wires = np.arange(len(goes))
    jump = came[goes[wires ^ stride] ^ stride]  # from an input to one that must have the same colour
    least, reach = np.minimum(wires, jump), 1
    while reach < stride:  # a cycle has at most as many inputs of one colour as a sub-network has wires
        jump = jump[jump]
        least = np.minimum(least, least[jump])
        reach *= 2
    upper: np.ndarray = least > least[wires ^ stride]
    return upper
