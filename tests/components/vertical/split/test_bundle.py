import numpy as np
import pytest

from veilflow.components.devices.objects import pack, unpack
from veilflow.components.errors import ComponentError
from veilflow.components.training.parts import merge, rules_of, section
from veilflow.components.vertical.split.bundle import Facts
from veilflow.components.vertical.split.model import Dense, SplitModel
from veilflow.components.vertical.split.roster import make_roster

ROSTER = make_roster({"a": ["x", "y"], "b": ["z"]}, {"b": ["sick"]})
FACTS = Facts(
    SplitModel({"a": Dense((4,), "relu"), "b": Dense((2,), "tanh")}, Dense((), "relu")),
    ROSTER,
    "summed",
    {"clip": 2.0},
    2,
    "f00d",
)


def test_public_facts_survive_json() -> None:
    assert Facts.from_json(FACTS.to_json()) == FACTS


def test_another_format_is_refused() -> None:
    with pytest.raises(ComponentError, match="the model has format 7, this VeilFlow reads 1"):
        Facts.from_json(FACTS.to_json() | {"version": 7})


def test_sections_and_rules_come_back_as_they_went_in() -> None:
    bottom = {"memory": 0}, {"params/layer1/kernel": np.arange(6.0).reshape(2, 3)}
    top = {"rank": 1}, {"share/top": np.arange(5, dtype=np.uint8)}
    rules = [({"type": "clean", "version": 1}, {}), ({"type": "scale", "version": 1}, {})]
    part = unpack(pack(*merge("f00d", {"bottom": bottom, "top": top}, rules)))
    assert part[0]["identity"] == "f00d"
    for name, (document, arrays) in {"bottom": bottom, "top": top}.items():
        found_document, found_arrays = section(part, name)
        assert found_document == document
        assert found_arrays.keys() == arrays.keys()
        for key, value in arrays.items():
            np.testing.assert_array_equal(found_arrays[key], value)
    assert rules_of(part) == [{"type": "clean", "version": 1}, {"type": "scale", "version": 1}]
    assert section(part, "nothing") == ({}, {})
