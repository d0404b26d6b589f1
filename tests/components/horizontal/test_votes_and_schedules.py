"""What follows earlier rounds: the bound, the noise, the memory of error feedback. And what it all costs."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as example
from hypothesis import strategies as st

from veilflow.components.devices.objects import pack, unpack
from veilflow.components.errors import ComponentError
from veilflow.components.horizontal.fedavg import bounds, votes
from veilflow.components.horizontal.fedavg import replica as copies
from veilflow.components.horizontal.fedavg.budget import (
    Budget,
    BudgetExceeded,
    affordable,
    charge_of,
    charges,
    multipliers,
    require_rounds,
    schedule,
    spent,
    terms,
)
from veilflow.components.horizontal.fedavg.client import common, encode, learn, make_client
from veilflow.components.horizontal.fedavg.codec import Share, decode
from veilflow.components.horizontal.fedavg.parameters import parse_by_round
from veilflow.components.horizontal.fedavg.settings import (
    Compress,
    Guard,
    LocalSettings,
    ModelSpec,
    Privacy,
    Server,
    Settings,
)
from veilflow.components.horizontal.fedavg_train.standing import Standing
from veilflow.components.privacy.accountant import gaussian_epsilon
from veilflow.components.privacy.sparsify import Feedback
from veilflow.components.training.tally import Tally

ROWS = {"a": 300, "b": 500}
WHOLE = LocalSettings(epochs=1, batch=1000)
"""Every step sees all rows: rate 1."""
CLIENT = Settings(5, WHOLE, Privacy("client", noise=4.0, epsilon=90.0, adaptive_clip=0.5, vote_noise=6.0))
RECORD = replace(CLIENT, privacy=replace(CLIENT.privacy, unit="record"))
ADAPTIVE = Privacy("record", noise=2.0, noise_last=8.0, schedule="adaptive", epsilon=6.0)


@pytest.mark.parametrize("settings", [CLIENT, RECORD], ids=["client", "record"])
def test_gradient_and_votes_together_cost_what_the_closed_form_says(settings):
    noises = multipliers(settings, ROWS)
    wanted = gaussian_epsilon([4.0] * 5 + [6.0] * 5, 1e-5)
    for cost in spent(settings, ROWS, noises, 5).values():
        assert cost == pytest.approx(wanted, abs=1e-3)
    silent = replace(settings, privacy=replace(settings.privacy, adaptive_clip=0.0))
    assert max(spent(silent, ROWS, noises, 5).values()) < wanted - 0.3, "votes are not free"


def test_noise_found_for_a_budget_leaves_room_for_the_votes():
    settings = replace(RECORD, local=LocalSettings(batch=100), privacy=Privacy("record", epsilon=4.0))
    voting = replace(settings, privacy=replace(settings.privacy, adaptive_clip=0.5, vote_noise=2.0))
    assert multipliers(voting, ROWS)[0] > multipliers(settings, ROWS)[0]
    assert 3.6 < max(spent(voting, ROWS, multipliers(voting, ROWS), 5).values()) <= 4.0
    with pytest.raises(ComponentError, match="nothing is left"):
        multipliers(replace(voting, privacy=replace(voting.privacy, vote_noise=0.1)), ROWS)


@given(st.floats(-3, 3), st.integers(20, 2**20))
def test_a_share_survives_its_way_through_the_sum(share, bound):
    found = votes.encode(share, RECORD.privacy, bound)
    assert abs(found) <= bound
    assert votes.decode(7 * found, RECORD.privacy, bound, 7) == pytest.approx(min(1, max(-1, share)), abs=0.51 / bound)


@pytest.mark.parametrize("bound", [127, 32767])
def test_a_clients_vote_is_hidden_under_its_noise_and_stays_within_the_bound(bound):
    drawn = [votes.encode(1.0, CLIENT.privacy, bound) for _ in range(2000)]
    assert max(map(abs, drawn)) <= bound
    shares = [votes.decode(each, CLIENT.privacy, bound, 1) for each in drawn]
    assert np.std(shares) == pytest.approx(6.0, rel=0.1)
    assert np.mean(shares) == pytest.approx(1.0, abs=0.8)


def learner(settings, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(400, 5)).astype(np.float32)
    data = (x, (x[:, 0] > 0).astype(np.float32))
    return make_client(ModelSpec("logistic", ()), settings, data, (5,), np.random.default_rng(0))


def test_a_records_votes_are_counted_in_every_step_with_noise_of_the_agreed_deviation():
    loud = replace(RECORD.privacy, vote_noise=60.0)
    settings = replace(RECORD, local=LocalSettings(epochs=4, batch=100), privacy=loud)
    client, tally = learner(settings), Tally()
    shares = []
    for clip in (1e-6, 1e6):
        found = [learn(client, common(client), 0.1, tally, None, clip)[1] for _ in range(40)]
        assert all(update.shape == (7,) for update in found), "six parameters and a vote"
        shares.append([float(update[-1]) for update in found])
    no, yes = np.array(shares)
    assert np.mean(no) == pytest.approx(-1.0, abs=0.15)
    assert np.mean(yes) == pytest.approx(1.0, abs=0.15)
    # 16 steps of about 100 rows: noise of the counts, and of the rows that the coins take.
    wanted = np.hypot(60.0 * 4, np.sqrt(1600 * 0.75)) / 1600
    assert np.std(np.append(no + 1, yes - 1)) == pytest.approx(wanted, rel=0.4)


def test_the_bound_of_updates_follows_the_votes_alike_at_everybody_and_survives_a_checkpoint():
    settings = replace(CLIENT, guard=Guard(update_norm=8.0, bits=18), server=Server("fedadam", 0.1))
    client = learner(settings)
    start = copies.replica(common(client), settings)
    held, clips, now = [start, copies.from_arrays(copies.to_arrays(start))], [], bounds.first(settings)
    for number in range(3):
        clips.append(now.clip)
        assert now.update == now.clip
        _, update, _ = learn(client, held[0].params, 4.0, Tally(), None, now.clip)
        assert np.linalg.norm(update[:-1]) <= now.clip * 1.0001
        code = copies.code_at(held[0], settings, 3, b"s", number, 4.0, now.update)
        total, shares = 3 * encode(settings, code, update, Share()), dict.fromkeys("abc", Share())
        assert np.abs(total).max() <= 3 * code.release.bound
        held = [copies.advance(each, settings, code, number, total[:-1], shares) for each in held]
        now, _ = bounds.after(now, settings, code.release, total, shares)
        held[1] = copies.from_arrays(unpack(pack({}, copies.to_arrays(held[1])))[1])
    assert clips[0] == 8.0 != clips[1]
    for name, value in copies.to_arrays(held[0]).items():
        np.testing.assert_array_equal(value, copies.to_arrays(held[1])[name])


def test_the_grid_follows_the_bound_and_an_update_comes_back_as_long_as_that():
    settings = replace(CLIENT, guard=Guard(update_norm=8.0, bits=22))
    client = learner(settings)
    held, alone = copies.replica(common(client), settings), {"a": Share()}
    done, update, _ = learn(client, held.params, 0.001, Tally(), None, 1e-3)
    code = copies.code_at(held, settings, 1, b"s", 0, 0.001, 1e-3)
    total = encode(settings, code, update, Share())
    after = copies.advance(held, settings, code, 0, total[:-1], alone)
    moved = common(done) - held.params
    np.testing.assert_allclose(after.last, moved * 1e-3 / np.linalg.norm(moved), atol=2e-5)
    _, norm = bounds.after(bounds.Bounds(1e-3, 1e-3), settings, code.release, total, alone)
    assert norm == pytest.approx(1e-3, rel=0.02)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=80))
def test_a_bound_stays_near_its_start_whatever_the_votes(shares):
    bound = votes.first_bound(RECORD)
    for share in shares:
        bound = votes.next_bound(bound, 100 * share, RECORD)
    assert 1e-4 <= bound <= 1e4


def test_the_order_of_listed_noise_changes_nothing():
    def cost(*listed):
        chosen = Privacy("record", schedule="by_round", by_round=parse_by_round(listed), epsilon=50.0)
        settings = Settings(6, LocalSettings(batch=100), chosen)
        return multipliers(settings, ROWS), spent(settings, ROWS, multipliers(settings, ROWS), 6)

    (up, one), (down, other) = cost("1:1.5", "4:3"), cost("1:3.0", "4:1.5")
    assert up == [1.5] * 3 + [3.0] * 3 == down[::-1]
    assert one == other


@pytest.mark.parametrize("listed", [["1"], ["a:b"], ["0:2"], ["1:-2"], ["1:nan"]])
def test_listed_noise_is_round_and_noise(listed):
    with pytest.raises(ComponentError, match="not of the form round:noise"):
        parse_by_round(listed)


@example(max_examples=20)
@given(st.lists(st.floats(0.0, 50.0), min_size=30, max_size=30), st.sampled_from(["record", "client"]))
def test_noise_that_follows_the_sums_never_spends_more_than_epsilon(norms, unit):
    privacy = replace(ADAPTIVE, unit=unit, adaptive_clip=0.5)
    settings = Settings(30, LocalSettings(batch=50), privacy)
    noises: list[float] = []
    for number in range(30):
        noise = schedule(settings).multiplier(number, norms[:number])
        if not affordable(settings, ROWS, [*noises, noise]):
            break
        noises.append(noise)
    assert terms(settings).method == "filter"
    assert len(noises) > 0
    assert max(spent(settings, ROWS, noises, len(noises)).values()) <= 6.0
    assert min(noises) >= privacy.noise
    if len(noises) < 30:
        assert not affordable(settings, ROWS, [*noises, noise]), "and stops no earlier than it must"


def test_a_ledger_of_noise_that_follows_is_asked_round_by_round(tmp_path):
    settings = Settings(500, LocalSettings(batch=50), ADAPTIVE)
    of = charges(settings, 300, multipliers(settings, ROWS))
    budget = Budget(tmp_path / "budget.json", terms(settings))
    require_rounds(budget, of, settings)  # not all of 500, but the next one
    for number in range(500):
        cost = charge_of(settings, 300, 2.0 if number < 3 else 3.5)
        if not budget.possible(lambda _, cost=cost: cost, 1):
            break
        budget.charge(f"round {number}", cost)
    assert 3 < number < 500
    assert budget.spent <= 6.0
    with pytest.raises(BudgetExceeded):
        budget.charge("one more", charge_of(settings, 300, 2.0))
    with pytest.raises(BudgetExceeded, match="allows 0 more"):
        require_rounds(budget, of, settings, number)


@pytest.mark.parametrize("keep", [1.0, 0.4])
def test_feedback_is_the_pure_function_on_noised_means_and_survives_a_checkpoint(keep):
    settings = Settings(
        4, privacy=Privacy("client", noise=1.0), guard=Guard(bits=18), compress=Compress(keep, feedback=0.25)
    )
    start = np.zeros(40, np.float32)
    pure, held = Feedback(40), copies.replica(start, settings)
    wanted, rng = start, np.random.default_rng(0)
    for number in range(4):
        code = copies.code_at(held, settings, 1, b"s", number, 1.0, 10.0)
        total = encode(settings, code, rng.normal(size=40).astype(np.float32), Share())
        where = np.arange(40) if code.mask is None else code.mask
        mean = decode(code, total, {"a": Share()})[where]
        wanted = wanted + pure.step(mean, where, round(0.25 * len(where))).astype(np.float32)
        held = copies.advance(held, settings, code, number, total, {"a": Share()})
        held = copies.from_arrays(unpack(pack({}, copies.to_arrays(held)))[1])
        np.testing.assert_array_equal(held.params, wanted)
        np.testing.assert_array_equal(held.memory, pure.memory)
    assert np.abs(held.memory).max() > 0
    without = replace(settings, compress=Compress(keep))
    assert charge_of(settings, 300, 1.0) == charge_of(without, 300, 1.0), "it costs no budget"


def test_what_is_public_of_a_training_survives_its_checkpoint_to_the_last_bit():
    standing = Standing(
        {"a": 1 / 3}, "00", bounds.Bounds(1 / 3, 2.0**-40), norms=[1 / 3, 2.0**-40, 0.0], blamed=[(1, "a", "why")]
    )
    assert Standing.from_json(json.loads(json.dumps(standing.to_json()))) == standing


def test_masked_steps_are_longer_and_clipped_shorter_so_that_keep_is_one_switch():
    settings = Settings(3, LocalSettings(rate=0.5), Privacy("record", clip=2.0), compress=Compress(0.25))
    assert settings.steps.rate == 2.0
    assert settings.row_bound == 1.0
    every = replace(settings, compress=Compress(0.25, train="all"))
    assert (every.steps.rate, every.row_bound) == (0.5, 2.0)


@pytest.mark.parametrize("unit, delta", [("record", 1 / 500), ("client", 0.5)])
def test_a_delta_that_lets_one_unit_be_told_as_a_whole_is_refused(unit, delta):
    settings = Settings(3, LocalSettings(batch=50), Privacy(unit, noise=3.0, epsilon=50.0, delta=delta))
    with pytest.raises(ComponentError, match="must be well below"):
        multipliers(settings, ROWS)
    assert multipliers(replace(settings, privacy=replace(settings.privacy, delta=delta / 2)), ROWS) == [3.0] * 3


def test_running_statistics_are_refused_where_rows_are_clipped():
    settings = Settings(3, privacy=Privacy("record"))
    with pytest.raises(ComponentError, match="mix the rows of a batch"):
        make_client(ModelSpec("mlp", (4,), norm="batch"), settings, None, (5,), np.random.default_rng(0))
