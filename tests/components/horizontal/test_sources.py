"""What is told of the clients' tables from their public schemas, before a row is looked at or anything is shared."""

import pytest

from veilflow.components.errors import ComponentError
from veilflow.components.horizontal.fedavg_train.sources import Source, agree


def source(party: str, label: str) -> Source:
    return Source(party, None, ("income",), ("bad",), {"income": "float64", "bad": label})


@pytest.mark.parametrize("kind", ["int64", "float64", "bool"])
def test_labels_that_may_be_0_and_1_agree(kind: str) -> None:
    columns, shape = agree([source("bank_a", "int64"), source("bank_b", kind)], {})
    assert (columns.label, shape) == ("bad", (1,))


def test_a_label_of_text_at_one_bank_is_named_with_its_bank_and_what_to_set() -> None:
    with pytest.raises(ComponentError, match=r"label 'bad' at bank_b is text.*types: \[bad:bool\]"):
        agree([source("bank_a", "int64"), source("bank_b", "str")], {})
