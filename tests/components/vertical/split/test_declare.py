"""Models are checked before anything runs, and survive being stored."""

import json

import pytest

from veilflow.components.errors import ComponentError
from veilflow.components.training.user_modules import Module
from veilflow.components.vertical.split.declare import Declaration, declare
from veilflow.components.vertical.split.model import Dense, SplitModel
from veilflow.components.vertical.split.roster import make_roster

ROSTER = make_roster({"a": ["x"], "b": ["y"], "c": []}, {"c": ["sick"]})


def declaration(**changes) -> Declaration:
    usual = {
        "release": "summed",
        "layers": (16,),
        "activation": "relu",
        "by_party": (),
        "module": "",
        "arguments": "{}",
        "top_layers": (8,),
        "top_activation": "relu",
    }
    return Declaration(**(usual | changes))


def test_every_feature_party_gets_a_bottom_and_exceptions_hold() -> None:
    model = declare(declaration(by_party=("b:32-4:tanh",)), ROSTER)
    assert model == SplitModel({"a": Dense((16,), "relu"), "b": Dense((32, 4), "tanh")}, Dense((8,), "relu"))


def test_a_model_survives_json() -> None:
    for changes in ({}, {"release": "per_example", "module": "pkg.mod:Net", "arguments": '{"width": 4}'}):
        model = declare(declaration(**changes), ROSTER)
        assert SplitModel.from_json(json.loads(json.dumps(model.to_json()))) == model


def test_a_module_replaces_the_dense_layers() -> None:
    model = declare(declaration(release="per_example", module="pkg.mod:Net"), ROSTER)
    assert model.bottoms["a"] == Module("pkg.mod:Net")


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"layers": ()}, "a bottom needs at least one layer"),
        ({"layers": (0,)}, "bottom layers have sizes 0; each must be 1 to 4096"),
        ({"activation": "swish"}, "unknown bottom activation 'swish'; there is: relu, tanh"),
        ({"top_activation": "tanh"}, "unknown top activation 'tanh'; there is: relu, quadratic, identity"),
        ({"top_layers": (5000,)}, "top layers have sizes 5000"),
        ({"by_party": ("b:x",)}, "'b:x' is not of the form party:32-16"),
        ({"by_party": ("c:4",)}, "'c:4': c holds no features; these do: a, b"),
        ({"module": "pkg.mod:Net"}, "bottom/module needs release: per_example"),
        ({"module": "pkg.mod", "release": "per_example"}, "'pkg.mod' is not of the form package.module:Class"),
        ({"module": "p:N", "release": "per_example", "arguments": "[1]"}, "must be a JSON object"),
        ({"module": "p:N", "release": "per_example", "arguments": "{"}, "must be a JSON object"),
    ],
)
def test_what_does_not_fit_is_named(changes: dict, message: str) -> None:
    with pytest.raises(ComponentError, match=message):
        declare(declaration(**changes), ROSTER)


@pytest.mark.parametrize(
    "features, labels, message",
    [
        ({"a": ["x"], "b": ["y"]}, {"a": [], "b": []}, "exactly one label column, it has 0: none"),
        ({"a": ["x"], "b": ["y"]}, {"a": ["l"], "b": ["m"]}, "it has 2: 'l' at a, 'm' at b"),
        ({"a": ["x"], "b": ["y"]}, {"a": ["l", "m"]}, "it has 2: 'l' at a, 'm' at a"),
        ({"a": ["x"], "b": []}, {"a": ["l"]}, "only a would take part: features lie at a, the label at a"),
        ({"a": [], "b": []}, {"a": ["l"]}, "features lie at nobody, the label at a"),
    ],
)
def test_tables_without_a_task_across_parties_are_refused(features: dict, labels: dict, message: str) -> None:
    with pytest.raises(ComponentError, match=message):
        make_roster(features, labels)


def test_a_label_holder_without_features_is_still_a_holder() -> None:
    assert ROSTER.bottoms == ("a", "b")
    assert ROSTER.holders == ("a", "b", "c")
