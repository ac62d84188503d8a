"""Drawings of graphs: layers, order and places."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilewright.compiler.view.layered import LAYER_HEIGHT, Drawing, draw_layers

DIAMOND = [(0, 1), (0, 2), (1, 3), (2, 3)]


def layers(drawn: Drawing) -> list[int]:
    return [int(y // LAYER_HEIGHT) for _, y in drawn.nodes]


def test_nothing() -> None:
    assert draw_layers([], []) == Drawing((), (), 0, 0)


def test_a_chain_is_a_straight_line() -> None:
    drawn = draw_layers([40, 80, 60], [(0, 1), (1, 2)])
    assert layers(drawn) == [0, 1, 2]
    assert len({round(x, 6) for x, _ in drawn.nodes}) == 1
    assert (drawn.width, drawn.height) == (80, 3 * LAYER_HEIGHT)


def test_a_diamond() -> None:
    drawn = draw_layers([50] * 4, DIAMOND)
    (top, _), (left, _), (right, _), (bottom, _) = drawn.nodes
    assert layers(drawn) == [0, 1, 1, 2]
    assert top == pytest.approx(bottom)
    assert {left < top, right > top} in ({True}, {False})


def test_what_has_no_producer_stands_just_above_its_consumer() -> None:
    assert layers(draw_layers([50] * 5, [(0, 1), (1, 2), (2, 4), (3, 4)]))[3] == 2


def test_an_edge_over_several_layers_goes_around_what_lies_between() -> None:
    drawn = draw_layers([90] * 3, [(0, 1), (1, 2), (0, 2)])
    waypoint = drawn.edges[2][1]
    assert waypoint[1] == drawn.nodes[1][1]
    assert abs(waypoint[0] - drawn.nodes[1][0]) > 45


def test_orders_that_cross_are_turned() -> None:
    """Two pairs whose consumers are numbered the other way round."""
    drawn = draw_layers([50] * 6, [(0, 3), (1, 2), (0, 4), (1, 5)])
    left, right = sorted((0, 1), key=lambda v: drawn.nodes[v][0])
    consumers = {0: (3, 4), 1: (2, 5)}
    assert max(drawn.nodes[v][0] for v in consumers[left]) < min(
        drawn.nodes[v][0] for v in consumers[right]
    )


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[float], list[tuple[int, int]]]:
    count = draw(st.integers(1, 25))
    widths = draw(st.lists(st.floats(10, 200), min_size=count, max_size=count))
    pairs = [(a, b) for b in range(count) for a in range(b)]
    edges = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=40)) if pairs else []
    return widths, edges


@given(graphs())
def test_boxes_stay_apart_and_edges_go_down(
    graph: tuple[list[float], list[tuple[int, int]]],
) -> None:
    widths, edges = graph
    drawn = draw_layers(widths, edges)
    found = sorted(
        (round(y), x - w / 2, x + w / 2) for (x, y), w in zip(drawn.nodes, widths, strict=True)
    )
    for (y, _, right), (following, left, _) in pairwise(found):
        assert y != following or left > right
    for (a, b), points in zip(edges, drawn.edges, strict=True):
        assert (points[0], points[-1]) == (drawn.nodes[a], drawn.nodes[b])
        assert all(p[1] + LAYER_HEIGHT == q[1] for p, q in pairwise(points))
    assert all(left >= -1e-6 and right <= drawn.width + 1e-6 for _, left, right in found)
