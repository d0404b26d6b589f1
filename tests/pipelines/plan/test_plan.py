"""The plan: order, artifacts, and what each step tells whom."""

import re

import pytest

from veilflow.components.claims import ALL, Artifact, Claims, Disclosure, NodeView
from veilflow.components.flow import claims as flow_claims
from veilflow.pipelines.plan import make_plan, render_disclosures, render_steps, to_mermaid
from veilflow.pipelines.spec import loads

FILE = b"""\
version: 1
name: demo
parties: [hospital, insurer, coordinator]
nodes:
  stats: {uses: stats/table_statistics, needs: {input_ds: align.output_ds}, with: {features: [x]}}
  align:
    uses: data_prep/psi
    needs: {input_ds1: left.output_ds, input_ds2: right.output_ds}
    with: {input_ds1_keys: [id], input_ds2_keys: [id], protocol: {PROTOCOL_ECDH: CURVE_SM2}}
  left: {uses: io/data_source, with: {party: hospital, uri: a.csv}}
  right: {uses: io/data_source, with: {party: insurer, uri: b.csv}}
  wait: {uses: flow/barrier, device: spu}
"""


class Reads(Claims):
    def takes_part(self, node: NodeView) -> tuple[str, ...]:
        return (node.params["party"],)

    def reads(self, node: NodeView) -> list[tuple[str, str]]:
        return [(node.params["party"], node.params["uri"])]


class Joins(Claims):
    def outputs(self, node: NodeView) -> dict[str, Artifact]:
        return {"output_ds": Artifact("table", ("hospital", "insurer"), "hospital")}

    def discloses(self, node: NodeView) -> list[Disclosure]:
        return [
            Disclosure(("insurer", "hospital"), "which of its rows match", ("insurer", "hospital"), "by PSI"),
            Disclosure((ALL,), "the number of matches", ("hospital",)),
        ]


@pytest.fixture
def plan(monkeypatch):
    monkeypatch.setitem(flow_claims.CLAIMS, "io/data_source", Reads())
    monkeypatch.setitem(flow_claims.CLAIMS, "data_prep/psi", Joins())
    return make_plan(loads(FILE))


def test_steps_follow_what_they_need_and_otherwise_the_file(plan):
    assert [step.name for step in plan.steps] == ["left", "right", "align", "stats", "wait"]


def test_a_step_holds_what_the_runtime_needs(plan):
    align = plan.step("align")
    assert align.component_id == "data_prep/psi:1.0.0"
    assert align.input_refs() == ["left.output_ds", "right.output_ds"]
    assert align.needs == {"input_ds1": ["left.output_ds"], "input_ds2": ["right.output_ds"]}
    assert align.output_names == ("output_ds", "report")
    assert align.given["protocol/PROTOCOL_ECDH"] == "CURVE_SM2"
    assert "sort_result" not in align.given
    assert align.params["sort_result"] is True
    assert align.device is None
    assert plan.step("wait").device == "spu"
    with pytest.raises(KeyError, match="ghost"):
        plan.step("ghost")


def test_what_claims_say_flows_along_the_edges(plan):
    left, align, stats = (plan.step(name) for name in ("left", "align", "stats"))
    assert left.takes_part == ("hospital",)
    assert left.outputs == {"output_ds": Artifact("table", ("hospital",))}
    assert left.reads == (("hospital", "a.csv"),)
    assert align.takes_part == ("hospital", "insurer")
    assert align.outputs["report"] == Artifact("report")
    assert stats.view.inputs["input_ds"] == (Artifact("table", ("hospital", "insurer"), "hospital"),)


def test_a_component_without_claims_is_assumed_to_tell_everybody_everything(plan):
    (line,) = plan.step("stats").discloses
    assert plan.step("stats").learners(line) == ("hospital", "insurer", "coordinator")
    assert "whatever it reveals" in line.what


def test_an_output_with_several_possible_types_of_one_kind_keeps_the_kind():
    text = b"version: 1\nname: d\nparties: [a, b]\nnodes:\n  w: {uses: io/write_data, with: {write_data: x}}\n"
    (step,) = make_plan(loads(text)).steps
    assert step.outputs["output_data"].kind == "other"  # a rule or a model
    assert step.input_refs() == [None]


def test_the_tables_name_parties_in_file_order(plan, plain):
    assert plain(render_steps(plan)) == (
        "   step   component                     takes part         needs\n"
        "1  left   io/data_source:1.0.0          hospital\n"
        "2  right  io/data_source:1.0.0          insurer\n"
        "3  align  data_prep/psi:1.0.0           hospital, insurer  left.output_ds, right.output_ds\n"
        "4  stats  stats/table_statistics:1.0.2  everybody          align.output_ds\n"
        "5  wait   flow/barrier:1.0.0            everybody\n"
    )
    rows = [re.split(r" {2,}", line) for line in plain(render_disclosures(plan)).splitlines()]
    assert rows[:5] == [
        ["step", "who learns", "what", "about"],
        ["left", "nobody", "nothing new"],
        ["right", "nobody", "nothing new"],
        ["align", "hospital, insurer", "which of its rows match (by PSI)", "hospital, insurer"],
        ["", "everybody", "the number of matches", "hospital"],
    ]


@pytest.mark.parametrize("width", [20, 45, 80])
def test_no_text_is_lost_on_a_narrow_terminal(plan, plain, width):
    def letters(text: str) -> list[str]:
        return sorted(text.replace(" ", "").replace("\n", ""))

    for table in (render_steps(plan), render_disclosures(plan)):
        assert letters(plain(table, width)) == letters(plain(table))


def test_the_graph_has_a_box_per_step_and_an_arrow_per_artifact(plan):
    assert to_mermaid(plan) == (
        "flowchart TD\n"
        '    s1["<b>left</b><br/>io/data_source<br/><i>hospital</i>"]\n'
        '    s2["<b>right</b><br/>io/data_source<br/><i>insurer</i>"]\n'
        '    s3["<b>align</b><br/>data_prep/psi<br/><i>hospital, insurer</i>"]\n'
        '    s4["<b>stats</b><br/>stats/table_statistics<br/><i>everybody</i>"]\n'
        '    s5["<b>wait</b><br/>flow/barrier<br/><i>everybody</i>"]\n'
        "    s1 -->|output_ds| s3\n"
        "    s2 -->|output_ds| s3\n"
        "    s3 -->|output_ds| s4\n"
    )
