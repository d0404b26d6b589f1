"""Synthetic patients of a hospital and clients of an insurer, whose data together predict a readmission.

`COLUMNS` documents every feature: who holds it, how it is drawn, and its weight in the logit. The label ``readmitted``
(at the hospital) is 1 with probability ``sigmoid(BIAS + sum of weight * standardised feature)``: half of the signal
lies at each party, and `truth` gives the probabilities, hence the best AUC anybody can reach.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from veilflow.datasets.generators.bayes import bayes_auc

BIAS = -0.6


@dataclass(frozen=True)
class Column:
    """A feature: ``a`` and ``b`` are mean and standard deviation (normal), those of the logarithm (lognormal), the mean
    (count) or the share of ones (flag)."""

    name: str
    party: str
    law: str
    a: float
    b: float
    weight: float
    decimals: int = 0


COLUMNS = (
    Column("age", "hospital", "normal", 58, 14, 0.55),
    Column("sex", "hospital", "flag", 0.48, 0, 0.10),
    Column("bmi", "hospital", "normal", 27, 4.5, 0.25, 1),
    Column("systolic_pressure", "hospital", "normal", 132, 18, 0.35),
    Column("glucose", "hospital", "lognormal", 4.6, 0.2, 0.40),
    Column("cholesterol", "hospital", "normal", 205, 38, 0.00),
    Column("creatinine", "hospital", "lognormal", 0.0, 0.3, 0.45, 2),
    Column("heart_rate", "hospital", "normal", 74, 11, 0.15),
    Column("smoker", "hospital", "flag", 0.22, 0, 0.30),
    Column("prior_admissions", "hospital", "count", 1.2, 0, 0.60),
    Column("income", "insurer", "lognormal", 10.4, 0.5, -0.35),
    Column("claims_last_year", "insurer", "count", 3.0, 0, 0.55),
    Column("claim_cost", "insurer", "lognormal", 7.0, 1.0, 0.40, 2),
    Column("medications", "insurer", "count", 4.0, 0, 0.60),
    Column("chronic_conditions", "insurer", "count", 0.9, 0, 0.50),
    Column("days_insured", "insurer", "normal", 2600, 700, 0.00),
    Column("private_plan", "insurer", "flag", 0.30, 0, -0.15),
    Column("distance_km", "insurer", "lognormal", 2.5, 0.7, 0.20, 1),
    Column("dependants", "insurer", "count", 1.1, 0, 0.00),
    Column("checkups", "insurer", "count", 1.5, 0, -0.40),
)


def part(
    name: str,
    rows: int = 1000,
    seed: int = 0,
    overlap: float = 0.8,
    missing: float = 0.0,
    outliers: float = 0.0,
    duplicates: float = 0.0,
) -> pd.DataFrame:
    """The rows of one party, in its own order.

    Args:
        name: ``hospital`` (10 features and ``readmitted``) or ``insurer`` (10 features); both have ``person``.
        rows: people at each party, before duplicates.
        seed: with the same ``rows`` and ``overlap``, both parts of a seed describe the same population.
        overlap: share of each party's people that the other party has too.
        missing, outliers: share of feature cells emptied, or moved 20 standard deviations away.
        duplicates: share of people who appear a second time, with slightly different measurements.
    """
    at = _whereabouts(rows, seed, overlap)[name]
    values, probability, label = _population(rows, seed, overlap)
    names = [column.name for column in COLUMNS if column.party == name]
    frame = pd.DataFrame({"person": _ids(len(probability), seed)[at], **{key: values[key][at] for key in names}})
    if name == "hospital":
        frame["readmitted"] = label[at]
    return _spoil(frame, names, np.random.default_rng([seed, len(name), 3]), missing, outliers, duplicates)


def truth(rows: int = 1000, seed: int = 0, overlap: float = 0.8) -> pd.Series:
    """The true probability of a readmission of each of the hospital's people, indexed by ``person``."""
    at = _whereabouts(rows, seed, overlap)["hospital"]
    _, probability, _ = _population(rows, seed, overlap)
    return pd.Series(probability[at], index=_ids(len(probability), seed)[at], name="probability")


def best_auc(rows: int = 1000, seed: int = 0, overlap: float = 0.8) -> float:
    """The AUC of the true probabilities, over the people both parties have."""
    where = _whereabouts(rows, seed, overlap)
    _, probability, _ = _population(rows, seed, overlap)
    return bayes_auc(probability[np.intersect1d(where["hospital"], where["insurer"])])


def _whereabouts(rows: int, seed: int, overlap: float) -> dict[str, np.ndarray]:
    """Per party the positions of its people in the population."""
    rng = np.random.default_rng([seed, 1])
    shared = round(rows * overlap)
    hospital = np.arange(rows)
    insurer = np.r_[0:shared, rows : 2 * rows - shared]
    return {"hospital": rng.permutation(hospital), "insurer": rng.permutation(insurer)}


def _population(rows: int, seed: int, overlap: float) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Features, probabilities and labels of everybody."""
    rng = np.random.default_rng([seed, 0])
    people = 2 * rows - round(rows * overlap)
    values: dict[str, np.ndarray] = {}
    logit = np.full(people, BIAS)
    for column in COLUMNS:
        values[column.name], standardised = _draw(column, people, rng)
        logit += column.weight * standardised
    probability = 1.0 / (1.0 + np.exp(-logit))
    return values, probability, (rng.random(people) < probability).astype(np.int64)


def _draw(column: Column, people: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A feature as recorded, and standardised as it enters the logit."""
    if column.law == "count":
        counts = rng.poisson(column.a, people)
        return counts.astype(np.int64), (counts - column.a) / np.sqrt(column.a)
    if column.law == "flag":
        flags = rng.random(people) < column.a
        return flags.astype(np.int64), (flags - column.a) / np.sqrt(column.a * (1 - column.a))
    normal = rng.standard_normal(people)
    if column.law == "lognormal":
        return np.round(np.exp(column.a + column.b * normal), column.decimals), normal
    return np.round(column.a + column.b * normal, column.decimals), normal


def _ids(people: int, seed: int) -> np.ndarray:
    """``P`` and nine digits, distinct, in an order that says nothing about the person."""
    numbers = np.random.default_rng([seed, 2]).permutation(people)
    return np.char.add("P", np.char.zfill(numbers.astype("U9"), 9)).astype(object)


def _spoil(
    frame: pd.DataFrame,
    names: list[str],
    rng: np.random.Generator,
    missing: float,
    outliers: float,
    duplicates: float,
) -> pd.DataFrame:
    """``frame`` with the asked share of defects."""
    again = frame.iloc[rng.permutation(len(frame))[: round(len(frame) * duplicates)]].copy()
    continuous = [column.name for column in COLUMNS if column.name in names and column.law != "flag"]
    if len(again):
        again[continuous] = again[continuous] * (1 + 0.01 * rng.standard_normal((len(again), len(continuous))))
        frame = pd.concat([frame, again]).iloc[rng.permutation(len(frame) + len(again))].reset_index(drop=True)
    for name in continuous if outliers else ():
        hit = rng.random(len(frame)) < outliers
        frame[name] = frame[name].where(~hit, frame[name] + 20 * frame[name].std())
    for name in names if missing else ():
        frame[name] = frame[name].astype(np.float64).mask(rng.random(len(frame)) < missing)
    return frame
