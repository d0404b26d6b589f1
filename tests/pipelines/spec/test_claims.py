"""The components' own claims are asked where, and only where, all they can know is right."""

import pytest

from veilflow.components.claims import Artifact, Claims, NodeView
from veilflow.components.flow import claims as flow_claims
from veilflow.pipelines.spec import PipelineFileError, loads

HEAD = "version: 1\nname: demo\nparties: [hospital, insurer, coordinator]\nnodes:\n"


class Reads(Claims):
    def takes_part(self, node: NodeView) -> tuple[str, ...]:
        return (node.params["party"],)

    def outputs(self, node: NodeView) -> dict[str, Artifact]:
        party = node.params["party"]
        return {"output_ds": Artifact("table", (party,), party if "label" in node.params["uri"] else None)}


class Joins(Claims):
    def problems(self, node: NodeView) -> list[str]:
        labels = [a.label_party for name in ("input_ds1", "input_ds2") if (a := node.one(name)) and a.label_party]
        return [f"the label is at two parties, {labels[0]} and {labels[1]}; drop one"] if len(labels) > 1 else []


@pytest.fixture(autouse=True)
def _claims(monkeypatch):
    monkeypatch.setitem(flow_claims.CLAIMS, "io/data_source", Reads())
    monkeypatch.setitem(flow_claims.CLAIMS, "data_prep/psi", Joins())


def text(left: str, right: str, keys: str = "[id]") -> bytes:
    return (
        f"{HEAD}"
        f"  align:\n"
        f"    uses: data_prep/psi\n"
        f"    needs: {{input_ds1: left.output_ds, input_ds2: right.output_ds}}\n"
        f"    with: {{input_ds1_keys: {keys}, input_ds2_keys: [id]}}\n"
        f"  left: {{uses: io/data_source, with: {{party: hospital, uri: {left}}}}}\n"
        f"  right: {{uses: io/data_source, with: {{party: insurer, uri: {right}}}}}\n"
    ).encode()


def problems(raw: bytes) -> list[str]:
    with pytest.raises(PipelineFileError, match="problem") as caught:
        loads(raw)
    return [str(problem) for problem in caught.value.problems]


def test_what_claims_object_to_is_a_problem_of_that_step():
    assert loads(text("x", "label")).name == "demo"
    assert problems(text("label", "label")) == [
        "line 5: nodes -> align: the label is at two parties, hospital and insurer; drop one"
    ]


def test_claims_are_not_asked_about_a_step_that_is_wrong_itself_or_fed_by_one():
    assert problems(text("label", "label", keys="id")) == [
        "line 8: nodes -> align -> with -> input_ds1_keys: expected a list of columns, got the text 'id'; write [id]"
    ]
    assert problems(text("label", "3")) == [
        'line 10: nodes -> right -> with -> uri: expected text, got the number 3; put it in quotes: "3"'
    ]


def test_claims_are_not_asked_while_the_parties_are_unclear():
    raw = text("label", "label").replace(b"[hospital, insurer, coordinator]", b"[hospital, insurer, hospital]")
    assert problems(raw) == ["line 3: parties: 'hospital' is listed twice"]


def test_claims_of_all_steps_are_heard_even_when_an_earlier_one_objects(monkeypatch):
    class Objects(Joins):
        def problems(self, node: NodeView) -> list[str]:
            return [f"no {node.name}"]

    monkeypatch.setitem(flow_claims.CLAIMS, "data_prep/psi", Objects())
    monkeypatch.setitem(flow_claims.CLAIMS, "stats/table_statistics", Objects())
    raw = (
        text("a", "b")
        + b"  stats: {uses: stats/table_statistics, needs: {input_ds: align.output_ds}, with: {features: [x]}}\n"
    )
    assert problems(raw) == ["line 5: nodes -> align: no align", "line 11: nodes -> stats: no stats"]
