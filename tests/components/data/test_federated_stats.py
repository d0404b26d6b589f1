"""Statistics over several clients against pandas on the joined rows; agreed columns; images."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from veilflow.components.data.apply import apply_rules
from veilflow.components.data.clean.rule import apply_clean
from veilflow.components.data.columns import common_columns, parse_categories, require_same_features
from veilflow.components.data.federated_stats import statistics as stats
from veilflow.components.data.federated_stats.component import collect
from veilflow.components.data.federated_stats.rules import clean_rule, scale_rule
from veilflow.components.data.federated_stats.spec import FINE, STEPS, StatsSpec
from veilflow.components.data.images.select import select
from veilflow.components.data.images.spec import ImageSpec
from veilflow.components.data.rules import CLEAN_RULE, SCALE_RULE
from veilflow.components.errors import ComponentError

COLUMNS = ["a", "b"]


def clients(seed: int, scale: float = 1.0) -> list[pd.DataFrame]:
    rng = np.random.default_rng(seed)
    found = []
    for rows in (30, 1, 200):
        frame = pd.DataFrame({"a": rng.normal(5, 2, rows) * scale, "b": rng.exponential(1e-3, rows)})
        frame.loc[rng.random(rows) < 0.1, "a"] = np.nan
        found.append(frame)
    return found


def total(frames, local):
    return sum(local(frame) for frame in frames)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 1000), st.sampled_from([1e-9, 1.0, 1e6, 1e12]))
def test_means_and_variances_are_those_of_the_joined_rows(seed, scale):
    frames = clients(seed, scale)
    joined = pd.concat(frames)
    units = [max(each) for each in zip(*(stats.exponents(f, COLUMNS) for f in frames), strict=True)]
    counts, mean = stats.means(total(frames, lambda f: stats.first_moment(f, COLUMNS, units)), units)
    square = total(frames, lambda f: stats.second_moment(f, COLUMNS, units, mean))
    variance = stats.variances(square, units, counts)
    assert counts == joined.count().tolist()
    for i, name in enumerate(COLUMNS):
        top = joined[name].abs().max()
        assert abs(mean[i] - joined[name].mean()) < 1e-14 * top
        assert abs(variance[i] - joined[name].var(ddof=0)) < 1e-14 * top**2


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 1000), st.sampled_from([0.0, 999_999.0, -999_999_999.0, 1e30]), st.sampled_from([0.0, 1e6]))
def test_quantiles_are_those_of_the_joined_rows_to_the_stated_part_of_their_spread(seed, sentinel, shift):
    frames, levels = clients(seed), (0.01, 0.25, 0.5, 0.9)
    for frame in frames:
        frame["b"] += shift
    frames[2].loc[0, COLUMNS] = sentinel
    joined = pd.concat(frames)
    units = [max(each) for each in zip(*(stats.exponents(f, COLUMNS) for f in frames), strict=True)]
    search = stats.QuantileSearch.over(units, joined.count().tolist(), levels)
    values, steps = [stats.ranked(frame, COLUMNS) for frame in frames], 0
    while not search.done():
        points, steps = search.points(), steps + 1
        search.narrow(total(values, lambda f, at=points: stats.counts_up_to(f, COLUMNS, at)))
    assert steps <= STEPS
    for i, name in enumerate(COLUMNS):
        wanted = np.quantile(joined[name].dropna(), levels, method="inverted_cdf")
        assert (np.abs(search.found()[i] - wanted) <= FINE * (wanted[-1] - wanted[0])).all()


class Together:
    """What `collect` needs of its totals, in one process."""

    def __init__(self, frames):
        self.frames, self.sums = frames, 0

    def of(self, local, held=None):
        self.sums += 1
        return total(held or self.frames, local)

    def ranked(self, columns):
        return [stats.ranked(frame, columns) for frame in self.frames]

    def units(self, columns):
        return [max(each) for each in zip(*(stats.exponents(f, columns) for f in self.frames), strict=True)]

    def treat(self, rule):
        self.frames = [apply_clean(frame, rule) for frame in self.frames]


def with_sentinel(value):
    frames = clients(3)
    frames[2].loc[:, "b"] = frames[2]["b"] * 1e3
    if value is not None:
        frames[2].loc[7, "a"] = value
    return frames


@pytest.mark.parametrize("sentinel", [999_999.0, 999_999_999.0, -1e15])
@pytest.mark.parametrize("method", ["standard", "robust", "range"])
def test_one_value_far_out_leaves_the_clipped_scale_as_it_is(method, sentinel):
    spec = StatsSpec(method, "median", 0.01)
    rules, plain = (collect(Together(with_sentinel(each)), COLUMNS, spec) for each in (sentinel, None))
    usual = with_sentinel(None)[2].dropna()
    one = apply_rules(usual, [rules[CLEAN_RULE], rules[SCALE_RULE]])
    other = apply_rules(usual, [plain[CLEAN_RULE], plain[SCALE_RULE]])
    np.testing.assert_allclose(one.a.std() / other.a.std(), 1.0, atol=0.1)
    assert abs(one.a.median() - other.a.median()) < 0.1
    cleaned = pd.concat([apply_clean(frame, rules[CLEAN_RULE]) for frame in with_sentinel(sentinel)])
    assert rules["columns"]["a"]["cleaned deviation"] == pytest.approx(cleaned.a.std(ddof=0), rel=1e-12)


def test_values_that_a_few_far_out_would_hide_are_refused_before_a_rule_is_made():
    with pytest.raises(ComponentError, match=r"^a: the middle half .* clip: 0\.01, use method: robust"):
        collect(Together(with_sentinel(1e12)), COLUMNS, StatsSpec("standard"))
    for spec in (StatsSpec("robust"), StatsSpec("standard", clip=0.01)):
        collect(Together(with_sentinel(1e12)), COLUMNS, spec)
    collect(Together(with_sentinel(None)), COLUMNS, StatsSpec("standard"))


def test_a_flag_that_is_mostly_zero_keeps_its_say_under_robust():
    flags = [pd.DataFrame({"late": np.arange(100) % 10 == 0}).astype(float)] * 2
    totals = Together(flags)
    found = collect(totals, ["late"], StatsSpec("robust"))
    assert found[SCALE_RULE]["columns"]["late"]["factor"] == pytest.approx(1 / 0.3)
    assert totals.sums <= StatsSpec("robust").sums()


def test_the_rules_clean_and_scale_as_the_statistics_say():
    spec = StatsSpec("standard", "median", 0.1)
    found = {name: {"mean": 3.0, "0.1": 1.0, "0.25": 2.0, "0.5": 4.0, "0.75": 6.0, "0.9": 9.0} for name in COLUMNS}
    rules = [clean_rule(COLUMNS, spec, found), scale_rule(COLUMNS, spec, found, [4.0, 4.0], [4.0, 0.0])]
    treated = apply_rules(pd.DataFrame({"a": [np.nan, 100.0, -5.0], "b": [1.0, 2.0, 3.0]}), rules)
    assert treated.a.tolist() == [0.0, 2.5, -1.5]
    assert treated.b.tolist() == [0.0, 0.0, 0.0], "a column without spread says nothing"
    robust = scale_rule(COLUMNS, StatsSpec("robust"), found, [0.0, 0.0], [1.0, 1.0])
    assert robust["columns"]["a"] == {"shift": 4.0, "factor": 0.25}


TYPES = {"x": "float64", "y": "int64", "city": "str"}


def test_a_client_with_another_unit_or_a_stand_in_number_is_hinted_at():
    usual = pd.DataFrame({"age": [30.0, 62.0], "debt": [900.0, 1500.0], "share": [0.2, 0.9]})
    columns = list(usual)

    def hint(**other):
        exponents = {"a": stats.exponents(usual, columns), "b": stats.exponents(usual.assign(**other), columns)}
        return stats.unlike_magnitudes(columns, exponents)

    assert hint() == ""
    assert hint(age=[25.0, 101.0], debt=[0.0, 0.0], share=[0.0, 0.01 * 99]) == ""
    assert "debt (below 2^1 at b, up to 2^11 at a)" in hint(debt=[0.9, 1.5])
    assert "share (below 2^0 at a, up to 2^7 at b)" in hint(share=[20.0, 90.0])
    assert "age" in hint(age=[30.0, 999_999.0])
    assert "age" not in hint(age=[np.nan, np.inf])


def test_clients_with_the_same_columns_agree_and_text_needs_its_categories():
    features = {"a": ["x", "city"], "b": ["x", "city"]}
    labels = {"a": ["z"], "b": ["z"]}
    types = dict.fromkeys("ab", TYPES)
    found = common_columns(features, labels, types, parse_categories(["city:north|south|west"]))
    assert (found.width, found.label) == (4, "z")
    with pytest.raises(ComponentError, match=r"city hold\(s\) text: agree on the values"):
        common_columns(features, labels, types, {})
    with pytest.raises(ComponentError, match="the label is 'z' at a and 'w' at b"):
        common_columns(features, {"a": ["z"], "b": ["w"]}, types, {})
    with pytest.raises(ComponentError, match="b has 0 label"):
        common_columns(features, {"a": ["z"], "b": []}, types, {})


@pytest.mark.parametrize(
    "other, types, message",
    [
        (["x"], TYPES, "b lacks y"),
        (["x", "y", "extra"], TYPES, "b has extra besides"),
        (["x", "y"], {**TYPES, "y": "str"}, "y: text at one of a and b"),
    ],
)
def test_clients_with_other_columns_are_told_which(other, types, message):
    with pytest.raises(ComponentError, match=message):
        require_same_features({"a": ["x", "y"], "b": other}, {"a": TYPES, "b": {**types, "extra": "str"}})


def test_another_order_of_the_same_columns_is_no_matter():
    both = {"a": ["x", "y"], "b": ["y", "x"]}
    found = common_columns(both, {"a": ["z"], "b": ["z"]}, dict.fromkeys("ab", TYPES), {})
    assert found.features == ("x", "y"), "by name, in the first one's order"


@pytest.mark.parametrize("entry", ["city", "city:a|a", ":a|b", "city:a||b"])
def test_categories_that_make_no_sense_are_refused(entry):
    with pytest.raises(ComponentError, match="not of the form"):
        parse_categories([entry])


def test_a_share_of_an_image_file_is_every_other_image_with_its_label():
    images = np.arange(10 * 4, dtype=np.uint8).reshape(10, 2, 2)
    arrays = {"train_images": images, "train_labels": (np.arange(10) % 2)[:, None]}
    one, facts = select(arrays, ImageSpec("train", "1/2"), "x")
    two, _ = select(arrays, ImageSpec("train", "2/2"), "x")
    np.testing.assert_array_equal(one["images"], images[::2])
    np.testing.assert_array_equal(two["labels"], [1] * 5)
    assert facts == {"rows": 5, "shape": [2, 2], "dtype": "uint8", "labelled": True}
    with pytest.raises(ComponentError, match=r"no 'val_images' among its 1 split\(s\)"):
        select(arrays, ImageSpec("val"), "x")
    with pytest.raises(ComponentError, match="must be one 0 or 1"):
        select({**arrays, "train_labels": np.full((10, 1), 7)}, ImageSpec("train"), "x")
    with pytest.raises(ComponentError, match="not of the form 1/2"):
        _ = ImageSpec(share="3/2").fraction
