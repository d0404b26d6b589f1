"""`veilflow components`: the list, one component in full, and the snippet that can be pasted."""

import re

import pytest
from click.testing import CliRunner

from veilflow.pipelines import catalog
from veilflow.pipelines.catalog import Attribute, Bound, Definition, Input, Output
from veilflow.pipelines.cli.component_list import first_sentence
from veilflow.pipelines.cli.component_page import page, takes
from veilflow.pipelines.cli.component_snippet import snippet, yaml_value
from veilflow.pipelines.cli.program import program
from veilflow.pipelines.spec import flatten_params
from veilflow.pipelines.spec.document import parse, parse_value

CURRENT = [catalog.load().find(key) for key in catalog.load().names()]


def printed(*args: str) -> str:
    result = CliRunner().invoke(program, ["components", *args])
    assert result.exit_code == 0, result.stderr
    return result.stdout


def test_the_list_has_every_component_ours_first():
    text = printed()
    found = re.findall(r"^  (\S+/\S+)  ", text, re.MULTILINE)
    assert sorted(found) == catalog.load().names()
    headings = re.findall(r"^(\S+)  (veilflow|secretflow)$", text, re.MULTILINE)
    packages = [package for _, package in headings]
    assert packages == sorted(packages, reverse=True)
    assert text.endswith(f"{len(found)} components. `veilflow components NAME` explains one.\n")


def test_a_name_that_one_domain_has_needs_no_domain():
    assert printed("psi_tp") == printed("data_prep/psi_tp") == printed("data_prep/psi_tp:1.0.0")


DEMO = Definition(
    "demo/tool:1.2.0",
    "m",
    "Does [a] thing.\nAnd :smile: more.",
    (Input("one", ("t.a",), "The one."), Input("more", ("t.a", "sf.null"), variable=True, min_items=2)),
    (Output("out", ("t.b", "t.c")),),
    (
        Attribute("rate", "float", "Step\nsize.", default=0.1, lower=Bound(0.0, False), upper=Bound(1.0, True)),
        Attribute("columns", "columns", required=True, many=True, min_items=1, table="one"),
        Attribute("way", "union", default="plain", choices=("plain", "deep")),
        Attribute("way/plain", "choice"),
        Attribute("way/deep", "struct"),
        Attribute("way/deep/levels", "int", required=True, lower=Bound(1, True)),
        Attribute("who", "party", many=True),
    ),
    ("spu",),
)


def test_one_component_in_full(capsys):
    from veilflow.pipelines.cli.output import show

    show(*page(DEMO))
    assert capsys.readouterr().out == (
        "demo/tool:1.2.0\n"
        "Does [a] thing.\n"
        "And :smile: more.\n"
        "\n"
        "Needs a device of kind spu.\n"
        "\n"
        "Inputs\n"
        "  one   t.a\n"
        "        The one.\n"
        "  more  t.a; at least 2 artifacts\n"
        "\n"
        "Outputs\n"
        "  out  t.b or t.c\n"
        "\n"
        "Parameters\n"
        "  rate        a number, above 0 and at most 1; default 0.1\n"
        "              Step size.\n"
        "  columns     a list of columns of one, at least 1 item; required\n"
        "  way         one of plain, deep; default plain\n"
        "    plain     a choice\n"
        "    deep      a choice, with parameters:\n"
        "      levels  a whole number, at least 1; required\n"
        "  who         a list of parties; optional\n"
        "\n"
        "To paste under `nodes:`\n"
        "  tool:\n"
        "    uses: demo/tool\n"
        "    needs: {one: NODE.OUTPUT, more: [NODE.OUTPUT]}\n"
        "    with:\n"
        "      columns: [COLUMN]\n"
        "    #   rate: 0.1\n"
        "    #   way: plain\n"
        "    #   who: [PARTY]\n"
    )


@pytest.mark.parametrize("definition", CURRENT, ids=lambda definition: definition.id)
@pytest.mark.parametrize("comments", [False, True], ids=["as pasted", "with the comments put in"])
def test_every_snippet_is_accepted(definition, comments):
    text = snippet(definition)
    if comments:
        text = re.sub(r"^( +)# ", r"\1", text, flags=re.MULTILINE)
    document = parse(f"nodes:\n{text}\n".encode())
    assert document.problems == []
    ((_, node),) = document.data["nodes"].items()
    flat = flatten_params(definition, node.get("with") or {})
    assert set(node) <= {"uses", "needs", "with"}
    if comments:
        assert set(node.get("with") or {}) == {child.name for child in definition.children()}
    else:
        assert all(attribute.path in flat for attribute in definition.children() if attribute.required)


@pytest.mark.parametrize(
    "value", ["a", "yes", "true", "3", "", "a: b", "[x", "a.b/c-d", "null", "~", "#x", "é", 1e-6, 1.0]
)
def test_values_are_written_so_that_yaml_reads_them_back(value):
    assert parse_value(yaml_value(value)) == value
    assert parse_value(yaml_value([value, {"k": value}])) == [value, {"k": value}]


@pytest.mark.parametrize(
    ("doc", "sentence"),
    [
        ("One thing. Another.", "One thing"),
        ("Bias, ie. the mean\nof it. Then more", "Bias, ie. the mean of it"),
        ("A table of:\n1. this\n2. that", "A table of"),
        ("Title\n\nBody", "Title"),
        ("", ""),
    ],
)
def test_the_list_shows_the_first_sentence(doc, sentence):
    assert first_sentence(doc) == sentence


def test_a_list_with_choices_says_both():
    attribute = Attribute("x", "string", many=True, choices=("a", "b"), default=["a"], max_items=2)
    assert takes(DEMO, attribute) == "a list of texts, one of a, b, at most 2 items; default [a]"
