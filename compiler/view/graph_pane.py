"""The graph as a drawing: a box per tensor, coloured by the fused step that computes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tilewright.compiler.view.layered import LAYER_HEIGHT, Point, draw_layers
from tilewright.compiler.view.markup import Element, append, element
from tilewright.compiler.view.model import GraphPart, Node, View
from tilewright.compiler.view.parts import colour_class, part_attributes, shortened
from tilewright.ir.graph import (
    Compute,
    Constant,
    Input,
    Loop,
    Reduction,
    Reshape,
    Result,
    Scan,
    Scatter,
    Sort,
    Tensor,
    While,
)

_HEIGHT: Final = 38.0
_LETTER: Final = 6.7
_PADDING: Final = 20.0
_LONGEST: Final = 24
_KINDS: Final[dict[type[Tensor], str]] = {
    Input: "argument",
    Constant: "constant",
    Reshape: "reshape",
    Result: "result",
    Scan: "scan",
    Sort: "sort",
    Scatter: "scatter",
    Loop: "loop",
    While: "while",
    Reduction: "reduce",
    Compute: "compute",
}


def graph_pane(view: View) -> Element:
    """All graphs, one below the other."""
    pane = element("div", {"class": "graphs", "id": "graph"})
    for part in view.graphs:
        figure = element("figure", {})
        if len(view.graphs) > 1:
            append(figure, element("figcaption", {}, part.title))
        append(figure, _drawing(view, part))
        append(pane, figure)
    return pane


def _drawing(view: View, part: GraphPart) -> Element:
    labels = [_labels(node) for node in part.nodes]
    widths = [_PADDING + _LETTER * max(map(len, pair)) for pair in labels]
    edges = [(source, k) for k, node in enumerate(part.nodes) for source in node.sources]
    drawn = draw_layers(widths, edges)
    width, height = drawn.width + 8, drawn.height
    svg = element(
        "svg",
        {
            "viewBox": f"-4 0 {width:.0f} {height:.0f}",
            "width": f"{width:.0f}",
            "height": f"{height:.0f}",
            "role": "group",
            "aria-label": f"graph of {part.title}",
        },
    )
    for (source, target), points in zip(edges, drawn.edges, strict=True):
        keys = f"{part.nodes[source].key} {part.nodes[target].key}"
        append(svg, element("path", {"class": "edge", "d": _curve(points), "data-ends": keys}))
    for number, (node, pair) in enumerate(zip(part.nodes, labels, strict=True)):
        shown = number in part.outputs
        append(svg, _box(view, node, pair, drawn.nodes[number], widths[number], shown))
    return svg


def _box(
    view: View, node: Node, labels: tuple[str, str], place: Point, width: float, is_output: bool
) -> Element:
    kind = kind_of(node.tensor)
    classes = ["node", kind, colour_class(node.steps)]
    if not node.stored:
        classes.append("inlined")
    if is_output:
        classes.append("output")
    attributes = part_attributes(view, node.key, " ".join(classes))
    attributes |= {
        "transform": f"translate({place[0] - width / 2:.1f} {place[1] - _HEIGHT / 2:.1f})",
        "aria-label": ", ".join((*labels, _where(view, node))),
        "data-text": describe(view, node),
    }
    return element(
        "g",
        attributes,
        element("title", {}, node.text),
        element("rect", {"width": width, "height": _HEIGHT, "rx": 6}),
        element("rect", {"class": "band", "width": 5, "height": _HEIGHT - 8, "x": 4, "y": 4}),
        element("text", {"x": 14, "y": 16}, labels[0]),
        element("text", {"class": "type", "x": 14, "y": 31}, labels[1]),
    )


def _labels(node: Node) -> tuple[str, str]:
    tensor = node.tensor
    label = tensor.label or kind_of(tensor)
    if isinstance(tensor, Input):
        label = tensor.name
    shape = ", ".join(map(str, tensor.shape))
    return shortened(label, _LONGEST), shortened(f"{tensor.dtype.short}[{shape}]", _LONGEST)


def kind_of(tensor: Tensor) -> str:
    """What kind of node it is, in a word."""
    return next(word for kind, word in _KINDS.items() if isinstance(tensor, kind))


def describe(view: View, node: Node) -> str:
    """What is told of the selected node: the expression, and where it is computed."""
    loc = node.tensor.loc
    came = f"\n\n{loc}" if loc else ""
    return f"{node.text}\n\n{_where(view, node)}{came}"


def _where(view: View, node: Node) -> str:
    names = [view.steps[k] for k in node.steps]
    if isinstance(node.tensor, Input):
        return "an argument"
    if not names:
        return "given" if node.stored else "a view: computes nothing"
    if node.stored:
        return f"computed in {', '.join(names)}"
    several = f", once in each of {len(names)}" if len(names) > 1 else ""
    return f"not stored: computed where it is read, in {', '.join(names)}{several}"


def _curve(points: Sequence[Point]) -> str:
    """From the lower edge of the first box to the upper edge of the last one, through waypoints."""
    (x, y), *rest = points
    text = f"M{x:.1f} {y + _HEIGHT / 2:.1f}"
    y += _HEIGHT / 2
    for number, (to_x, to_y) in enumerate(rest):
        end = to_y - (_HEIGHT / 2 if number == len(rest) - 1 else 0)
        bend = min(LAYER_HEIGHT, end - y) / 2
        text += f"C{x:.1f} {y + bend:.1f} {to_x:.1f} {end - bend:.1f} {to_x:.1f} {end:.1f}"
        x, y = to_x, end
    return text
