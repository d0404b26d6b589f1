from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veilflow.pipelines.ledger import Run
from veilflow.pipelines.report import numbers
from veilflow.pipelines.report.words import label, listed, summary


@pytest.mark.parametrize(
    "value, expected",
    [
        (0.98312, "0.983"),
        (1.0, "1.000"),
        (12.3456, "12.35"),
        (1234.5, "1234"),
        (123456.7, "123\u202f457"),
        (0.0, "0.000"),
        (-0.5, "−0.500"),
        (0.000012345, "1.23·10⁻⁵"),
        (-1.5e9, "−1.50·10⁹"),
        (7, "7"),
        (1_000_000, "1\u202f000\u202f000"),
        (True, "yes"),
        (None, "–"),
        ("RR22", "RR22"),
    ],
)
def test_values_are_written_with_few_digits(value: Any, expected: str) -> None:
    assert numbers.scalar(value) == expected


@given(st.floats(-1e300, 1e300))
def test_every_finite_number_is_written_close_to_its_value(value: float) -> None:
    written = numbers.scalar(value).replace("\u202f", "").replace("−", "-")
    mantissa, _, power = written.partition("·10")
    exponent = power.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789"))
    assert float(f"{mantissa}e{exponent or 0}") == pytest.approx(value, rel=6e-3, abs=6e-4 if not power else 0)


@pytest.mark.parametrize(
    "value, expected",
    [(0.04, "0.04 s"), (12.34, "12.3 s"), (245, "4 min 05 s"), (7800, "2 h 10 min"), (3599.7, "1 h 00 min")],
)
def test_durations(value: float, expected: str) -> None:
    assert numbers.seconds(value).replace("\u00a0", " ") == expected


@pytest.mark.parametrize(
    "value, expected",
    [(0, "0 B"), (812, "812 B"), (1800, "1.80 kB"), (999_600, "1.00 MB"), (12_000_000, "12.0 MB"), (3e14, "300 TB")],
)
def test_sizes(value: int, expected: str) -> None:
    assert numbers.size(value).replace("\u00a0", " ") == expected


@pytest.mark.parametrize(
    "iso, expected",
    [
        ("2026-01-02T03:04:05+00:00", "2 January 2026, 03:04 UTC"),
        ("2026-01-02T03:04:05Z", "2 January 2026, 03:04 UTC"),
        ("2026-01-02T03:04:05+08:00", "1 January 2026, 19:04 UTC"),
        ("2026-01-02T03:04:05", "2 January 2026, 03:04"),
        ("yesterday", "yesterday"),
    ],
)
def test_moments(iso: str, expected: str) -> None:
    assert numbers.moment(iso) == expected


@pytest.mark.parametrize("value, expected", [(1.0, "1"), (0.8, "0.8"), (-0.25, "−0.25"), (64, "64"), (1e-5, "1e−05")])
def test_settings_are_as_exact_as_given(value: Any, expected: str) -> None:
    assert numbers.setting(value) == expected


def test_names_and_lists() -> None:
    assert [label(name) for name in ("auc", "log_loss", "validation_auc", "brier")] == [
        "AUC",
        "log loss",
        "validation AUC",
        "Brier score",
    ]
    assert [listed(names) for names in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]


def said(good: Run, **changes: Any) -> str:
    return " ".join(summary(good.model_copy(update=changes))).replace("\u00a0", " ")


def test_the_summary_says_what_happened(good: Run, failed: Run) -> None:
    assert said(good).startswith("All 4 steps finished in 31.4 s")
    assert "The parties sent each other 14.2 MB." in said(good)
    assert said(failed).startswith("The run stopped at step train after 31.4 s, with 2 of 4 steps done.")
    assert "AUC" not in said(failed)
    untouched = [node.model_copy(update={"status": "skipped", "bytes_sent": {}}) for node in good.nodes]
    refused = said(good, status="refused", nodes=untouched)
    assert refused == "The run was refused before any step began; nothing was computed and nothing was sent."
    assert said(good, status="refused").startswith("The run was refused after 31.4 s, with 4 of 4 steps done.")
    assert "still going" in said(good, status="running")
    assert "as seen by insurer" in said(good, mode="party", party="insurer")
    cached = [node.model_copy(update={"status": "cached"}) for node in good.nodes]
    assert "Every step came from the cache" in said(good, nodes=cached)


def test_a_figure_of_rows_held_out_is_not_said_to_be_of_those_trained_on(good):
    good.nodes[-1].metrics = {"test_auc": 0.9, "rows": 336}
    said = " ".join(summary(good))
    assert "reports test AUC 0.900." in said
    assert "336" not in said
