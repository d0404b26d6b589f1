"""Whatever is wrong with a file, what others are told of it holds nothing of the file."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from veilflow.components.data.images.select import select
from veilflow.components.data.images.spec import ImageSpec
from veilflow.components.data.read.normalise import normalise
from veilflow.components.data.read.spec import ReadSpec
from veilflow.components.errors import ComponentError
from veilflow.datasets.errors import SourceError
from veilflow.datasets.sources import open_source, open_table

CANARY = re.compile("CANARY|777")
CELL = st.sampled_from(
    [
        "CANARYANN",
        "CANARY, BEN",
        'CANARY"',
        '"CANARY',
        '"CANARY"',
        "777.5",
        "7771",
        "-",
        "",
        "NA",
        "1",
        "0",
        "\u5f20CANARY",
    ]
)
SPECS = [
    ReadSpec(),
    ReadSpec(ids=("person",), label="ill"),
    ReadSpec(ids=("person",), types={"age": "float"}, columns=("age",)),
    ReadSpec(ids=("person",), label="ill", types={"ill": "bool"}, incomplete_rows="drop", parse_failures="missing"),
    ReadSpec(label="ill", label_is="Y", drop=("age",)),
]
HEADERS = st.sampled_from(["person,age,ill", "person,age", "person,age,ill,CANARYNOTE", "CANARY,age,ill", None])


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    header=HEADERS,
    rows=st.lists(st.lists(CELL, min_size=2, max_size=4), max_size=6),
    encoding=st.sampled_from(["utf-8", "gbk", "utf-16"]),
    spec=st.sampled_from(SPECS),
)
def test_no_message_of_a_csv_holds_a_cell_or_an_undeclared_name(tmp_path: Path, header, rows, encoding, spec):
    lines = [*([header] if header else []), *(",".join(row) for row in rows)]
    (tmp_path / "t.csv").write_bytes("\n".join([*lines, ""]).encode(encoding))
    try:
        found, _ = normalise(open_table("t.csv", tmp_path, spec.wanted), spec, "'t.csv'")
    except (SourceError, ComponentError) as error:
        told = str(error)
    else:
        told = "" if header else ",".join(found.columns)  # names become public: not those of a first row
    assert not CANARY.search(told), told
    assert str(tmp_path) not in told


@pytest.mark.parametrize("arrays", [{"CANARY_images": 3}, {"CANARY_images": 3, "CANARY_labels": 2}])
def test_names_of_arrays_are_not_told(tmp_path: Path, arrays: dict[str, int]):
    np.savez(tmp_path / "t.npz", **{name: np.full((rows, 2, 2), 7.77) for name, rows in arrays.items()})
    with pytest.raises((SourceError, ComponentError)) as caught:
        select(open_source("t.npz", tmp_path), ImageSpec("train"), "'t.npz'")
    assert not CANARY.search(str(caught.value))
    assert "CANARY" in caught.value.own
