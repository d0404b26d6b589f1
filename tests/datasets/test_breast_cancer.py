"""The sample is scikit-learn's data, divided; nothing of it is made up but IDs and who is known where."""

import numpy as np
from sklearn.datasets import load_breast_cancer

from veilflow.datasets.samples.breast_cancer import part


def test_each_row_is_a_row_of_the_original():
    original = load_breast_cancer(as_frame=True)
    rows = {tuple(row) for row in np.column_stack([original.data.to_numpy()[:, :10], 1 - original.target.to_numpy()])}
    hospital = part("hospital")
    assert {tuple(row) for row in hospital.drop(columns="person").to_numpy(dtype=float)} <= rows


def test_both_parts_of_a_person_belong_to_the_same_patient():
    original = load_breast_cancer(as_frame=True).data.to_numpy()
    joined = part("hospital").drop(columns="malignant").merge(part("insurer"), on="person")
    rows = {tuple(row) for row in original}
    assert {tuple(row) for row in joined.drop(columns="person").to_numpy()} <= rows
    assert joined.shape == (400, 31)


def test_most_people_are_at_both_parties_and_some_at_one():
    for new, size in (("", 450), ("_new", 62)):
        hospital, insurer = set(part(f"hospital{new}")["person"]), set(part(f"insurer{new}")["person"])
        assert len(hospital) == len(insurer) == size
        shared = len(hospital & insurer)
        assert 0.75 < shared / len(hospital | insurer) < 0.85


def test_new_people_are_new():
    known = set(part("hospital")["person"]) | set(part("insurer")["person"])
    new = set(part("hospital_new")["person"]) | set(part("insurer_new")["person"])
    assert not known & new
    assert len(known | new) == 569


def test_new_people_come_without_their_outcome_which_is_kept_apart():
    assert "malignant" not in part("hospital_new")
    outcome = part("hospital_new_outcome")
    assert outcome["person"].tolist() == part("hospital_new")["person"].tolist()
    assert set(outcome["malignant"]) == {0, 1}


def test_neither_id_nor_order_tells_the_diagnosis():
    hospital = part("hospital")
    order = np.corrcoef(np.arange(len(hospital)), hospital["malignant"])[0, 1]
    number = np.corrcoef(hospital["person"].str[1:].astype(int), hospital["malignant"])[0, 1]
    assert abs(order) < 0.15
    assert abs(number) < 0.15


def test_the_sample_is_the_same_every_time():
    assert part("insurer").equals(part("insurer"))
