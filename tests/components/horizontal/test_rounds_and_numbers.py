"""Who takes part, how updates become whole numbers, and what the budget says."""

import math
from dataclasses import replace

import numpy as np
import pytest

from veilflow.components.errors import ComponentError
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
from veilflow.components.horizontal.fedavg.codec import decode, kept, mask_of, release_of, shorten, whole_weights
from veilflow.components.horizontal.fedavg.layout import flatten, is_local, layout_of, unflatten
from veilflow.components.horizontal.fedavg.replica import advance, from_arrays, mask_at, replica, to_arrays
from veilflow.components.horizontal.fedavg.rounds import arrives, begins, chosen, staleness_weight
from veilflow.components.horizontal.fedavg.settings import (
    Compress,
    Guard,
    LocalSettings,
    ModelSpec,
    Privacy,
    Server,
    Settings,
    Weighting,
    parse_slow,
)


def test_the_model_that_is_kept_may_be_a_running_mean_that_does_not_change_training():
    found = {}
    for average in (0.0, 0.5):
        settings = replace(BARE, server=Server(average=average))
        held, models = replica(np.zeros(3, np.float32), settings), []
        for number in range(3):
            held, _ = advance(held, settings, b"s", number, 0.0, np.full(3, 1000 * (number + 1)), 1)
            models.append(held.params[0])
        found[average] = models
        wanted = models[-1] if not average else (models[2] + (models[1] + models[0]) / 2) / 2
        assert held.served[0] == pytest.approx(wanted, rel=1e-5)
    assert found[0.0] == found[0.5]


BARE = Settings(3, privacy=Privacy("none"), guard=Guard(update_norm=5.0, bits=16))


def test_a_weighted_sum_decodes_to_the_weighted_mean():
    rng, size = np.random.default_rng(0), 50
    vectors = {name: shorten(rng.normal(size=size).astype(np.float32), 5.0)[0] for name in "abc"}
    weights = whole_weights({"a": 0.2, "b": 0.5, "c": 0.3})
    total = sum(weights[n] * encode(BARE, v, 0.0, None) for n, v in vectors.items())
    wanted = sum(weights[n] * v for n, v in vectors.items()) / sum(weights.values())
    release = release_of(BARE, size, 0.0)
    assert np.abs(total).max() < 2**31
    np.testing.assert_allclose(
        decode(total, release, None, size, sum(weights.values())), wanted, atol=1.01 * release.grid.step
    )


def test_everybody_masks_the_same_coordinates_and_the_rest_stays_as_it_was():
    settings = replace(BARE, compress=Compress(0.1))
    update, size = np.full(200, 0.1, np.float32), 200
    one = mask_of(settings, size, b"seed", 4, np.zeros(size))
    np.testing.assert_array_equal(one, mask_of(settings, size, b"seed", 4, np.zeros(size)))
    assert len(one) == kept(settings, size) == 20
    found = decode(encode(settings, update, 0.0, one), release_of(settings, size, 0.0), one, size)
    assert (found[np.setdiff1d(np.arange(size), one)] == 0).all()
    np.testing.assert_allclose(found[one], 0.1, atol=1e-3)
    moved = np.zeros(size)
    moved[7:12] = 9.0
    largest = mask_of(replace(settings, compress=Compress(0.1, "largest")), size, b"seed", 5, moved)
    assert set(range(7, 12)) <= set(largest)


def test_what_no_honest_client_can_send_is_refused():
    release = release_of(BARE, 2, 0.0)
    with pytest.raises(ComponentError, match="1 of 2 entries"):
        decode(np.array([0, 3 * release.bound]), release, None, 2, 2)


def test_client_level_noise_has_the_rounds_deviation_and_record_level_adds_none_here():
    update = np.zeros(20_000, np.float32)
    noised = replace(BARE, privacy=Privacy("client"))
    release = release_of(noised, len(update), 2.0)
    found = decode(encode(noised, update, 2.0, None), release, None, len(update))
    assert found.std() == pytest.approx(2.0 * release.sensitivity * release.grid.step, rel=0.05)
    assert found.std() >= 2.0 * 5.0 * 0.95
    quiet = replace(BARE, privacy=Privacy("record"))
    assert not encode(quiet, update, 2.0, None).any()


def test_replicas_apply_the_public_sum_alike_and_survive_a_checkpoint():
    start = np.linspace(-1, 1, 30).astype(np.float32)
    settings = replace(BARE, compress=Compress(0.5), server=Server("fedadam", 0.1))
    held = [replica(start, settings), from_arrays(to_arrays(replica(start, settings)))]
    for number in range(3):
        mask = mask_at(held[0], settings, b"s", number)
        total = 7 * encode(settings, np.ones(30, np.float32) / 10, 0.0, mask)
        both = [advance(each, settings, b"s", number, 0.0, total, 7) for each in held]
        assert both[0][1] == pytest.approx(0.1 * np.sqrt(15), rel=0.01)
        held = [both[0][0], from_arrays(to_arrays(both[1][0]))]
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


def test_a_slow_client_begins_and_arrives_once_a_period():
    slow = {"c": 3}
    assert [begins("c", r, slow) for r in range(6)] == [True, False, False, True, False, False]
    assert [arrives("c", r, slow) for r in range(6)] == [False, False, True, False, False, True]
    assert all(begins("a", r, slow) and arrives("a", r, slow) for r in range(6))
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


@pytest.mark.parametrize(
    "settings, spec, message",
    [
        (Settings(3, privacy=Privacy("record")), ModelSpec(norm="batch"), "batch mixes the rows"),
        (Settings(3, weighting=Weighting("contribution")), ModelSpec(), "give 'valid'"),
        (Settings(3, weighting=Weighting(smallest=0.4)), ModelSpec(), "cannot sum to 1"),
        (Settings(3, slow=(("z", 2),)), ModelSpec(), "slow names z"),
        (Settings(3, slow=(("a", 9),)), ModelSpec(), "more than max_staleness 5"),
        (Settings(3), ModelSpec("mlp", ()), "needs net/layers"),
        (Settings(3), ModelSpec("module", (), path="x"), "package.module:Class"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, spec, message):
    with pytest.raises(ComponentError, match=message):
        settings.check(spec, ["a", "b", "c"], False)


def test_slow_is_party_and_rounds():
    assert parse_slow(["a:3"]) == (("a", 3),)
    with pytest.raises(ComponentError, match="party:rounds"):
        parse_slow(["a"])
