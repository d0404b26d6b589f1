"""`--set node.param=value`."""

import hashlib

import pytest

from veilflow.pipelines.spec import PipelineFileError, loads

FILE = b"""\
version: 1
name: demo
parties: [hospital, insurer, coordinator]
nodes:
  read: {uses: io/data_source, with: {party: hospital, uri: a.csv}}
  other: {uses: io/data_source, with: {party: insurer, uri: b.csv}}
  align:
    uses: data_prep/psi
    needs: {input_ds1: read.output_ds, input_ds2: other.output_ds}
    with: {protocol: PROTOCOL_RR22, input_ds1_keys: [id], input_ds2_keys: [id]}
  wait: {uses: flow/barrier}
"""


def params(*overrides: str, node: str = "align") -> dict:
    return loads(FILE, overrides).nodes[node].params


def problems(*overrides: str) -> list[str]:
    with pytest.raises(PipelineFileError, match="problem") as caught:
        loads(FILE, overrides)
    return [str(problem) for problem in caught.value.problems]


def test_values_are_read_as_yaml():
    assert params("read.uri=b.csv", node="read")["uri"] == "b.csv"
    assert params("read.uri=", node="read")["uri"] == ""
    assert params("read.uri=a=b", node="read")["uri"] == "a=b"
    assert params("align.sort_result=false")["sort_result"] is False
    assert params("align.input_ds1_keys=[a, b]")["input_ds1_keys"] == ["a", "b"]
    assert params('read.uri="3"', node="read")["uri"] == "3"


@pytest.mark.parametrize("path", ["align.protocol/PROTOCOL_ECDH", "align.protocol.PROTOCOL_ECDH"])
def test_nested_parameters_take_slashes_or_dots_and_replace_a_plain_choice(path):
    assert params(f"{path}=CURVE_SM2")["protocol"] == {"PROTOCOL_ECDH": "CURVE_SM2"}


def test_later_ones_win_and_the_file_is_kept_as_it_was():
    pipeline = loads(FILE, ["read.uri=b", "read.uri=c"])
    assert pipeline.nodes["read"].params["uri"] == "c"
    assert pipeline.overrides == ("read.uri=b", "read.uri=c")
    assert pipeline.sha256 == hashlib.sha256(FILE).hexdigest()


def test_a_problem_says_which_option_brought_it():
    assert problems("algin.sort_result=true") == [
        "--set algin.sort_result=true: no node 'algin'; did you mean 'align'?"
    ]
    assert problems("align.srot_result=true") == [
        "--set align.srot_result=true: nodes -> align -> with -> srot_result: "
        "unknown parameter; did you mean 'sort_result'?"
    ]
    assert problems("align.sort_result=1", "read.uri=3") == [
        '--set read.uri=3: nodes -> read -> with -> uri: expected text, got the number 3; put it in quotes: "3"',
        "--set align.sort_result=1: nodes -> align -> with -> sort_result: expected true or false, got the number 1",
    ]
    assert problems("wait.x=1") == [
        "--set wait.x=1: nodes -> wait -> with -> x: unknown parameter; flow/barrier takes none here"
    ]


@pytest.mark.parametrize("text", ["read", "read.uri", "=x", ".uri=x", "read.=x", "uri=x"])
def test_an_option_that_is_not_understood_shows_the_form(text):
    assert problems(text) == [
        f"--set {text}: not understood; write --set node.parameter=value, with node.a/b=value for a nested parameter"
    ]


def test_a_value_that_is_not_yaml_asks_for_quotes():
    assert problems("read.uri=[a") == ["--set read.uri=[a: the value is not valid YAML; put it in quotes: '\"...\"'"]


def test_what_the_file_lacks_is_not_blamed_on_an_option():
    text = b"version: 1\nname: demo\nparties: [a, b]\nnodes:\n  r: {uses: io/data_source}\n"
    with pytest.raises(PipelineFileError, match=r"1 problem\n  line 5: .*'uri' is missing"):
        loads(text, ["r.party=a"])
