"""Order and cycles of any graph."""

from hypothesis import given
from hypothesis import strategies as st

from veilflow.pipelines.catalog import Definition, Input, Output
from veilflow.pipelines.spec.document import Document
from veilflow.pipelines.spec.edges import Source, Wire, check_needs, cycles, ordered, wires_of
from veilflow.pipelines.spec.model import Node

MANY = Definition(
    "test/many:1.0.0",
    "tests",
    inputs=(
        Input("first", ("t.a",)),
        Input("maybe", ("t.a", "sf.null"), optional=True),
        Input("rest", ("t.a", "t.b"), variable=True, min_items=1, max_items=2),
    ),
    outputs=(Output("out", ("t.a",)), Output("odd", ("t.c",))),
)


def node(**needs) -> Node:
    return Node(uses="test/many", needs=needs)


@st.composite
def graphs(draw, acyclic: bool):
    """Node name -> names it needs, in file order."""
    names = [f"n{index}" for index in range(draw(st.integers(1, 7)))]
    rank = draw(st.permutations(range(len(names))))
    needed = {}
    for i, name in enumerate(names):
        allowed = [other for j, other in enumerate(names) if not acyclic or rank[j] < rank[i]]
        needed[name] = draw(st.lists(st.sampled_from(allowed), max_size=3)) if allowed else []
    return needed


def nodes(graph: dict[str, list[str]]) -> dict[str, Node]:
    return {name: node(rest=[f"{other}.out" for other in needed]) for name, needed in graph.items()}


@given(graphs(acyclic=True))
def test_every_node_comes_after_those_it_needs_and_ties_keep_file_order(graph):
    order = ordered(nodes(graph))
    assert sorted(order) == sorted(graph)
    done: set[str] = set()
    for name in order:
        ready = [n for n in graph if n not in done and set(graph[n]) <= done]
        assert name == ready[0], "the first in file order of those that are ready"
        done.add(name)
    assert cycles(nodes(graph)) == []


@given(graphs(acyclic=False))
def test_cycles_are_real_disjoint_and_found_whenever_there_is_one(graph):
    found = cycles(nodes(graph))
    assert bool(found) == (len(ordered(nodes(graph))) < len(graph))
    seen: set[str] = set()
    for cycle in found:
        for source, taker in zip(cycle, [*cycle[1:], cycle[0]], strict=True):
            assert source in graph[taker]
        assert not seen & set(cycle)
        seen.update(cycle)


def test_a_reference_to_nowhere_does_not_upset_the_order():
    assert ordered({"a": node(rest=["ghost.out"]), "b": node(rest=["a"])}) == ["a", "b"]


def test_wires_come_in_the_order_of_the_definition_with_gaps_for_what_is_left_out():
    wired = wires_of(node(rest=["a.out", "b.out"], first="c.out"), MANY)
    assert wired == (
        Wire("first", Source("c", "out")),
        Wire("maybe", None),
        Wire("rest", Source("a", "out")),
        Wire("rest", Source("b", "out")),
    )


def messages(*, names=("a",), **needs) -> list[str]:
    document = Document(lines={("nodes", "x"): 3})
    check_needs(document, "x", node(**needs), MANY, {"a": MANY}, names)
    return [str(problem) for problem in document.problems]


def test_a_variable_input_takes_one_or_a_list_within_its_limits():
    assert messages(first="a.out", rest="a.out") == []
    assert messages(first="a.out", rest=["a.out", "a.out"]) == []
    assert messages(first="a.out") == [
        "line 3: nodes -> x -> needs: input 'rest' takes 1 to 2 artifacts, got 0",
    ]
    assert messages(first="a.out", rest=["a.out"] * 3) == [
        "line 3: nodes -> x -> needs: input 'rest' takes 1 to 2 artifacts, got 3"
    ]
    assert messages(first="a.out", rest=["a.out", "a.odd"]) == [
        "line 3: nodes -> x -> needs -> rest -> item 2: 'a.odd' is t.c, but 'rest' of test/many takes t.a or t.b"
    ]


def test_a_node_whose_component_is_unknown_is_not_blamed_twice():
    assert messages(names=("a", "b"), first="b.anything", rest="a.out") == []
