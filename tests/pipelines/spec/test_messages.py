"""The messages of a wrong pipeline file, word for word as they are printed."""

from textwrap import dedent

import pytest

from veilflow.pipelines.spec import PipelineFileError, loads

HEAD = "version: 1\nname: demo\nparties: [hospital, insurer, coordinator]\n"
SOURCES = """\
nodes:
  left:  {uses: io/data_source, with: {party: hospital, uri: a.csv}}
  right: {uses: io/data_source, with: {party: insurer, uri: b.csv}}
"""


def problems(text: str, *overrides: str) -> list[str]:
    with pytest.raises(PipelineFileError, match="problem") as caught:
        loads(dedent(text).encode(), overrides, file="p.yaml")
    return [str(problem) for problem in caught.value.problems]


def with_nodes(nodes: str) -> str:
    return HEAD + SOURCES + "".join(f"  {line}\n" for line in dedent(nodes).strip().splitlines())


def test_everything_wrong_is_listed_at_once_in_the_order_of_lines():
    text = """\
        version: 2
        name: de mo
        parties: [hospital, insurer, coordinator]
        colour: red
        nodes:
          left:  {uses: io/data_sourse, with: {party: hospital, uri: a.csv}}
          right: {uses: io/data_source, with: {party: insuror, uri: 3}}
          align:
            uses: data_prep/psi
            needs: {input_ds1: lft.output_ds, input_ds2: right.outputds, input_ds3: right}
            with:
              protcol: {PROTOCOL_ECDH: CURVE_SM2}
              input_ds1_keys: id
              join_type: left_join
              protocol: RR22
        """
    with pytest.raises(PipelineFileError, match="problems") as caught:
        loads(dedent(text).encode(), file="configs/broken.yaml")
    assert str(caught.value) == dedent(
        """\
        configs/broken.yaml: 14 problems
          line 1: version: expected 1, got the number 2
          line 2: name: 'de mo' is not a name: a name starts with a letter and has at most 64 letters, digits and underscores
          line 4: colour: unknown key; there are version, name, description, parties, devices, nodes
          line 6: nodes -> left -> uses: no component 'io/data_sourse'; did you mean 'io/data_source'?
          line 7: nodes -> right -> with -> uri: expected text, got the number 3; put it in quotes: "3"
          line 7: nodes -> right -> with -> party: no party 'insuror'; did you mean 'insurer'?
          line 10: nodes -> align -> needs -> input_ds1: no node 'lft'; did you mean 'left'?
          line 10: nodes -> align -> needs -> input_ds2: 'right' has no output 'outputds'; did you mean 'output_ds'?
          line 10: nodes -> align -> needs -> input_ds3: unknown input; did you mean 'input_ds2'?
          line 11: nodes -> align -> with: parameter 'input_ds2_keys' is missing: a list of columns
          line 12: nodes -> align -> with -> protcol: unknown parameter; did you mean 'protocol'?
          line 13: nodes -> align -> with -> input_ds1_keys: expected a list of columns, got the text 'id'; write [id]
          line 14: nodes -> align -> with -> join_type: parameter 'join_type/left_join/left_side' is missing: a party
          line 15: nodes -> align -> with -> protocol: 'RR22' is not one of PROTOCOL_ECDH, PROTOCOL_RR22, PROTOCOL_KKRT; did you mean 'PROTOCOL_RR22'?"""  # noqa: E501
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- a\n", ["line 1: expected a mapping with version, name, parties and nodes, got a list of 1"]),
        (
            "version: 1\n",
            [
                "line 1: 'name' is missing: what this pipeline is called",
                "line 1: 'parties' is missing: a list of the organisations that take part",
                "line 1: 'nodes' is missing: a mapping of step names to steps",
            ],
        ),
        (HEAD + "nodes: {}\n", ["line 4: nodes: there are no nodes; add at least one step"]),
        (HEAD + "nodes: [a]\n", ["line 4: nodes: expected a mapping of step names to steps, got a list of 1"]),
        (HEAD + "nodes: {a: b}\n", ["line 4: nodes -> a: expected a mapping, got the text 'b'"]),
        (HEAD + "nodes: {a: }\n", ["line 4: nodes -> a: expected a mapping, got nothing"]),
        (HEAD + "nodes: {a: {}}\n", ["line 4: nodes -> a: 'uses' is missing: the component to run, as domain/name"]),
        (
            HEAD + "nodes: {a-b: {uses: flow/barrier}}\n",
            [
                "line 4: nodes -> a-b: a name starts with a letter and has at most 64 letters, digits and underscores",
            ],
        ),
        (
            HEAD + "nodes: {a: {uses: flow/barrier, wth: {}}}\n",
            ["line 4: nodes -> a -> wth: unknown key; did you mean 'with'?"],
        ),
        (
            HEAD + "nodes: {a: {uses: flow/barrier, needs: [x]}}\n",
            ["line 4: nodes -> a -> needs: expected a mapping, got a list of 1"],
        ),
        (
            HEAD + "nodes: {a: {uses: flow/barrier, needs: {x: 3}}}\n",
            [
                "line 4: nodes -> a -> needs -> x: expected 'node.output', "
                "or a list of them for an input that takes several"
            ],
        ),
    ],
)
def test_a_malformed_file_is_told_what_belongs_there(text, expected):
    assert problems(text) == expected


@pytest.mark.parametrize(
    ("parties", "expected"),
    [
        ("[a]", "line 3: parties: a pipeline joins at least 2 parties, here is 1"),
        ("[a, b, a]", "line 3: parties: 'a' is listed twice"),
        (
            "[a, B, b]",
            "line 3: parties: 'B' and 'b' differ only in case, but each is a folder of the output",
        ),
        (
            "[a, 'b c']",
            "line 3: parties -> item 2: 'b c' is not a name: "
            "a name starts with a letter and has at most 64 letters, digits and underscores",
        ),
        ("a", "line 3: parties: expected a list, got the text 'a'"),
        ("[a, 3]", "line 3: parties -> item 2: expected text, got the number 3"),
    ],
)
def test_parties_are_distinct_names(parties, expected):
    text = f"version: 1\nname: demo\nparties: {parties}\nnodes:\n  w: {{uses: flow/barrier}}\n"
    assert problems(text) == [expected]


@pytest.mark.parametrize(
    ("device", "expected"),
    [
        ("{kind: spu, parties: [hospital, insurer], protocol: ABY3}", "ABY3 takes exactly 3 parties, here are 2"),
        (
            "{kind: spu, parties: [hospital, insurer, coordinator], protocol: CHEETAH}",
            "CHEETAH takes exactly 2 parties, here are 3",
        ),
        ("{kind: spu, parties: [hospital]}", "a device is formed by at least 2 parties, here is 1"),
        (
            "{kind: heu, parties: [hospital, insurer], field: FM64}",
            "'field' does not apply to a device of kind heu; remove it",
        ),
    ],
)
def test_devices_that_cannot_be_formed_are_refused(device, expected):
    text = HEAD + f"devices:\n  d: {device}\nnodes:\n  w: {{uses: flow/barrier}}\n"
    assert problems(text) == [f"line 5: devices -> d: {expected}"]


def test_a_device_names_known_settings_and_parties():
    text = HEAD + (
        "devices:\n"
        "  one: {kind: spu, parties: [hospital, insurer], protocol: ABY4}\n"
        "  two: {kind: gpu, parties: [hospital, insurer]}\n"
        "  tri: {kind: spu, parties: [hospital, insurer], feild: FM64, fxp_fraction_bits: 99}\n"
        "nodes:\n"
        "  w: {uses: flow/barrier}\n"
    )
    assert problems(text) == [
        "line 5: devices -> one -> protocol: expected ABY3 or CHEETAH or SEMI2K, got the text 'ABY4'; "
        "did you mean 'ABY3'?",
        "line 6: devices -> two -> kind: expected spu or heu, got the text 'gpu'; did you mean 'spu'?",
        "line 7: devices -> tri -> fxp_fraction_bits: must be at most 60, got 99",
        "line 7: devices -> tri -> feild: unknown key; did you mean 'field'?",
    ]
    unknown = HEAD + "devices: {d: {kind: spu, parties: [hospital, bank]}}\nnodes: {w: {uses: flow/barrier}}\n"
    assert problems(unknown) == [
        "line 4: devices -> d -> parties -> item 2: no party 'bank'; there are hospital, insurer, coordinator"
    ]


def test_a_step_that_needs_an_spu_says_which_line_to_add():
    text = """\
        version: 1
        name: demo
        parties: [hospital, insurer]
        nodes:
          left:  {uses: io/data_source, with: {party: hospital, uri: a.csv}}
          right: {uses: io/data_source, with: {party: insurer, uri: b.csv}}
          align:
            uses: data_prep/psi
            needs: {input_ds1: left.output_ds, input_ds2: right.output_ds}
            with: {input_ds1_keys: [id], input_ds2_keys: [id]}
        """
    assert problems(text) == [
        "line 7: nodes -> align: data_prep/psi needs a device of kind spu, but there is none; add to `devices:` "
        "the line `spu: {kind: spu, parties: [hospital, insurer], protocol: CHEETAH}`"
    ]
    line = "devices:\n  spu: {kind: spu, parties: [hospital, insurer], protocol: CHEETAH}\n"
    assert loads(dedent(text).encode() + line.encode()).all_devices()["spu"].spu_protocol == "CHEETAH"


def test_device_chooses_a_known_spu():
    devices = (
        "devices:\n  a: {kind: spu, parties: [hospital, insurer]}\n  h: {kind: heu, parties: [hospital, insurer]}\n"
    )
    nodes = "nodes:\n  w: {uses: flow/barrier, device: b}\n  x: {uses: flow/barrier, device: h}\n"
    assert problems(HEAD + devices + nodes) == [
        "line 8: nodes -> w -> device: no device 'b'; there are a, h",
        "line 9: nodes -> x -> device: 'h' is of kind heu, but `device` chooses an SPU",
    ]


@pytest.mark.parametrize(
    ("uses", "expected"),
    [
        (
            "train_test_split",
            "no component 'train_test_split'; did you mean 'data/train_test_split' or 'data_prep/train_test_split'?",
        ),
        ("psi_tp", "no component 'psi_tp'; did you mean 'data_prep/psi_tp'?"),
        ("data_prep/psy", "no component 'data_prep/psy'; did you mean 'data_prep/psi'?"),
        ("quantum/entangle", "no component 'quantum/entangle'; `veilflow components` lists those installed"),
        ("data_prep/psi:2.0.0", "'data_prep/psi' is installed in version 1.0.0, which does not serve 2.0.0"),
        ("data_prep/psi:1.7.0", "'data_prep/psi' is installed in version 1.0.0, which does not serve 1.7.0"),
    ],
)
def test_unknown_components_and_versions(uses, expected):
    assert problems(HEAD + f"nodes:\n  x: {{uses: '{uses}'}}\n") == [f"line 5: nodes -> x -> uses: {expected}"]


@pytest.mark.parametrize(
    ("needs", "expected"),
    [
        ("{}", "needs: input 'input_ds' is missing: sf.table.vertical or sf.table.individual"),
        ("{input_ds: left}", "needs -> input_ds: say which output of 'left': left.output_ds"),
        ("{input_ds: [left.output_ds]}", "needs -> input_ds: takes one 'node.output', got a list of 1"),
        ("{input_ds: sink.x}", "needs -> input_ds: 'sink' has no outputs: io/data_sink gives none"),
    ],
)
def test_wiring(needs, expected):
    text = with_nodes(
        f"""
        stats: {{uses: stats/table_statistics, needs: {needs}, with: {{features: [x]}}}}
        sink: {{uses: io/data_sink, needs: {{input_data: left.output_ds}}, with: {{output_uri: o.csv}}}}
        """
    )
    assert problems(text) == [f"line 7: nodes -> stats -> {expected}"]


def test_an_artifact_of_the_wrong_type_is_refused_at_the_edge():
    text = with_nodes("split: {uses: data_prep/train_test_split, needs: {input_ds: left.output_ds}}")
    assert problems(text) == [
        "line 7: nodes -> split -> needs -> input_ds: 'left.output_ds' is sf.table.individual, "
        "but 'input_ds' of data_prep/train_test_split takes sf.table.vertical"
    ]


def test_a_cycle_names_its_nodes_in_the_direction_of_the_data():
    text = with_nodes(
        """
        a: {uses: data_prep/union, needs: {input_ds1: left.output_ds, input_ds2: c.output_ds}}
        b: {uses: data_prep/union, needs: {input_ds1: a.output_ds, input_ds2: right.output_ds}}
        c: {uses: data_prep/union, needs: {input_ds1: b.output_ds, input_ds2: b.output_ds}}
        d: {uses: data_prep/union, needs: {input_ds1: d.output_ds, input_ds2: c.output_ds}}
        """
    )
    assert problems(text) == [
        "line 7: nodes -> a -> needs: a cycle: a -> b -> c -> a; remove one of these edges",
        "line 10: nodes -> d -> needs: a cycle: d -> d; remove one of these edges",
    ]


def test_a_file_that_cannot_be_read_says_why(tmp_path):
    from veilflow.pipelines.spec import load

    with pytest.raises(PipelineFileError, match="cannot be read: No such file or directory"):
        load(tmp_path / "absent.yaml")


def test_an_error_survives_the_way_between_processes():
    import copy

    with pytest.raises(PipelineFileError, match="1 problem\n") as caught:
        loads(b"- a\n", file="p.yaml")
    rebuilt = copy.copy(caught.value)
    assert str(rebuilt) == str(caught.value)
    assert rebuilt.problems == caught.value.problems
