"""Reading YAML: every problem of the text itself, and where each value stands."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veilflow.pipelines.spec.document import parse, parse_value


def _problems(text: str | bytes) -> list[str]:
    return [str(problem) for problem in parse(text if isinstance(text, bytes) else text.encode()).problems]


def test_every_key_and_item_has_its_line():
    document = parse(b"# comment\nparties:\n  - a\n  - b\nnodes:\n  x: {with: {k: 1}}\n")
    assert document.problems == []
    assert document.lines["parties", 1] == 4
    assert document.lines["nodes", "x", "with", "k"] == 6
    assert document.data == {"parties": ["a", "b"], "nodes": {"x": {"with": {"k": 1}}}}


def test_scalars_are_read_as_yaml_1_2_and_dates_stay_text():
    data = parse(b"a: yes\nb: true\nc: 1_000\nd: 1e-3\ne: 2024-01-31\nf: ~\ng: '3'\nh: 010\n").data
    assert data == {"a": "yes", "b": True, "c": 1000, "d": 0.001, "e": "2024-01-31", "f": None, "g": "3", "h": 10}


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "---\n"])
def test_an_empty_file_says_what_belongs_in_it(text):
    document = parse(text.encode())
    assert document.data is None
    if text != "---\n":  # that one holds a document, the value nothing
        assert _problems(text) == ["line 1: the file is empty; a pipeline has version, name, parties and nodes"]


def test_all_duplicate_keys_are_reported_with_both_lines():
    assert _problems("a: 1\nb: 2\na: 3\nc:\n  d: 1\n  d: 2\n") == [
        "line 3: a: 'a' is here a second time, first on line 1; keep one",
        "line 6: c -> d: 'd' is here a second time, first on line 5; keep one",
    ]


def test_a_tab_is_named_as_such():
    assert _problems("nodes:\n\tx: 1\n") == ["line 2: a tab; YAML is indented with spaces only"]
    assert _problems("nodes:\n  x:\n  \t y: 1\n") == ["line 3: a tab; YAML is indented with spaces only"]
    assert _problems('a: "b\tc" "d"\n')[0].startswith("line 1: not valid YAML: ")  # this tab is harmless


def test_broken_yaml_names_the_line():
    assert _problems("a: 1\nb: [1, 2\nc: 3\n") == ["line 3: not valid YAML: expected ',' or ']', but got ':'"]
    assert _problems("a: 1\n---\nb: 1\n") == [
        "line 2: not valid YAML: expected a single document in the stream but found another document"
    ]
    assert _problems("a: \x00\n") == ["line 1: a character that YAML does not allow; remove it"]


def test_text_that_is_not_utf8_names_the_line():
    assert _problems(b"a: 1\nb: \xff\xfe\n") == ["line 2: not UTF-8 text; save the file as UTF-8"]


def test_a_byte_order_mark_is_no_part_of_the_first_key():
    assert parse(b"\xef\xbb\xbfversion: 1\n").data == {"version": 1}


def test_keys_that_are_not_text_and_merge_keys_are_refused():
    assert _problems("1: a\nx: &base {k: 1}\ny:\n  <<: *base\n") == [
        "line 1: the key '1' is not text; put quotes around it",
        "line 4: y: merge keys (<<) are not supported; write the entries out",
    ]


def test_an_alias_repeats_its_value_but_may_not_hold_itself():
    assert parse(b"a: &x [1, 2]\nb: *x\n").data == {"a": [1, 2], "b": [1, 2]}
    assert _problems("a: &x\n  b: *x\n") == ["line 2: a -> b: an alias that repeats itself; write the value out"]


def test_a_bomb_of_aliases_ends_in_one_problem():
    layers = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]\n" for n in range(1, 9))
    assert len(_problems("l0: &l0 [x]\n" + layers)) == 1


def test_foreign_tags_are_refused():
    assert _problems("a: !!python/object:os.system x\n") == [
        "line 1: a: the YAML tag !!python/object:os.system is not supported; write a plain value"
    ]


def test_deep_nesting_is_a_problem_and_not_a_crash():
    assert _problems("a: " + "[" * 5000) == ["nested too deeply to read"]


@given(st.binary(max_size=200))
def test_no_bytes_make_it_raise(raw):
    document = parse(raw)
    assert document.problems or document.data is not None or raw


@given(st.text(max_size=60))
def test_no_option_text_makes_it_raise_anything_but_value_error(text):
    with contextlib.suppress(ValueError):
        parse_value(text)


def test_an_empty_option_is_the_empty_text():
    assert parse_value("") == ""
