"""``tw.loop`` and ``tw.while_loop`` under tracing: the body becomes a graph of its own.

Inside of an index function the state has one value per point of the index variables that it
depends on: it is carried with those axes in front, and a `while_loop` runs as long as any point
goes on, the others keeping their state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from msgspec.structs import replace

from tilewright.compiler.trace import positions, ufuncs
from tilewright.compiler.trace.failures import failure
from tilewright.compiler.trace.given_functions import call_given
from tilewright.compiler.trace.handles import Formula, Handle, show_sizes
from tilewright.compiler.trace.operands import (
    as_array,
    as_size,
    cast_to,
    number_kind,
    truth,
)
from tilewright.compiler.trace.weak import element
from tilewright.ir import build
from tilewright.ir.analysis.size_proofs import same_size
from tilewright.ir.dtypes import F64, I64, INDEX, DType
from tilewright.ir.errors import DTypeError, ShapeError, TraceError
from tilewright.ir.expr import Expr, Size, Var
from tilewright.ir.graph import Check, Graph, Input, Loop, Result, Tensor, While
from tilewright.ir.traverse import substitute

if TYPE_CHECKING:
    from tilewright.compiler.tracer import Frame, Tracer

Step = Callable[..., Any]
_LOOP_FORM = "a function of the step and all of the state: lambda i, *state: (…)"
_WHILE_FORM = "a function of all of the state: lambda *state: (…)"


class Carried:
    """One value of the state: how it is carried through the loop."""

    def __init__(self, tracer: Tracer, value: Any, points: tuple[Var, ...]) -> None:
        if isinstance(value, bool):  # has the dtype of what a comparison in the body returns
            value = np.bool_(value)
        self.weak = ufuncs.is_weak(value)
        self.boxed = isinstance(value, Handle) and value.boxed
        self.points = points
        if self.weak:
            self.sizes: tuple[Size, ...] = ()
            self.dtype: DType = F64 if number_kind(value) is float else I64
            expr: Expr = build.cast(element(value), self.dtype)
            self.initial = _spread(tracer, (), expr, points)
        else:
            array = as_array(value)
            self.sizes, self.dtype = array.sizes, array.element_type
            axes = tracer.axes(array.sizes)
            whole = not points
            self.initial = (
                tracer.tensor(array)
                if whole
                else _spread(tracer, axes, array.element(axes), points)
            )

    def handle(self, tracer: Tracer, tensor: Tensor) -> Any:
        """The carried `tensor` as the user's value."""
        if self.weak:
            return tracer.weak(build.load(tensor, *self.points))
        axes = tracer.axes(self.sizes)
        if not self.points:
            made = tracer.wrap(tensor, self.sizes, self.dtype)
        else:
            body = build.load(tensor, *self.points, *axes)
            made = tracer.wrap(Formula(axes, body), self.sizes, self.dtype)
        made.cell.owner = "loop state 'state'"
        return made.as_boxed() if self.boxed else made

    def next(self, tracer: Tracer, value: Any, position: int) -> Tensor:
        """What the body returned, as the tensor to carry."""
        if self.weak:
            if not ufuncs.is_weak(value):
                what = "an array" if as_array(value).rank else "a NumPy scalar"
                self._refuse(position, f"{what} where the state is a Python number")
            if self.dtype is I64 and number_kind(value) is float:
                self._refuse(position, "a float where the state is an int")
            return _spread(tracer, (), build.cast(element(value), self.dtype), self.points)
        array = as_array(value)
        self.boxed = array.boxed
        if array.rank != len(self.sizes) or not all(map(same_size, array.sizes, self.sizes)):
            raise failure(
                ShapeError,
                f"the loop body returns shape {show_sizes(array.sizes)} for value {position} of "
                f"the state, which has shape {show_sizes(self.sizes)}",
                help="the state keeps its shapes",
            )
        if array.element_type is not self.dtype:
            if not ufuncs.is_weak(value):
                self._refuse(position, f"{array.element_type} where the state is {self.dtype}")
            array = cast_to(array, self.dtype)
        if not self.points:
            return tracer.tensor(array)
        axes = tracer.axes(self.sizes)
        return _spread(tracer, axes, array.element(axes), self.points)

    def _refuse(self, position: int, what: str) -> NoReturn:
        raise failure(
            DTypeError,
            f"the loop body returns {what} (value {position} of the state)",
            help="the state keeps its dtypes: start with a value of the final dtype "
            "(np.float32(0), 0.0), or convert in the body with .astype",
        )


def _spread(tracer: Tracer, axes: tuple[Var, ...], body: Expr, points: tuple[Var, ...]) -> Tensor:
    """`body` over the index variables `points` and `axes`, as a tensor."""
    fresh = tuple(Var(p.name, p.extent) for p in points)
    free = substitute(body, dict(zip(points, fresh, strict=True))) if points else body
    return tracer.as_tensor(tracer.finish((*fresh, *axes), free, "state"))


def _points(tracer: Tracer) -> tuple[Var, ...]:
    """The index variables over which a loop inside of an index function runs: all of them."""
    return tuple(axis for scope in tracer.scopes for axis in scope)


def loop(tracer: Tracer, count: Any, fn: Step, state: Sequence[Any]) -> tuple[Any, ...]:
    """``tw.loop``: `count` steps of ``state = fn(i, *state)``."""
    steps = as_size(count, "the number of iterations")
    if isinstance(steps, int) and steps <= 0:
        return tuple(state)
    points = _points(tracer)
    carried = [Carried(tracer, value, points) for value in state]
    checks: list[Check]
    with tracer.body() as frame:
        number = tracer.input("step", (), I64)
        inputs = [_state_input(tracer, n, c) for n, c in enumerate(carried)]
        handles = [c.handle(tracer, i) for c, i in zip(carried, inputs, strict=True)]
        with _counter(tracer, number, steps) as variable:
            made = call_given(fn, [tracer.weak(variable), *handles], _LOOP_FORM)
            returned = _as_state(made, len(state))
            outputs = [
                c.next(tracer, v, n) for n, (c, v) in enumerate(zip(carried, returned, strict=True))
            ]
        checks, extra_inputs, extra_outputs = _carry_checks(tracer, frame)
    body = _graph("loop", (number, *inputs, *extra_inputs), outputs + extra_outputs, frame)
    initial = [c.initial for c in carried] + _neutral_extremes(tracer, len(checks))
    node = tracer.loop_node(
        Loop,
        steps,
        initial,
        tuple(tracer.imported(t) for t in frame.imported),
        body,
        label="tw.loop",
    )
    return _results(tracer, node, carried, checks)


@contextmanager
def _counter(tracer: Tracer, number: Input, steps: Size) -> Iterator[Var]:
    """The step number: a variable of known extent, which stands for an input of the body graph."""
    variable = Var("step", steps)
    value = build.cast(build.load(number), INDEX)
    tracer.counters[variable] = positions.clamp(value, steps)
    try:
        yield variable
    finally:
        del tracer.counters[variable]


def while_loop(tracer: Tracer, condition: Step, fn: Step, state: Sequence[Any]) -> tuple[Any, ...]:
    """``tw.while_loop``: ``state = fn(*state)`` while ``condition(*state)`` holds."""
    points = _points(tracer)
    carried = [Carried(tracer, value, points) for value in state]
    with tracer.body() as test_frame:
        test_inputs = [_state_input(tracer, n, c) for n, c in enumerate(carried)]
        holds = _condition(tracer, condition, carried, test_inputs)
        proceed = _any_point(tracer, holds, points)
    with tracer.body() as frame:
        inputs = [_state_input(tracer, n, c) for n, c in enumerate(carried)]
        handles = [c.handle(tracer, i) for c, i in zip(carried, inputs, strict=True)]
        returned = _as_state(call_given(fn, handles, _WHILE_FORM), len(state))
        outputs = [
            c.next(tracer, v, n) for n, (c, v) in enumerate(zip(carried, returned, strict=True))
        ]
        if points:
            going = _condition(tracer, condition, carried, inputs)
            outputs = [
                _kept(tracer, going, new, old, points)
                for new, old in zip(outputs, inputs, strict=True)
            ]
        checks, extra_inputs, extra_outputs = _carry_checks(tracer, frame)
    unused = [_state_input_like(tracer, i) for i in extra_inputs]
    captured = _union(test_frame, frame)
    body = _graph("body", (*inputs, *extra_inputs), outputs + extra_outputs, frame, captured)
    test = _graph("condition", (*test_inputs, *unused), [proceed], test_frame, captured)
    initial = [c.initial for c in carried] + _neutral_extremes(tracer, len(checks))
    node = tracer.loop_node(
        While,
        initial,
        tuple(tracer.imported(t) for t in captured),
        test,
        body,
        label="tw.while_loop",
    )
    return _results(tracer, node, carried, checks)


def _state_input(tracer: Tracer, number: int, carried: Carried) -> Input:
    return tracer.input(f"state{number}", carried.initial.shape, carried.dtype)


def _state_input_like(tracer: Tracer, tensor: Input) -> Input:
    return Input(tensor.name, tensor.shape, tensor.dtype)


def _condition(
    tracer: Tracer, condition: Step, carried: Sequence[Carried], inputs: Sequence[Input]
) -> Expr:
    state = [c.handle(tracer, i) for c, i in zip(carried, inputs, strict=True)]
    value = call_given(condition, state, _WHILE_FORM)
    array = as_array(value)
    if array.rank:
        raise failure(
            ShapeError,
            f"the condition of while_loop must be one truth value, but has shape "
            f"{show_sizes(array.sizes)}",
            help="reduce it with .any() or .all()",
        )
    return truth(array.element(()))


def _any_point(tracer: Tracer, holds: Expr, points: tuple[Var, ...]) -> Tensor:
    if not points:
        return tracer.as_tensor(tracer.finish((), holds, "condition"))
    fresh = tuple(Var(p.name, p.extent) for p in points)
    body = substitute(holds, dict(zip(points, fresh, strict=True)))
    made = tracer.reduction((), fresh, "or", body, "condition")
    return tracer.tensor(made)


def _kept(tracer: Tracer, going: Expr, new: Tensor, old: Tensor, points: tuple[Var, ...]) -> Tensor:
    """`new` where the loop goes on, `old` where it has ended."""
    axes = tracer.axes(new.shape)
    here = substitute(going, dict(zip(points, axes[: len(points)], strict=True)))
    body = build.select(here, build.load(new, *axes), build.load(old, *axes))
    return tracer.as_tensor(tracer.finish(axes, body, "state"))


def _as_state(returned: Any, count: int) -> tuple[Any, ...]:
    updated = returned if isinstance(returned, tuple) else (returned,)
    if len(updated) != count:
        raise failure(
            TraceError,
            f"the loop body returned {len(updated)} values for a state of {count}",
            help="return one new value for each value of the state, in the same order",
        )
    return updated


def _graph(
    name: str,
    inputs: Sequence[Input],
    outputs: Sequence[Tensor],
    frame: Frame,
    captured: Sequence[Tensor] | None = None,
) -> Graph:
    """A body graph: its inputs, then the tensors that it captures, in order."""
    order = list(frame.imported) if captured is None else list(captured)
    imports = [
        frame.imported.get(t) or Input(t.name, t.shape, t.dtype, t.label, t.loc) for t in order
    ]
    return Graph(name, (*inputs, *imports), tuple(outputs))


def _union(*frames: Frame) -> list[Tensor]:
    return list(dict.fromkeys(t for frame in frames for t in frame.imported))


def _carry_checks(tracer: Tracer, frame: Frame) -> tuple[list[Check], list[Input], list[Tensor]]:
    """Checks inside of a body become state: the extremes over all steps."""
    inputs: list[Input] = []
    outputs: list[Tensor] = []
    for number, check in enumerate(frame.checks):
        for name, tensor, ufunc in (
            ("least", check.least, np.minimum),
            ("most", check.most, np.maximum),
        ):
            before = tracer.input(f"{name}{number}", (), I64)
            old = tracer.wrap(before, (), I64)
            new = tracer.wrap(tensor, (), I64)
            inputs.append(before)
            outputs.append(tracer.tensor(ufuncs.call(ufunc, (old, new))))
    return list(frame.checks), inputs, outputs


def _neutral_extremes(tracer: Tracer, count: int) -> list[Tensor]:
    made = []
    for _ in range(count):
        for value in (I64.max, I64.min):
            literal = build.const(value, I64)
            made.append(tracer.as_tensor(tracer.finish((), literal, "bounds check")))
    return made


def _results(
    tracer: Tracer, node: Loop | While, carried: Sequence[Carried], checks: Sequence[Check]
) -> tuple[Any, ...]:
    def result(position: int) -> Tensor:
        made: Tensor = tracer.loop_node(Result, node, position, label=node.label)
        return made

    values = []
    for position, part in enumerate(carried):
        handle = part.handle(tracer, result(position))
        handle.cell.owner = ""
        values.append(handle)
    for number, check in enumerate(checks):
        place = len(carried) + 2 * number
        tracer.frame.checks.append(replace(check, least=result(place), most=result(place + 1)))
    return tuple(values)
