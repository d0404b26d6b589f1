"""A budget belongs to people: what names them depends on who they are, not on how their rows are stored."""

import numpy as np
import pandas as pd
import pytest

from veilflow.components.horizontal.fedavg_train.sources import people_digest

ROWS = pd.DataFrame({"person": [3, 1, 2], "age": [40, 50, 60], "income": [1.5, -0.0, np.nan], "town": list("abb")})


@pytest.mark.parametrize("ids", [(), ("person",)])
@pytest.mark.parametrize(
    "same",
    [
        ROWS.iloc[::-1],
        ROWS[["town", "income", "age", "person"]],
        ROWS.astype({"age": "float64", "town": "category"}),
        ROWS.replace({"income": {0.0: 0.0}}),
    ],
    ids=["other order", "other order of columns", "other types", "zero without a sign"],
)
def test_the_same_people_however_they_are_stored(same: pd.DataFrame, ids: tuple[str, ...]) -> None:
    assert people_digest(same, ids) == people_digest(ROWS, ids)


def test_people_with_an_id_are_the_same_whatever_else_is_known_of_them() -> None:
    known = ROWS.assign(age=[1, 2, 3], person=["3", "1", "2"]).drop(columns="town")
    assert people_digest(known, ("person",)) == people_digest(ROWS, ("person",))
    assert people_digest(known, ()) != people_digest(ROWS, ())


@pytest.mark.parametrize("ids", [(), ("person",)])
def test_one_person_more_or_another_one_makes_other_people(ids: tuple[str, ...]) -> None:
    others = [ROWS.iloc[:2], pd.concat([ROWS, ROWS.iloc[:1]]), ROWS.assign(person=[3, 1, 4])]
    assert len({people_digest(each, ids) for each in [ROWS, *others]}) == 4


def test_images_are_named_in_any_order() -> None:
    images = np.random.default_rng(3).integers(0, 255, (4, 28, 28), dtype=np.uint8)
    held = people_digest(({}, {"images": images}), ())
    assert people_digest(({}, {"images": images[::-1]}), ()) == held
    assert people_digest(({}, {"images": images[:3]}), ()) != held
