"""T3: canaries on the real path of an update: protect -> weights -> pairwise masks -> sum. Four seeded bugs are caught.

The attacker is the strongest that the claim covers: it sees the opened sum, knows every other client's vector, and asks
whether one client's update was there. ``mu_hat`` is how well it can tell, in units of the noise's deviation; a correct
path has mu = 1 / multiplier. The gate is 1.15 mu: with 2 x 3000 rounds a correct path exceeds it once in 10**7 audits.
A canary lies in each layer, and one in all of them, because noise that lacks in one layer shows only there.
"""

from collections.abc import Iterator

import numpy as np
import pytest

from veilflow.components.privacy import release as path
from veilflow.components.privacy.secagg import integers
from veilflow.components.privacy.secagg.pairwise_masks import agree, mask, new_key, open_sum, ring

CLIENTS = ("bank_a", "bank_b", "bank_c")
LAYERS = (slice(0, 24), slice(24, 40))
SIZE, CLIP, MULTIPLIER, GATE = 40, 0.7, 1.0, 1.15
WEIGHTS = {"bank_a": 3, "bank_b": 1, "bank_c": 2}
RELEASE = path.fitting(CLIP, MULTIPLIER, SIZE, 18)
BOUND = RELEASE.bound * max(WEIGHTS.values())
KEYS = {party: new_key() for party in CLIENTS}
PUBLIC = {party: public for party, (_, public) in KEYS.items()}
SECRETS = {party: agree(private, party, PUBLIC) for party, (private, _) in KEYS.items()}


def canaries() -> Iterator[np.ndarray]:
    """Unit vectors: over all coordinates, and within each layer."""
    for where in (slice(0, SIZE), *LAYERS):
        direction = np.zeros(SIZE)
        direction[where] = 1.0
        yield direction / np.linalg.norm(direction)


def residual(round: int, update: np.ndarray) -> np.ndarray:
    """One round; what the attacker makes of the sum: bank_a's part, in grid steps."""
    dtype, masked, others = ring(BOUND, len(CLIENTS)), {}, np.zeros(SIZE, np.int64)
    for party in CLIENTS:
        own = update if party == "bank_a" else np.zeros(SIZE)
        vector, _ = integers.weighted(path.protect(own, RELEASE), WEIGHTS[party], BOUND)
        masked[party] = mask(vector, party, SECRETS[party], CLIENTS, round, dtype)
        others += 0 if party == "bank_a" else vector
    return open_sum(masked, CLIENTS, BOUND) - others


def mu_hat(rounds: int) -> float:
    """The best of the canaries; the updates are three times too long, so that clipping matters."""
    away = np.stack([residual(each, np.zeros(SIZE)) for each in range(rounds)])
    found, number = [], rounds
    for direction in canaries():
        there = np.stack([residual(number + each, 3 * CLIP * direction) for each in range(rounds)])
        number += rounds
        one, none = there @ direction, away @ direction
        found.append((one.mean() - none.mean()) / max(np.sqrt((one.var() + none.var()) / 2), 1e-9))
    return max(found)


def test_the_correct_path_passes_and_is_not_wastefully_noised() -> None:
    measured = mu_hat(3000)
    assert measured <= GATE / MULTIPLIER
    assert measured >= 0.85 / MULTIPLIER, "more noise than is accounted for"


def noise_divided_by_n(monkeypatch) -> None:
    real = path.discrete_gaussian
    monkeypatch.setattr(path, "discrete_gaussian", lambda size, sigma, words: real(size, sigma / len(CLIENTS), words))


def a_layer_without_noise(monkeypatch) -> None:
    real = path.discrete_gaussian

    def forgetful(size, sigma, words):
        drawn = real(size, sigma, words)
        drawn[LAYERS[1]] = 0
        return drawn

    monkeypatch.setattr(path, "discrete_gaussian", forgetful)


def no_clip(monkeypatch) -> None:
    monkeypatch.setattr(path, "clipped", lambda update, bound: update)
    monkeypatch.setattr(path, "quantise", lambda x, grid, clip, words: np.rint(x / grid.step).astype(np.int64))


def noise_after_weighting(monkeypatch) -> None:
    """Noise calibrated to the clip, added to a vector that a weight has made longer."""
    real_noise, real_weighted, last = path.discrete_gaussian, integers.weighted, []

    def remember(size, sigma, words):
        last.append(real_noise(size, sigma, words))
        return last[-1]

    def weighted(vector, weight, bound):
        noise = last.pop()
        return real_weighted((vector - noise) * weight + noise, 1, bound)

    monkeypatch.setattr(path, "discrete_gaussian", remember)
    monkeypatch.setattr(integers, "weighted", weighted)


@pytest.mark.parametrize("bug", [noise_divided_by_n, a_layer_without_noise, no_clip, noise_after_weighting])
def test_a_seeded_bug_is_caught(bug, monkeypatch) -> None:
    bug(monkeypatch)
    assert mu_hat(300) > 1.5 * GATE / MULTIPLIER


def test_a_missing_clip_alone_is_made_good_by_the_integers_norm_check(monkeypatch) -> None:
    monkeypatch.setattr(path, "clipped", lambda update, bound: update)
    direction = next(canaries())
    units = path.quantise(3 * CLIP * direction, RELEASE.grid, CLIP)
    assert np.linalg.norm(units) <= RELEASE.sensitivity
