"""Loops of a graph: a body becomes the steps of a `Repeat`, its state lives in buffers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tilewright.ir import build
from tilewright.ir.dtypes import I64
from tilewright.ir.expr import Expr, Var
from tilewright.ir.fuse.narrow_updates import narrow_updates
from tilewright.ir.fuse.update_in_place import update_in_place
from tilewright.ir.graph import (
    Compute,
    Constant,
    Graph,
    Input,
    Loop,
    Reduction,
    Result,
    Tensor,
    While,
)
from tilewright.ir.kernel import Buffer
from tilewright.ir.passes import run_passes
from tilewright.ir.program import Copy, Repeat, RepeatWhile, Step

if TYPE_CHECKING:
    from tilewright.ir.fuse.program_builder import GraphLowering


class LoopBuilder:
    """Writes the steps of loops of `graph`."""

    def __init__(self, graph: GraphLowering) -> None:
        self._graph = graph
        self._builder = graph.builder
        self._buffers = graph.buffers

    def steps(self, node: Loop | While) -> list[Step]:
        """The steps of one loop; its results are in the buffers of its state."""
        return self._loop(node) if isinstance(node, Loop) else self._while(node)

    def _loop(self, node: Loop) -> list[Step]:
        states, steps = self._enter(node)
        body = run_passes(node.body)
        _, *rest = body.inputs
        scalars = self._bind(rest, states, node.captured, steps)
        if isinstance(node.count, int) and not _has_loops(body):
            steps += self._in_pairs(node.count, body, scalars, states)
        else:
            counter = Var("step", node.count)
            scalars |= _number(body, counter)
            steps.append(Repeat(counter, tuple(self._round(body, scalars, states))))
        self._leave(node, states)
        return steps

    def _in_pairs(
        self, count: int, body: Graph, scalars: dict[Tensor, Expr], states: list[Buffer]
    ) -> list[Step]:
        """Rounds that write the next state to other buffers and back again: nothing is copied.
        An odd round stands at the end by itself. What is updated in place stays where it is, and
        there are no pairs where that is all of the state."""
        counter = Var("step", count)
        steps, others = self._steps_between(body, scalars | _number(body, counter), states)
        if others == states:
            return [Repeat(counter, tuple(steps))]
        counter = Var("step", count // 2)
        first = build.mul(counter, build.index(2))
        steps = []
        if count > 1:
            there, _ = self._steps_between(body, scalars | _number(body, first), states, others)
            second = scalars | _number(body, build.add(first, build.index(1)))
            back, _ = self._steps_between(body, second, others, states)
            steps.append(Repeat(counter, (*there, *back)))
        if count % 2:
            last = scalars | _number(body, build.index(count - 1))
            steps += self._steps_between(body, last, states, others)[0]
            steps += _copies(others, states)
        return steps

    def _steps_between(
        self,
        body: Graph,
        scalars: dict[Tensor, Expr],
        before: list[Buffer],
        after: list[Buffer] | None = None,
        first: int = 1,
    ) -> tuple[list[Step], list[Buffer]]:
        """One round from the state in `before` to the next one, and the buffers of that: those of
        `after`, or the same where it can be updated in place. The state is the body's inputs from
        `first` on. Constants keep their buffers for further rounds, what is computed does not."""
        known = dict(self._buffers)
        self._buffers.update(zip(body.inputs[first : first + len(before)], before, strict=True))
        fresh = [
            b if b is not a else self._builder.temporary(b.shape, b.dtype)
            for a, b in zip(before, after or before, strict=True)
        ]
        steps = self._builder.steps(body, scalars, fresh)
        known.update({t: b for t, b in self._buffers.items() if isinstance(t, Constant)})
        self._buffers.clear()
        self._buffers.update(known)
        if not self._builder.options.in_place:
            return steps, fresh
        steps, kept, copies = update_in_place(steps, list(zip(before, fresh, strict=True)))
        self._builder.temporaries += copies
        steps = narrow_updates(steps, dict(self._builder.constants))
        return steps, [a if a in kept else b for a, b in zip(before, fresh, strict=True)]

    def _while(self, node: While) -> list[Step]:
        states, steps = self._enter(node)
        condition, body = run_passes(node.condition), run_passes(node.body)
        known = self._bind(condition.inputs, states, node.captured, steps)
        scalars = self._bind(body.inputs, states, node.captured, steps)
        flag = self._builder.temporary((), condition.outputs[0].dtype)
        test = self._builder.steps(condition, known, [flag])
        inner = self._round(body, scalars, states, first=0)
        self._leave(node, states)
        return [*steps, RepeatWhile(tuple(test), flag, tuple(inner))]

    def _enter(self, node: Loop | While) -> tuple[list[Buffer], list[Step]]:
        """The buffers of the state, and the steps that fill them."""
        states: list[Buffer] = []
        steps: list[Step] = []
        for tensor in node.initial:
            made = self._own(tensor, node)
            if made is None or made in states:
                made = self._builder.temporary(tensor.shape, tensor.dtype)
                steps.append(self._graph.copy(tensor, made))
            states.append(made)
        return states, steps

    def _own(self, tensor: Tensor, node: Loop | While) -> Buffer | None:
        """The temporary of a tensor that nothing but the loop `node` reads, and that only as the
        state that it starts with."""
        found = self._buffers.get(tensor)
        once = node.captured.count(tensor) == 0 and isinstance(tensor, (Compute, Reduction))
        if found is None or not once or self._graph.readers.get(tensor) != {node}:
            return None
        return found if found in self._builder.temporaries else None

    def _bind(
        self,
        inputs: Sequence[Input],
        states: list[Buffer],
        captured: Sequence[Tensor],
        steps: list[Step],
    ) -> dict[Tensor, Expr]:
        """Give the inputs of a loop's body their buffers; answers with the captured ones that are
        expressions (the number of an outer round), which some targets need in memory."""
        self._buffers.update(zip(inputs, states, strict=False))
        scalars: dict[Tensor, Expr] = {}
        for tensor, outer in zip(inputs[len(states) :], captured, strict=True):
            if outer not in self._graph.inliner.scalars:
                self._buffers[tensor] = self._graph.place(outer)
            elif self._builder.options.outer_counters:
                scalars[tensor] = self._graph.inliner.scalars[outer]
            else:
                stored = self._buffers[tensor] = self._builder.temporary((), tensor.dtype)
                steps.append(self._graph.copy(outer, stored))
        return scalars

    def _round(
        self,
        body: Graph,
        scalars: dict[Tensor, Expr],
        states: list[Buffer],
        first: int = 1,
    ) -> list[Step]:
        """One step: what is not updated in place in buffers of its own, then copied over the old.
        The state is the body's inputs from `first` on."""
        steps, following = self._steps_between(body, scalars, states, first=first)
        return [*steps, *_copies(following, states)]

    def _leave(self, node: Loop | While, states: list[Buffer]) -> None:
        for result in self._graph.inliner.nodes:
            if isinstance(result, Result) and result.loop is node:
                self._buffers[result] = states[result.position]


def _number(body: Graph, counter: Expr) -> dict[Tensor, Expr]:
    """The first input of a loop's body, which is the number of the round."""
    return {body.inputs[0]: build.cast(counter, I64)}


def _copies(sources: Sequence[Buffer], targets: Sequence[Buffer]) -> list[Step]:
    """What brings each source into its target, if it is not there."""
    return [Copy(s, t) for s, t in zip(sources, targets, strict=True) if s is not t]


def _has_loops(body: Graph) -> bool:
    return any(isinstance(node, (Loop, While)) for node in body.nodes())
