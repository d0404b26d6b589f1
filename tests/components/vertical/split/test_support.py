import numpy as np
import pytest

from veilflow.components.errors import ComponentError
from veilflow.components.vertical.split.support import MINIMUM, require_support

ROWS = 50


def column(others: int) -> np.ndarray:
    return (np.arange(ROWS) < others).astype(np.float32)


@pytest.mark.parametrize("others", [0, MINIMUM, ROWS // 2])
def test_columns_of_many_people_and_constant_ones_pass(others: int) -> None:
    require_support(np.stack([column(others), np.arange(ROWS, dtype=np.float32)], axis=1), ["rare", "age"])


@pytest.mark.parametrize("others", [1, MINIMUM - 1])
def test_a_column_that_singles_people_out_is_named_and_their_number_is_not(others: int) -> None:
    x = np.stack([np.arange(ROWS, dtype=np.float32), 1 - column(others)], axis=1)
    with pytest.raises(ComponentError, match="rare: fewer than 10 of 50 rows differ") as caught:
        require_support(x, ["age", "rare"])
    assert "drop" in str(caught.value)
    assert f" {others} " not in str(caught.value)


def test_many_such_columns_are_counted() -> None:
    with pytest.raises(ComponentError, match="c0, c1, c2, c3, c4 and 45 more"):
        require_support(np.eye(ROWS, dtype=np.float32), [f"c{i}" for i in range(ROWS)])
