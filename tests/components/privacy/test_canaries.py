"""T3: canaries on the real path of an update: weight -> rotation -> rounding -> noise -> pairwise masks -> packed sum.
Four seeded bugs are caught.

The attacker is the strongest that the claim covers: it sees the opened sum, knows the public rotation and every other
client's vector, and asks whether one client's update was there. ``mu_hat`` is how well it can tell, in units of the
noise's deviation; a correct path has mu = 1 / multiplier. The gate is 1.15 mu: with 2 x 3000 rounds a correct path
exceeds it once in 10**7 audits. Canaries lie in each part of the rotated vector, and one in all of it, because noise
that lacks in one part shows only there.
"""

from collections.abc import Iterator

import numpy as np
import pytest

from veilflow.components.privacy import release as path
from veilflow.components.privacy.rotate import Rotation
from veilflow.components.privacy.secagg.pairwise_masks import agree, mask, new_key, open_sum, ring

CLIENTS = ("bank_a", "bank_b", "bank_c")
LAYERS = (slice(0, 24), slice(24, 40))
SIZE, CLIP, MULTIPLIER, GATE = 40, 0.7, 1.0, 1.15
FACTORS = {"bank_a": 1.0, "bank_b": 1 / 3, "bank_c": 2 / 3}
RELEASE = path.fitting(CLIP, MULTIPLIER, SIZE, (1 << 17) - 1)
BOUND, WIDTH = RELEASE.bound, ring(RELEASE.bound, len(CLIENTS))
KEYS = {party: new_key() for party in CLIENTS}
PUBLIC = {party: public for party, (_, public) in KEYS.items()}
SECRETS = {party: agree(private, party, PUBLIC) for party, (private, _) in KEYS.items()}


def canaries() -> Iterator[np.ndarray]:
    """Unit vectors of the rotated vector: over all coordinates, and within each part."""
    for where in (slice(0, SIZE), *LAYERS):
        direction = np.zeros(SIZE)
        direction[where] = 1.0
        yield direction / np.linalg.norm(direction)


def residual(round: int, update: np.ndarray) -> np.ndarray:
    """One round; what the attacker makes of the sum: bank_a's part, rotated, in grid steps.

    Args:
        update: rotated already: the attacker chooses where the canary lies after the rotation.
    """
    turn, masked, others = Rotation(b"public", round), {}, np.zeros(SIZE, np.int64)
    for party in CLIENTS:
        own = turn.invert(update) if party == "bank_a" else np.zeros(SIZE)
        vector = path.protect(own, RELEASE, turn, factor=FACTORS[party])
        masked[party] = mask(vector, party, SECRETS[party], CLIENTS, round, WIDTH)
        others += 0 if party == "bank_a" else vector
    return open_sum(masked, CLIENTS, BOUND, WIDTH, SIZE) - others


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
    """Noise calibrated to a client of a third of the weight that the vector was multiplied with."""
    monkeypatch.setattr(path.Release, "sigma", lambda self, factor=1.0, share=1.0: MULTIPLIER * self.sensitivity(1 / 3))


def test_divided_noise_protects_against_a_client_that_knows_its_own_and_one_that_tells_it() -> None:
    """The attacker is sent the sum; it subtracts its own vector, noise and all, and that of one more client."""
    factors = {"bank_a": 1.0, "bank_b": 0.6, "bank_c": 0.6, "bank_d": 0.7, "bank_e": 0.7}
    share = path.noise_share({party: RELEASE.sensitivity(f) for party, f in factors.items()}, 1)
    assert share < 0.85

    def total(round: int, update: np.ndarray) -> np.ndarray:
        turn = Rotation(b"public", round)
        vectors = {party: np.zeros(SIZE) for party in factors} | {"bank_a": turn.invert(update)}
        sent = {p: path.protect(x, RELEASE, turn, None, factors[p], share) for p, x in vectors.items()}
        whole = np.sum(list(sent.values()), axis=0)
        seen: np.ndarray = whole - sent["bank_d"] - sent["bank_e"]
        return seen

    direction = next(canaries())
    there = np.stack([total(each, CLIP * direction) for each in range(2000)]) @ direction
    away = np.stack([total(2000 + each, np.zeros(SIZE)) for each in range(2000)]) @ direction
    measured = (there.mean() - away.mean()) / np.sqrt((there.var() + away.var()) / 2)
    assert 0.85 / MULTIPLIER < measured <= GATE / MULTIPLIER


@pytest.mark.parametrize("bug", [noise_divided_by_n, a_layer_without_noise, no_clip, noise_after_weighting])
def test_a_seeded_bug_is_caught(bug, monkeypatch) -> None:
    bug(monkeypatch)
    assert mu_hat(300) > 1.5 * GATE / MULTIPLIER


def test_a_missing_clip_alone_is_made_good_by_the_integers_norm_check(monkeypatch) -> None:
    monkeypatch.setattr(path, "clipped", lambda update, bound: update)
    direction = next(canaries())
    units = path.quantise(3 * CLIP * direction, RELEASE.grid, CLIP)
    assert np.linalg.norm(units) <= RELEASE.sensitivity()
