"""569 breast-cancer patients, divided between a hospital and an insurer.

The rows are real: the Wisconsin diagnostic data of W. Street, W. Wolberg and O. Mangasarian (1993), read from the copy
that scikit-learn installs. The division is ours: the hospital measured the *mean* of ten properties of the cell nuclei
and knows the diagnosis; the insurer got, with the bill of an outside laboratory, the *standard error* and the *worst*
value of the same ten. Person IDs and the choice of who is known where are made up, the same on every machine.

Columns of the hospital   ``person``, ten ``mean_*`` columns, and ``malignant`` (1 = malignant, 0 = benign).
Columns of the insurer    ``person``, ten ``*_error`` and ten ``worst_*`` columns.
500 people are known, 69 are new and only there to be predicted; in both groups some 80 % are at both parties, and 10 %
at one of them only.
"""

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer

KNOWN = 500
"""People in `hospital` and `insurer` together; the other 69 are the new ones."""
_SHARED = 0.8
_SEED = 19930101


def part(name: str) -> pd.DataFrame:
    """One part: ``hospital``, ``insurer``, ``hospital_new`` and ``insurer_new`` (no label), or
    ``hospital_new_outcome`` (the new people's ``person`` and ``malignant``, to score predictions with)."""
    people = _people()
    new = "_new" in name
    group = people.iloc[KNOWN:] if new else people.iloc[:KNOWN]
    at_hospital, at_insurer = _who_is_where(group, seed=_SEED + 1 + new)
    if name.startswith("insurer"):
        return at_insurer[["person", *(c for c in people if c.endswith("_error") or c.startswith("worst_"))]]
    measured = [column for column in people if column.startswith("mean_")]
    if name == "hospital_new":
        return at_hospital[["person", *measured]]
    if name == "hospital_new_outcome":
        return at_hospital[["person", "malignant"]]
    return at_hospital[["person", *measured, "malignant"]]


def _people() -> pd.DataFrame:
    """All 569 in a fixed random order, IDs unrelated to order and diagnosis."""
    rng = np.random.default_rng(_SEED)
    bunch = load_breast_cancer(as_frame=True)
    people = bunch.data.rename(columns=lambda column: column.replace(" ", "_"))
    people["malignant"] = (bunch.target == 0).astype("int64")
    people["person"] = [f"P{number:04d}" for number in rng.choice(10_000, len(people), replace=False)]
    return people.iloc[rng.permutation(len(people))].reset_index(drop=True)


def _who_is_where(group: pd.DataFrame, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The hospital's and the insurer's people of a group, each in its own order."""
    rng = np.random.default_rng(seed)
    shared = round(_SHARED * len(group))
    half = (len(group) - shared) // 2
    hospital = rng.permutation(np.r_[0:shared, shared : shared + half])
    insurer = rng.permutation(np.r_[0:shared, shared + half : len(group)])
    return group.iloc[hospital].reset_index(drop=True), group.iloc[insurer].reset_index(drop=True)
