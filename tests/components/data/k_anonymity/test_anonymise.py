"""Whatever goes in, what comes out is as anonymous as asked, by a count that shares no code with the method."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from veilflow.components.data.k_anonymity import anonymise as module
from veilflow.components.data.k_anonymity.anonymise import anonymise
from veilflow.components.data.k_anonymity.generalise import generalised, loss
from veilflow.components.data.k_anonymity.measure import k_of, l_of
from veilflow.components.data.k_anonymity.spec import AnonymitySpec
from veilflow.components.errors import ComponentError

QUASI = ("age", "zip", "town")


@st.composite
def tables(draw: st.DrawFn) -> pd.DataFrame:
    rows = draw(st.integers(4, 60))
    seed = draw(st.integers(0, 2**32 - 1))
    spread = draw(st.integers(1, 40))
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "id": [f"p{i}" for i in range(rows)],
            "age": rng.integers(20, 20 + spread, rows),
            "zip": np.round(rng.normal(size=rows) * spread, 1),
            "town": rng.choice(list("abcd"), rows).astype(object),
            "other": rng.random(rows),
            "ill": rng.integers(0, 3, rows),
        }
    )


def _spec(**given: Any) -> AnonymitySpec:
    return AnonymitySpec(**{"quasi_identifiers": QUASI, "k": 3, "sensitive": "ill", **given})


def _groups(frame: pd.DataFrame) -> pd.core.groupby.DataFrameGroupBy:
    return frame.groupby(list(QUASI))


@settings(deadline=None)
@given(tables(), st.integers(2, 4), st.sampled_from(["midpoint", "range"]))
def test_every_class_has_at_least_k_rows(frame: pd.DataFrame, k: int, release: str):
    found, figures = anonymise(frame, _spec(k=k, release=release))
    assert _groups(found).size().min() == figures["k"] >= k
    assert len(found) == len(frame)
    assert found[["id", "other", "ill"]].equals(frame[["id", "other", "ill"]])


@settings(deadline=None)
@given(tables(), st.sampled_from(["distinct", "entropy"]))
def test_every_class_is_l_diverse_or_the_table_is_refused(frame: pd.DataFrame, diversity: str):
    spec, shares = _spec(k=2, l=2, diversity=diversity), frame["ill"].value_counts(normalize=True)
    if len(shares) < 2 or (diversity == "entropy" and -(shares @ np.log(shares)) < np.log(2) - 1e-9):
        with pytest.raises(ComponentError, match="together are not 2-diverse"):
            anonymise(frame, spec)
        return
    found, figures = anonymise(frame, spec)
    assert _groups(found)["ill"].nunique().min() >= 2
    if diversity == "entropy":
        entropy = _groups(found)["ill"].apply(lambda s: -(p := s.value_counts(normalize=True)) @ np.log(p))
        assert entropy.min() >= np.log(2) - 1e-9
        assert figures["l"] == pytest.approx(np.exp(entropy.min()))


@settings(deadline=None)
@given(tables())
def test_a_rows_own_value_lies_in_the_range_it_shows(frame: pd.DataFrame):
    found, _ = anonymise(frame, _spec(release="range"))
    for shown, value in zip(found["age"], frame["age"], strict=True):
        low, _, high = shown.partition("..")
        assert float(low) <= value <= float(high or low)
    for shown, town in zip(found["town"], frame["town"], strict=True):
        assert shown == "*" or town in shown.split("|")


@settings(deadline=None)
@given(tables(), st.integers(2, 4))
def test_suppression_drops_exactly_the_rows_of_small_classes(frame: pd.DataFrame, k: int):
    coarse = frame.assign(zip=0.0, age=frame["age"] // 20)
    expected = coarse[_groups(coarse)["id"].transform("size") >= k]
    spec = _spec(k=k, method="suppress", max_suppressed=1.0)
    if expected.empty:
        with pytest.raises(ComponentError, match=f"{len(frame)} of {len(frame)} rows are in classes smaller than k"):
            anonymise(coarse, spec)
        return
    found, figures = anonymise(coarse, spec)
    pd.testing.assert_frame_equal(found, expected.reset_index(drop=True))
    assert figures["suppressed"] == len(frame) - len(expected)


def test_no_class_could_be_cut_once_more():
    """Finest cut: a class of 2k rows or more that still differs in a column would have been cut at its median."""
    frame = pd.DataFrame({"x": np.arange(64.0)})
    found, figures = anonymise(frame, AnonymitySpec(("x",), k=4))
    assert figures["classes"] == 16
    assert figures["sizes"] == [(4, 7, 16)]
    assert found["x"].tolist()[:5] == [1.5, 1.5, 1.5, 1.5, 5.5]


def test_a_larger_k_costs_more():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"x": rng.normal(size=500), "y": rng.normal(size=500)})
    lost = [sum(anonymise(frame, AnonymitySpec(("x", "y"), k=k))[1]["loss"].values()) for k in (2, 8, 32, 128)]
    assert lost == sorted(lost)
    assert 0 < lost[0] < 0.2 < lost[-1] < 2


def test_loss_follows_its_definition():
    groups = [np.array([0, 1]), np.array([2, 3, 4])]
    numbers = pd.Series([0.0, 1.0, 5.0, 7.0, 10.0])
    assert loss(numbers, groups) == pytest.approx((2 * 1 + 3 * 5) / (5 * 10))
    words = pd.Series(["a", "b", "c", "c", "a"])
    assert loss(words, groups) == pytest.approx((2 * 1 + 3 * 1) / (5 * 2))
    assert loss(pd.Series([3.0] * 5), groups) == 0.0


def test_suppressed_rows_count_as_lost():
    frame = pd.DataFrame({"x": ["a"] * 9 + ["b"]})
    _, figures = anonymise(frame, AnonymitySpec(("x",), k=3, method="suppress"))
    assert figures["loss"] == {"x": 0.1}
    assert figures["discernibility"] == 9 * 9 + 1 * 10


def test_all_words_are_shown_as_a_star_and_a_single_one_as_itself():
    groups = [np.array([0, 1]), np.array([2, 3])]
    assert generalised(pd.Series(["b", "a", "a", "a"]), groups, "midpoint").tolist() == ["*", "*", "a", "a"]
    assert generalised(pd.Series(["b", "a", "c", "c"]), groups, "midpoint").tolist() == ["a|b", "a|b", "c", "c"]
    assert generalised(pd.Series(["a"] * 4), groups, "midpoint").tolist() == ["a"] * 4


def test_the_judge_counts_by_definition():
    frame = pd.DataFrame({"q": ["a", "a", "b", "b", "b"], "s": [1, 1, 1, 2, 2]})
    assert k_of(frame, ["q"]) == 2
    assert l_of(frame, ["q"], "s", "distinct") == 1
    assert l_of(frame[2:], ["q"], "s", "entropy") == pytest.approx(np.exp(-(np.log(1 / 3) + 2 * np.log(2 / 3)) / 3))
    assert k_of(frame[:0], ["q"]) == 0


def test_a_result_that_is_not_anonymous_is_not_handed_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "mondrian", lambda columns, test: np.arange(len(columns)) // 2)
    frame = pd.DataFrame({"x": np.arange(8.0)})
    with pytest.raises(ComponentError, match=r"the result is 2-anonymous .* less than k = 3.* not handed out"):
        anonymise(frame, AnonymitySpec(("x",), k=3))


FRAME = pd.DataFrame({"age": [1.0, 2, 3], "ill": ["SECRET", "SECRET", "SECRET"], "gap": [1, None, 2]})


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (AnonymitySpec(("age",), k=5), "3 rows cannot be 5-anonymous"),
        (AnonymitySpec(("age",), k=2, l=2, sensitive="ill"), r"even all 3 rows together are not 2-diverse .* in 'ill'"),
        (AnonymitySpec(("age",), k=2, l=2), "l is 2, but no sensitive column is named"),
        (AnonymitySpec(("gap",), k=2), "missing or infinite cells: gap 1 of 3. Run data/clean first"),
        (AnonymitySpec(("agee",), k=2), r"no column 'agee' \(did you mean 'age'\?\)"),
        (AnonymitySpec((), k=2), "quasi_identifiers is empty"),
        (AnonymitySpec(("age", "age"), k=2), "names age twice"),
        (AnonymitySpec(("age",), sensitive="age"), "both sensitive and a quasi-identifier"),
        (AnonymitySpec(("age",), k=2, method="suppress"), "3 of 3 rows are in classes smaller than k = 2"),
    ],
)
def test_what_cannot_be_anonymised_is_named_without_cells(spec: AnonymitySpec, message: str):
    with pytest.raises(ComponentError, match=message) as caught:
        anonymise(FRAME, spec)
    assert "SECRET" not in str(caught.value)
