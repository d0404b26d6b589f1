"""Who takes part, how updates become whole numbers, and what the budget says."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from veilflow.components.errors import ComponentError
from veilflow.components.horizontal.fedavg.bounds import after as bounds_after
from veilflow.components.horizontal.fedavg.bounds import first as first_bounds
from veilflow.components.horizontal.fedavg.budget import (
    Budget,
    BudgetExceeded,
    charges,
    multipliers,
    require_rounds,
    spent,
    terms,
)
from veilflow.components.horizontal.fedavg.client import encode
from veilflow.components.horizontal.fedavg.codec import (
    Share,
    code_of,
    decode,
    kept,
    longest,
    mask_of,
    mean_norm,
    packed,
    packed_bytes,
    shares_of,
    shorten,
    unpacked,
    value_bound,
)
from veilflow.components.horizontal.fedavg.layout import flatten, is_local, layout_of, row_numbers, unflatten
from veilflow.components.horizontal.fedavg.replica import advance, code_at, from_arrays, mask_at, replica, to_arrays
from veilflow.components.horizontal.fedavg.rounds import begins, chosen, staleness_weight
from veilflow.components.horizontal.fedavg.settings import (
    Compress,
    Guard,
    LocalSettings,
    Privacy,
    Server,
    Settings,
)

BARE = Settings(3, privacy=Privacy("none"), guard=Guard(update_norm=5.0, bits=16))
ALONE = {"a": Share()}


def code(settings: Settings, size: int, clients: int = 1, noise: float = 0.0, number: int = 0, bound: float = 5.0):
    return code_of(settings, size, clients, b"seed", number, noise, bound, np.zeros(size), np.arange(size))


def test_the_model_that_is_kept_may_be_a_running_mean_that_does_not_change_training():
    found = {}
    for average in (0.0, 0.5):
        settings = replace(BARE, server=Server(average=average))
        held, models = replica(np.zeros(3, np.float32), settings), []
        for number in range(3):
            held = advance(held, settings, code(settings, 3), number, np.full(3, 1000 * (number + 1)), ALONE)
            models.append(held.params[0])
        found[average] = models
        wanted = models[-1] if not average else (models[2] + (models[1] + models[0]) / 2) / 2
        assert held.served[0] == pytest.approx(wanted, rel=1e-5)
    assert found[0.0] == found[0.5]


def test_a_weighted_sum_decodes_to_the_weighted_mean():
    rng, size = np.random.default_rng(0), 50
    vectors = {name: shorten(rng.normal(size=size).astype(np.float32), 5.0)[0] for name in "abc"}
    weights = {"a": 0.2, "b": 0.5, "c": 0.3}
    how = code(BARE, size, 3)
    shares = shares_of(weights, how.release, -1)
    assert {name: share.factor for name, share in shares.items()} == {"a": 0.4, "b": 1.0, "c": 0.6}
    total = np.sum([encode(BARE, how, v, shares[n]) for n, v in vectors.items()], axis=0)
    wanted = sum(weights[n] * v for n, v in vectors.items())
    np.testing.assert_allclose(decode(how, total, shares), wanted, atol=5 * how.release.grid.step)
    assert mean_norm(how.release, total, shares) == pytest.approx(np.linalg.norm(wanted), rel=1e-3)


@pytest.mark.parametrize("bits", [24, 32])
def test_the_norm_of_a_mean_is_told_at_any_number_of_bits(bits):
    settings, size = replace(BARE, guard=Guard(update_norm=5.0, bits=bits)), 4000
    how = code(settings, size, 3)
    update = np.full(size, 5.0 / math.sqrt(size))
    total = np.sum([encode(settings, how, update, Share()) for _ in "abc"], axis=0)
    assert mean_norm(how.release, total, dict.fromkeys("abc", Share())) == pytest.approx(5.0, rel=1e-3)


@given(st.integers(4, 24), st.integers(2, 9), st.integers(1, 80), st.integers(0, 99))
@examples(max_examples=50)
def test_sums_travel_in_as_few_bits_as_they_need_and_come_back(bits, clients, length, seed):
    most = value_bound(replace(BARE, guard=Guard(bits=bits)), clients)
    assert (1 << (bits - 1)) - 1 <= most, "the bits asked for are there"
    vectors = np.random.default_rng(seed).integers(-most, most, (clients, length), endpoint=True)
    vectors[:, 0] = most
    total = vectors.sum(axis=0)
    raw = packed(total, most, clients)
    assert len(raw) == packed_bytes(most, clients, length)
    assert unpacked(raw, most, clients, length).tolist() == total.tolist()
    assert packed_bytes(most, clients, 8) <= bits + math.ceil(math.log2(clients)), "and no more than the sum needs"
    with pytest.raises(ComponentError, match=r"1 of .* entries"):
        packed(total + np.eye(1, length, dtype=np.int64)[0], most, clients)


def test_everybody_masks_the_same_coordinates_and_the_rest_stays_as_it_was():
    settings = replace(BARE, compress=Compress(0.1))
    update, size = np.full(200, 0.1, np.float32), 200
    how = code(settings, size, number=4)
    np.testing.assert_array_equal(how.mask, code(settings, size, number=4).mask)
    assert len(how.mask) == kept(settings, size) == 20
    found = decode(how, encode(settings, how, update, Share()), ALONE)
    assert (found[np.setdiff1d(np.arange(size), how.mask)] == 0).all()
    np.testing.assert_allclose(found[how.mask], 0.1, atol=1e-3)
    moved = np.zeros(size)
    moved[7:12] = 9.0
    largest = mask_of(replace(settings, compress=Compress(0.1, "largest")), size, b"seed", 5, moved, np.arange(size))
    assert set(range(7, 12)) <= set(largest)


def test_what_no_honest_client_can_send_is_refused():
    how = code(BARE, 2, 3)
    with pytest.raises(ComponentError, match="1 of 2 entries"):
        decode(how, np.array([0, 3 * how.release.bound]), dict.fromkeys("ab", Share()))


@pytest.mark.parametrize("bits", [4, 8, 16])
@pytest.mark.parametrize("factor", [0.05, 0.4, 1.0])
def test_an_honest_update_is_never_longer_than_what_a_judge_allows(bits, factor):
    settings = replace(BARE, guard=Guard(bits=bits))
    update = np.random.default_rng(bits).standard_t(2, 300)
    for number in range(20):
        how = code(settings, 300, 3, number=number)
        found = decode(how, encode(settings, how, update * 1e3, Share(factor)), {"a": Share(factor)})
        assert np.linalg.norm(found) <= longest(how.release, Share(factor)) * (1 + 1e-6)
        assert np.linalg.norm(found) >= 4.0, "the update was longer than the bound of 5"


def test_client_level_noise_has_the_rounds_deviation_and_record_level_adds_none_here():
    update = np.zeros(20_000, np.float32)
    noised = replace(BARE, privacy=Privacy("client"))
    how = code(noised, len(update), noise=2.0)
    found = decode(how, encode(noised, how, update, Share()), ALONE)
    assert found.std() == pytest.approx(2.0 * how.release.sensitivity() * how.release.grid.step, rel=0.05)
    assert found.std() >= 2.0 * 5.0 * 0.95
    quiet = replace(BARE, privacy=Privacy("record"))
    assert not encode(quiet, code(quiet, len(update), noise=2.0), update, Share()).any()


def test_noise_is_divided_only_as_far_as_colluders_are_excluded():
    noised = replace(BARE, privacy=Privacy("client"))
    how = code(noised, 1000, 3, noise=2.0)
    weights = {"a": 0.3, "b": 0.2, "c": 0.2, "d": 0.2, "e": 0.1}
    everybody, two = (shares_of(weights, how.release, colluding) for colluding in (-1, 1))
    assert {share.noise for share in everybody.values()} == {1.0}
    (share,) = {share.noise for share in two.values()}
    assert share < 1
    known = ("b", "c")  # one that looks at the sum, one that tells it its noise: of the rest the loudest
    left = math.sqrt(sum(how.release.sigma(each.factor, share) ** 2 for n, each in two.items() if n not in known))
    assert left >= how.release.sigma() * (1 - 1e-9), "what they do not know matches the largest weight"
    assert left <= how.release.sigma() * 1.01
    with pytest.raises(ComponentError, match="weight is 0"):
        shares_of({"a": 1.0, "b": 0.0}, how.release, -1)


def followed(settings: Settings, lengths: Callable[[int], float], rounds: int, clients: int = 3) -> list[float]:
    """The bound of every round where all clients' updates have the length of the round, in directions of their own."""
    bounds, found, rng = first_bounds(settings), [], np.random.default_rng(0)
    for number in range(rounds):
        found.append(bounds.update)
        how = code(settings, 400, clients, number=number, bound=bounds.update)
        updates = rng.normal(size=(clients, 400))
        updates *= lengths(number) / np.linalg.norm(updates, axis=1, keepdims=True)
        shares = dict.fromkeys(map(str, range(clients)), Share())
        total = np.sum([encode(settings, how, update, Share()) for update in updates], axis=0)
        bounds, _ = bounds_after(bounds, settings, how.release, total, shares)
    return found


@pytest.mark.parametrize("bits", [4, 6, 8, 16])
def test_the_bound_follows_the_updates_down_and_up_again(bits):
    settings = Settings(9, privacy=Privacy("none"), guard=Guard(update_norm=10.0, bits=bits))
    found = followed(settings, lambda number: 0.01 if number < 12 else 1.0, 24)
    assert found[0] == 10.0
    assert 0.02 < found[11] < 0.05, "three times one update's length"
    assert 2.0 < found[-1] < 5.0, "it grew again, though updates were cut off meanwhile"
    assert max(followed(settings, lambda number: 50.0, 8)) <= 10.0, "never beyond guard/update_norm"


def test_one_client_with_longer_updates_than_the_others_is_not_shut_out():
    """Its updates are cut at a bound which the others set: no shorter than theirs are."""
    settings = Settings(9, privacy=Privacy("none"), guard=Guard(update_norm=10.0))
    assert min(followed(settings, lambda number: 0.1, 12)[4:]) > 0.2


def test_the_bound_stays_where_the_sum_holds_noise_or_nothing_is_to_follow():
    client = Settings(9, privacy=Privacy("client", noise=2.0), guard=Guard(update_norm=3.0))
    assert set(followed(client, lambda number: 0.1, 3)) == {3.0}
    fixed = Settings(9, privacy=Privacy("record"), guard=Guard(update_norm=3.0, follow=0.0))
    assert set(followed(fixed, lambda number: 0.1, 3)) == {3.0}


def test_replicas_apply_the_public_sum_alike_and_survive_a_checkpoint():
    start = np.linspace(-1, 1, 30).astype(np.float32)
    settings = replace(BARE, compress=Compress(0.5), server=Server("fedadam", 0.1))
    held = [replica(start, settings), from_arrays(to_arrays(replica(start, settings)))]
    for number in range(3):
        how = code_at(held[0], settings, 2, b"s", number, 0.0, 5.0)
        np.testing.assert_array_equal(how.mask, mask_at(held[0], settings, b"s", number))
        total = 2 * encode(settings, how, np.ones(30, np.float32) / 10, Share())
        held = [advance(each, settings, how, number, total, dict.fromkeys("ab", Share())) for each in held]
        held = [held[0], from_arrays(to_arrays(held[1]))]
    np.testing.assert_array_equal(held[0].params, held[1].params)
    np.testing.assert_array_equal(held[0].served, held[0].params)
    assert (held[0].params > start).mean() > 0.5


def test_updates_are_shortened_to_the_bound_and_not_beyond():
    long, was = shorten(np.full(4, 10.0, np.float32), 4.0)
    assert was
    assert np.linalg.norm(long) == pytest.approx(4.0, rel=1e-5)
    short, was = shorten(np.full(4, 1.0, np.float32), 4.0)
    assert not was
    assert (short == 1.0).all()


def test_an_update_with_nan_is_named_without_its_values():
    with pytest.raises(ComponentError, match=r"1 of 2 entries of the local update are not finite.*learning_rate"):
        shorten(np.array([np.nan, 1.0], np.float32), 1.0)


def test_parameters_survive_the_vector():
    params = {"b/kernel": np.arange(6.0).reshape(2, 3), "a/bias": np.ones(2)}
    layout = layout_of(params)
    back = unflatten(flatten(params, layout), layout)
    for name, value in params.items():
        np.testing.assert_array_equal(back[name], value)
    assert is_local("BatchNorm_0/scale", ("BatchNorm",))
    assert not is_local("Dense_0/kernel", ("BatchNorm",))


def test_nobody_alone_chooses_who_takes_part_and_the_share_is_kept():
    clients = ["a", "b", "c", "d"]
    seen = [tuple(chosen([bytes([i]), b"x"], clients, 0.5)) for i in range(40)]
    assert {len(each) for each in seen} == {2}
    assert len(set(seen)) > 3
    assert chosen([b""], clients, 1.0) == clients
    assert len(chosen([b""], clients, 0.01)) == 1


def test_a_slow_client_begins_once_a_period_and_what_is_late_weighs_less():
    slow = {"c": 3}
    assert [begins("c", r, slow) for r in range(6)] == [True, False, False, True, False, False]
    assert all(begins("a", r, slow) for r in range(6))
    assert staleness_weight(0, 5) == 1.0
    assert staleness_weight(2, 5) == pytest.approx(1 / math.sqrt(3))
    assert staleness_weight(6, 5) == 0.0


def guarded(**given):
    return Settings(**{"rounds": 10, "privacy": Privacy("record", epsilon=4.0), **given})


ROWS = {"a": 2000, "b": 5000}


def test_noise_found_for_a_budget_keeps_every_client_within_it_and_hardly_wastes():
    settings = guarded(local=LocalSettings(batch=100))
    noises = multipliers(settings, ROWS)
    costs = spent(settings, ROWS, noises, 10)
    assert 0.9 * 4.0 < max(costs.values()) <= 4.0
    assert costs["b"] < costs["a"], "a row of the larger client is drawn less often"


def test_a_schedule_costs_the_same_in_either_order():
    def of(kind):
        settings = guarded(privacy=Privacy("client", noise=4.0, noise_last=16.0, schedule=kind, epsilon=50.0))
        return multipliers(settings, ROWS), spent(settings, ROWS, multipliers(settings, ROWS), 10)

    (up, cost_up), (down, cost_down) = of("increasing"), of("decreasing")
    assert up == down[::-1]
    assert up[0] == 4.0
    assert cost_up["a"] == pytest.approx(cost_down["a"], rel=1e-9)


def test_the_ledger_survives_a_restart_and_refuses_what_would_exceed(tmp_path):
    settings = guarded(privacy=Privacy("client", noise=2.0, epsilon=5.0))
    of = charges(settings, 100, [2.0] * 10)
    file = tmp_path / "budget.json"
    with pytest.raises(ComponentError, match=r"allows (\d+) more round"):
        require_rounds(Budget(file, terms(settings)), of, settings)
    budget = Budget(file, terms(settings))
    possible = budget.possible(of)
    for number in range(possible):
        budget.charge(f"round {number}", of(number))
    again = Budget(file, terms(settings))
    assert again.spent == budget.spent > 4
    with pytest.raises(BudgetExceeded):
        again.charge("one more", of(possible))


def test_an_epsilon_that_only_noise_could_meet_is_impossible():
    with pytest.raises(ComponentError, match="nothing is learned from that"):
        multipliers(guarded(privacy=Privacy("client", epsilon=0.001), rounds=100), ROWS)


def test_rows_are_what_one_input_adds_to_a_layer():
    shapes = [(3,), (2, 3), (1,), (3, 1), (2, 2, 1, 2)]  # a bias, a kernel, the last layer's two, a convolution
    rows = row_numbers(shapes)
    assert rows.tolist() == [0, 1, 2, 3, 3, 3, 4, 4, 4, 5, 6, 7, 8, 9, 9, 10, 10, 11, 11, 12, 12]
    settings = Settings(3, compress=Compress(0.5, "rows"))
    seen = np.zeros(21)
    for number in range(60):
        seen[mask_of(settings, 21, b"seed", number, np.zeros(21), rows)] += 1
    assert seen.min() > 10, "every coordinate has its turns"
    assert row_numbers([]).size == 0
