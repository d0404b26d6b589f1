"""The dealt sigmoid is right as far as it says, and each message is random whatever the value."""

import queue
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from veilflow.components.devices.dealt_sigmoid import PERIOD_BITS, Wires, dealt_sigmoid
from veilflow.components.devices.replicate import deal
from veilflow.components.devices.secret_layout import value


def three_ranks(work: Callable[[int, Wires], Any]) -> tuple[list[Any], dict[tuple[int, int], list[bytes]]]:
    """``work(rank, wires)`` at three ranks in threads: results, and every message by (sender, receiver)."""
    pipes: dict[tuple[int, int], queue.Queue[bytes]] = {(i, j): queue.Queue() for i in range(3) for j in range(3)}
    sent: dict[tuple[int, int], list[bytes]] = {pair: [] for pair in pipes}
    results: list[Any] = [None] * 3

    def run(rank: int) -> None:
        def send(to: int, message: bytes) -> None:
            sent[rank, to].append(message)
            pipes[rank, to].put(message)

        wires = Wires.connect(rank, send, lambda source: pipes[source, rank].get(timeout=30))
        results[rank] = work(rank, wires)

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results, sent


def computed(logits: np.ndarray, extra_bits: int = 0) -> tuple[np.ndarray, dict[tuple[int, int], list[bytes]]]:
    parts = deal(logits * 2.0**extra_bits, "ABY3")
    found, sent = three_ranks(lambda rank, wires: dealt_sigmoid(parts[rank], wires, extra_bits))
    for rank in range(3):
        np.testing.assert_array_equal(found[rank][:, 1], found[(rank + 1) % 3][:, 0])
    return value(found), sent


@pytest.mark.parametrize("extra_bits", [0, 18])
def test_accuracy_is_what_the_docstring_says(extra_bits: int) -> None:
    logits = np.linspace(-56, 56, 112_000)
    probability, _ = computed(logits, extra_bits)
    error = probability - 1 / (1 + np.exp(-logits))
    assert error.std() < 1.6e-3
    assert np.abs(error).max() < 0.012
    by_place = error.reshape(-1, 2000).mean(axis=1)
    assert np.abs(by_place).max() < 1.4e-3, "noise has mean zero; what is left is the series' own error"


def test_beyond_the_stated_range_the_sign_is_right_up_to_64_and_wrong_after() -> None:
    probability, _ = computed(np.array([60.0, 63.0, -63.0, 66.0]))
    assert (probability > 0.5).tolist() == [True, True, False, False], "range changed: revise the docstring"


@pytest.mark.parametrize("level", [-30.0, 0.0, 0.25])
def test_messages_are_uniform_whatever_the_value(level: float) -> None:
    n = 4000
    _, sent = computed(np.full(n, level))
    masked = np.frombuffer(sent[0, 1][1], np.uint32)
    assert masked.max() < 2**PERIOD_BITS
    counts = np.histogram(masked, bins=16, range=(0, 2**PERIOD_BITS))[0]
    assert ((counts - n / 16) ** 2 / (n / 16)).sum() < 45, "chi square with 15 degrees of freedom, p about 1e-4"
    for pair, number in (((2, 1), 0), ((0, 1), 2), ((1, 0), 1)):
        bits = np.unpackbits(np.frombuffer(sent[pair][number], np.uint8)).mean()
        assert abs(bits - 0.5) < 0.01, pair
    assert [len(m) for m in sent[1, 2]] == [16], "the dealer gets a seed and nothing else"


def test_what_two_ranks_open_is_fresh_every_time() -> None:
    parts = deal(np.zeros(100), "ABY3")

    def twice(rank: int, wires: Wires) -> np.ndarray:
        dealt_sigmoid(parts[rank], wires)
        return dealt_sigmoid(parts[rank], wires)

    _, sent = three_ranks(twice)
    first, second = sent[0, 1][1], sent[0, 1][3]
    assert len(first) == len(second) == 400
    assert first != second


def test_it_costs_344_bytes_per_value() -> None:
    n = 100
    _, sent = computed(np.zeros(n))
    assert sum(len(m) for messages in sent.values() for m in messages) == 3 * 16 + n * 344
