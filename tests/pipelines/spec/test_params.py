"""Parameters: strict types, bounds and choices from the definition; flat and back."""

import contextlib
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veilflow.pipelines import catalog
from veilflow.pipelines.catalog import Attribute, Bound, Definition
from veilflow.pipelines.spec import ParameterError, flatten_params, to_attributes, with_defaults

PSI = catalog.load().find("data_prep/psi")
SAMPLE = catalog.load().find("data_filter/sample")
KEYS = {"input_ds1_keys": ["id"], "input_ds2_keys": ["id"]}


def one(**facts) -> Definition:
    return Definition("test/one:1.0.0", "tests", attributes=(Attribute(path="x", **facts),))


def refusal(definition: Definition, given_params: dict) -> list[tuple]:
    with pytest.raises(ParameterError, match=r"^\w") as caught:
        flatten_params(definition, given_params)
    return caught.value.problems


@pytest.mark.parametrize(
    ("facts", "value", "message"),
    [
        ({"type": "int"}, "3", "expected a whole number, got the text '3'; remove the quotes"),
        ({"type": "int"}, 3.0, "expected a whole number, got the number 3.0; write 3"),
        ({"type": "int"}, 3.5, "expected a whole number, got the number 3.5"),
        ({"type": "int"}, True, "expected a whole number, got true"),
        ({"type": "int"}, 2**63, "does not fit into 64 bits"),
        ({"type": "float"}, "0.5", "expected a number, got the text '0.5'; remove the quotes"),
        ({"type": "float"}, False, "expected a number, got false"),
        ({"type": "float"}, math.inf, "expected a finite number of 32 bits, got inf"),
        ({"type": "float"}, math.nan, "expected a finite number of 32 bits, got nan"),
        ({"type": "float"}, 1e39, "expected a finite number of 32 bits, got 1e+39"),
        ({"type": "string"}, 1, 'expected text, got the number 1; put it in quotes: "1"'),
        ({"type": "string"}, ["a"], "expected text, got a list of 1"),
        ({"type": "bool"}, "yes", "expected true or false, got the text 'yes'"),
        ({"type": "bool"}, 1, "expected true or false, got the number 1"),
        ({"type": "int", "lower": Bound(1, True)}, 0, "must be at least 1, got 0"),
        ({"type": "int", "lower": Bound(1, False)}, 1, "must be above 1, got 1"),
        (
            {"type": "float", "lower": Bound(0.0, False), "upper": Bound(1.0, True)},
            2,
            "must be above 0 and at most 1, got 2.0",
        ),
        ({"type": "float", "upper": Bound(1.0, False)}, 1, "must be below 1, got 1.0"),
        (
            {"type": "string", "choices": ("mean", "median")},
            "meen",
            "'meen' is not one of mean, median; did you mean 'mean'?",
        ),
        ({"type": "int", "many": True}, 3, "expected a list of whole numbers, got the number 3; write [3]"),
        ({"type": "int", "many": True, "min_items": 2}, [1], "takes at least 2 items, got 1"),
        ({"type": "int", "many": True, "max_items": 1}, [1, 2], "takes at most 1 item, got 2"),
        ({"type": "int", "many": True, "min_items": 2, "max_items": 2}, [], "takes exactly 2 items, got 0"),
        ({"type": "party"}, ["a"], "takes one name, got a list of 1; write the name without brackets"),
        ({"type": "columns"}, 3, 'expected text, got the number 3; put it in quotes: "3"'),
        ({"type": "int"}, None, "has no value; leave it out for the default"),
        ({"type": "int", "required": True}, None, "has no value; give one"),
        ({"type": "protobuf"}, "{", "expected a mapping, or JSON in a text; this text is not JSON"),
        ({"type": "protobuf"}, 3, "expected a mapping, got the number 3"),
        ({"type": "struct"}, 3, "expected a mapping of parameters, got the number 3"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused(facts, value, message):
    assert refusal(one(**facts), {"x": value}) == [(("x",), message)]


def test_an_item_of_a_list_is_named_by_its_place():
    assert refusal(one(type="int", many=True), {"x": [1, "b"]}) == [
        (("x", 1), "expected a whole number, got the text 'b'")
    ]


def test_whole_numbers_are_fine_where_a_number_is_wanted():
    flat = flatten_params(one(type="float"), {"x": 3})
    assert flat == {"x": 3.0}
    assert isinstance(flat["x"], float)


def test_a_choice_of_a_union_is_its_name_or_a_mapping():
    assert flatten_params(PSI, {**KEYS, "protocol": "PROTOCOL_KKRT"})["protocol"] == "PROTOCOL_KKRT"
    nested = flatten_params(PSI, {**KEYS, "protocol": {"PROTOCOL_ECDH": "CURVE_SM2"}})
    assert nested["protocol"] == "PROTOCOL_ECDH"
    assert nested["protocol/PROTOCOL_ECDH"] == "CURVE_SM2"
    struct = flatten_params(SAMPLE, {"sample_algorithm": {"random": {"frac": 0.5}}})
    assert struct == {"sample_algorithm": "random", "sample_algorithm/random/frac": 0.5}


@pytest.mark.parametrize(
    ("value", "path", "message"),
    [
        (
            {"random": {}, "system": {}},
            ("sample_algorithm",),
            "expected one choice of random, system, stratify, got 2",
        ),
        (3, ("sample_algorithm",), "expected one of random, system, stratify, got the number 3"),
        (
            {"randm": {}},
            ("sample_algorithm", "randm"),
            "'randm' is not one of random, system, stratify; did you mean 'random'?",
        ),
        (
            {"random": {"frak": 1}},
            ("sample_algorithm", "random", "frak"),
            "unknown parameter; did you mean 'frac'?",
        ),
        (
            {"random": {"frac": 0}},
            ("sample_algorithm", "random", "frac"),
            "must be above 0 and below 10000, got 0.0",
        ),
    ],
)
def test_problems_inside_a_union_have_the_full_path(value, path, message):
    assert refusal(SAMPLE, {"sample_algorithm": value}) == [(path, message)]


def test_what_a_choice_requires_is_missing_only_when_it_is_chosen():
    assert flatten_params(SAMPLE, {}) == {}
    missing = [message for _, message in refusal(SAMPLE, {"sample_algorithm": "stratify"})]
    assert missing == [
        "parameter 'sample_algorithm/stratify/observe_feature' is missing: text",
        "parameter 'sample_algorithm/stratify/replacements' is missing: a list of true or false",
        "parameter 'sample_algorithm/stratify/quantiles' is missing: a list of numbers",
    ]


def test_a_choice_without_parameters_takes_none():
    assert refusal(PSI, {**KEYS, "protocol": {"PROTOCOL_KKRT": {"fast": True}}}) == [
        (("protocol", "PROTOCOL_KKRT"), "'PROTOCOL_KKRT' takes no parameters")
    ]


def test_unknown_parameters_are_told_the_right_form():
    wire = refusal(PSI, {**KEYS, "input/input_ds1/keys": ["id"]})
    assert wire == [(("input/input_ds1/keys",), "unknown parameter; did you mean 'input_ds1_keys'?")]
    flat = refusal(SAMPLE, {"sample_algorithm/random/frac": 0.5})
    assert flat[0][1] == "unknown parameter; write it nested: sample_algorithm: {random: {frac: ...}}"
    none = refusal(catalog.load().find("data_prep/union"), {"x": 1})
    assert none == [(("x",), "unknown parameter; data_prep/union takes none here")]


def test_columns_travel_under_secretflows_input_prefix():
    flat = flatten_params(PSI, {**KEYS, "receiver_parties": ["a"], "protocol": {"PROTOCOL_ECDH": "CURVE_SM2"}})
    assert to_attributes(PSI, flat) == [
        ("protocol", "s", "PROTOCOL_ECDH"),
        ("protocol/PROTOCOL_ECDH", "s", "CURVE_SM2"),
        ("receiver_parties", "ss", ["a"]),
        ("input/input_ds1/keys", "ss", ["id"]),
        ("input/input_ds2/keys", "ss", ["id"]),
    ]
    with pytest.raises(KeyError, match="no parameter nothing"):
        to_attributes(PSI, {"nothing": 1})


def test_one_party_is_a_text_here_and_a_list_of_one_on_the_wire():
    source = catalog.load().find("io/data_source")
    flat = flatten_params(source, {"party": "a", "uri": "u"})
    assert flat == {"party": "a", "uri": "u"}
    assert to_attributes(source, flat) == [("party", "ss", ["a"]), ("uri", "s", "u")]


def test_messages_travel_as_json():
    rules = catalog.load().find("preprocessing/case_when")
    flat = flatten_params(rules, {"rules": {"whens": []}})
    assert to_attributes(rules, flat) == [("rules", "s", '{"whens": []}')]
    assert flatten_params(rules, {"rules": '{"whens": []}'}) == flat


def test_defaults_fill_the_chosen_branch_only():
    filled = with_defaults(SAMPLE, {"sample_algorithm": "system"})
    assert filled == {"sample_algorithm": "system", "sample_algorithm/system/frac": 0.2}
    assert with_defaults(SAMPLE, {})["sample_algorithm/random/frac"] == 0.8
    assert with_defaults(PSI, KEYS)["receiver_parties"] == []


_VALUES = {
    "float": st.floats(-1e6, 1e6, allow_subnormal=False),
    "int": st.integers(-(2**63), 2**63 - 1),
    "string": st.text(max_size=8),
    "bool": st.booleans(),
    "party": st.text(max_size=8),
    "columns": st.text(max_size=8),
}
_NAMES = st.text("abcdefgh_", min_size=1, max_size=6)


@st.composite
def definition_and_values(draw):
    """A definition with nested structs and unions, nested values that fit it, and the flat form they must have."""
    attributes: list[Attribute] = []
    flat: dict = {}

    def group(prefix: str, depth: int, live: bool) -> dict:
        nested = {}
        for name in draw(st.lists(_NAMES, min_size=1, max_size=3, unique=True)):
            path = f"{prefix}{name}"
            kind = draw(st.sampled_from([*_VALUES, "struct", "union"] if depth < 3 else list(_VALUES)))
            if kind == "struct":
                attributes.append(Attribute(path, "struct"))
                nested[name] = group(f"{path}/", depth + 1, live)
            elif kind == "union":
                nested[name] = union(path, depth, live)
            else:
                many = draw(st.booleans())
                attributes.append(Attribute(path, kind, many=many, required=draw(st.booleans())))
                value = draw(st.lists(_VALUES[kind], max_size=3) if many else _VALUES[kind])
                nested[name] = value
                if live:
                    flat[path] = value
        return nested

    def union(path: str, depth: int, live: bool):
        choices = draw(st.lists(_NAMES, min_size=1, max_size=3, unique=True))
        chosen = draw(st.sampled_from(choices))
        attributes.append(Attribute(path, "union", default=choices[0], choices=tuple(choices)))
        if live:
            flat[path] = chosen
        picked = chosen
        for choice in choices:
            if draw(st.booleans()):
                attributes.append(Attribute(f"{path}/{choice}", "choice"))
                continue
            attributes.append(Attribute(f"{path}/{choice}", "struct"))
            inner = group(f"{path}/{choice}/", depth + 2, live and choice == chosen)
            if choice == chosen:
                picked = {choice: inner}
        return picked

    nested = group("", 0, True)
    return Definition("test/any:1.0.0", "tests", attributes=tuple(attributes)), nested, flat


@given(definition_and_values())
def test_any_nesting_flattens_to_the_paths_secretflow_reads(case):
    definition, nested, flat = case
    assert flatten_params(definition, nested) == flat
    assert with_defaults(definition, flat) == flat
    wired = {path: value for path, _, value in to_attributes(definition, flat)}
    assert wired.keys() == flat.keys()


_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_subnormal=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(list(catalog.load())), st.data())
def test_no_value_makes_flattening_raise_anything_but_parameter_error(definition, data):
    names = [child.name for child in definition.children()] or ["x"]
    given_params = data.draw(st.dictionaries(st.sampled_from(names), _ANYTHING, max_size=4))
    flat = {}
    with contextlib.suppress(ParameterError):
        flat = flatten_params(definition, given_params)
    json.dumps(flat)
    assert len(to_attributes(definition, flat)) == len(flat)


@pytest.mark.parametrize("definition", list(catalog.load()), ids=lambda definition: definition.id)
def test_every_default_of_the_catalog_is_a_value_it_accepts(definition):
    defaults = with_defaults(definition, {})
    for attribute in definition.attributes:
        if attribute.path in defaults and attribute.type not in ("union", "protobuf") and attribute.default is not None:
            alone = Definition("test/one:1.0.0", "tests", attributes=(Attribute(**{**vars(attribute), "path": "x"}),))
            flatten_params(alone, {"x": attribute.default})
