"""From a client's rows to arrays: what is too little, and for what."""

import numpy as np
import pandas as pd
import pytest

from veilflow.components.data.columns import Columns
from veilflow.components.errors import ComponentError
from veilflow.components.horizontal.fedavg.arrays import image_arrays, table_arrays

COLUMNS = Columns(("age", "city"), "late", {"city": ("north", "south")})
FRAME = pd.DataFrame({"late": [0, 1], "city": ["south", "north"], "age": [30.0, 40.0]})


def test_columns_come_in_the_agreed_order_and_texts_as_flags():
    x, y = table_arrays(FRAME, COLUMNS)
    assert x.tolist() == [[30, 0, 1], [40, 1, 0]]
    assert y.tolist() == [0, 1]


def test_one_row_can_be_scored_but_not_trained_with():
    with pytest.raises(ComponentError, match=r"1 row\(s\): a client needs at least 2 to train"):
        table_arrays(FRAME.head(1), COLUMNS)
    assert table_arrays(FRAME.head(1), COLUMNS, label=False)[1] is None
    with pytest.raises(ComponentError, match=r"1 image\(s\): a client needs at least 2 to train"):
        image_arrays(np.zeros((1, 4, 4), np.uint8), np.zeros(1))


def test_where_there_is_nothing_to_score_nobody_is_told_to_train():
    for empty in (
        lambda: table_arrays(FRAME.head(0), COLUMNS, label=False),
        lambda: image_arrays(np.zeros((0, 4, 4), np.uint8), None),
    ):
        with pytest.raises(ComponentError, match=r"there is no (row|image) to score"):
            empty()
