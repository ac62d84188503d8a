"""Refusing loops that end when data say so, on targets whose host would have to look each round."""

from __future__ import annotations

from tilewright.ir.errors import UnsupportedError
from tilewright.ir.graph import Graph, Loop, While


def refuse_while_loops(graph: Graph, target: str) -> None:
    """Raise `UnsupportedError` at the first such loop of `graph`, those in loops included."""
    for node in graph.nodes():
        if isinstance(node, Loop):
            refuse_while_loops(node.body, target)
        elif isinstance(node, While):
            raise UnsupportedError(
                f"{node.label or 'a loop'} ends when its data say so, which target {target!r} "
                "cannot do: the host would have to read the condition back in every round",
                loc=node.loc,
                help="use tw.loop with as many steps as it may take, and np.where to keep the "
                "state of what has ended; or target 'cpu'",
            )
