"""The layout's promises on random graphs."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from veilflow.pipelines.report.layers import layout, spread


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[str], list[tuple[str, str]]]:
    nodes = [f"n{index}" for index in range(draw(st.integers(1, 14)))]
    pairs = [(a, b) for index, a in enumerate(nodes) for b in nodes[index + 1 :]]
    edges = draw(st.lists(st.sampled_from(pairs), max_size=25, unique=True)) if pairs else []
    return nodes, edges


@settings(deadline=None)
@given(graphs())
def test_every_arrow_goes_one_layer_at_a_time_and_nothing_overlaps(
    graph: tuple[list[str], list[tuple[str, str]]],
) -> None:
    nodes, edges = graph
    found = layout(nodes, edges)
    placed = [cell[0] for layer in found.layers for cell in layer if not cell[1]]
    assert sorted(placed) == sorted(nodes)
    assert set(found.routes) == set(edges)
    for (source, target), route in found.routes.items():
        assert (route[0][0], route[-1][0]) == (source, target)
        assert [cell[2] for cell in route] == list(range(route[0][2], route[-1][2] + 1))
        assert all(cell in found.layers[cell[2]] for cell in route)
    for layer in found.layers:
        for one, other in pairwise(layer):
            apart = found.position[other] - found.position[one]
            assert apart >= (1.0 if not one[1] and not other[1] else 0.6) - 1e-9
    assert min(found.position.values()) == 0.0


@given(st.lists(st.floats(-50, 50), min_size=1, max_size=12), st.floats(0, 3))
def test_spread_is_the_least_squares_answer(wanted: list[float], gap: float) -> None:
    offsets = gap * np.arange(len(wanted))
    expected = IsotonicRegression().fit_transform(np.arange(len(wanted)), np.array(wanted) - offsets) + offsets
    np.testing.assert_allclose(spread(wanted, [gap] * (len(wanted) - 1)), expected, atol=1e-6)


def test_a_chain_is_straight_and_two_sources_meet_in_the_middle() -> None:
    chain = layout(["a", "b", "c"], [("a", "b"), ("b", "c")])
    assert set(chain.position.values()) == {0.0}
    meet = layout(["a", "b", "c"], [("a", "c"), ("b", "c")])
    assert meet.position["c", "", 1] == pytest.approx(0.5)


def test_a_source_stands_next_to_its_first_user() -> None:
    found = layout(["a", "b", "late", "c"], [("a", "b"), ("b", "c"), ("late", "c")])
    assert ("late", "", 1) in found.layers[1]


def test_crossings_are_removed_where_an_order_without_them_exists() -> None:
    found = layout(["a", "b", "c", "d"], [("a", "d"), ("b", "c")])
    first, second = ([cell[0] for cell in layer] for layer in found.layers)
    assert first.index("a") - first.index("b") == second.index("d") - second.index("c")


def test_edges_from_unknown_steps_or_backwards_are_left_out() -> None:
    assert set(layout(["a", "b"], [("x", "b"), ("b", "a"), ("a", "a"), ("a", "b")]).routes) == {("a", "b")}
