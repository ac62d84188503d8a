"""What a traced function returned: the graph's outputs and how they make up the result."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct, field

from tilewright.compiler.argument_trees import object_parts
from tilewright.compiler.interface import (
    Known,
    Leaf,
    Mapping,
    Object,
    OutputInfo,
    Sequence,
    Structure,
)
from tilewright.compiler.trace.handles import Handle
from tilewright.compiler.trace.operands import as_array, is_number
from tilewright.compiler.trace.selections import Selection, refusal
from tilewright.ir.errors import TraceError
from tilewright.ir.expr import Var, post_order
from tilewright.ir.graph import Compute, Constant, Input, Reduction, Scatter, Tensor

if TYPE_CHECKING:
    from tilewright.compiler.tracer import Tracer
    from tilewright.ir.location import Location


class Outputs(Struct):
    """The results while they are being collected."""

    structure: Structure = field(default_factory=lambda: Leaf(0))
    _tensors: list[Tensor] = field(default_factory=list)
    _infos: list[OutputInfo] = field(default_factory=list)
    _numbers: dict[tuple[Tensor, str], int] = field(default_factory=dict)

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        return tuple(self._tensors)

    @property
    def infos(self) -> tuple[OutputInfo, ...]:
        return tuple(self._infos)

    def number(self, tensor: Tensor, kind: str) -> int:
        """The number of the output `tensor`, entered at its first use."""
        key = (tensor, kind)
        if key not in self._numbers:
            self._numbers[key] = len(self._tensors)
            self._tensors.append(tensor)
            self._infos.append(OutputInfo(tensor.dtype.numpy, kind))
        return self._numbers[key]


def collect(tracer: Tracer, returned: Any, loc: Location) -> Outputs:
    """The outputs of a function that returned `returned`."""
    outputs = Outputs()
    copies: dict[Tensor, Tensor] = {}
    try:
        outputs.structure = _structure(tracer, returned, outputs, copies, loc)
    except RecursionError as error:
        raise TraceError(
            "the result holds itself, or nests too deeply",
            loc=loc,
            help="return arrays, or tuples, lists, dicts and dataclasses of them",
        ) from error
    if not outputs.tensors:
        raise TraceError("a kernel returns no array", loc=loc, help="return an array")
    if tracer.scoped or tracer.looped:
        _refuse_escaped_variables(outputs.tensors)
    return outputs


def _structure(
    tracer: Tracer,
    value: Any,
    outputs: Outputs,
    copies: dict[Tensor, Tensor],
    loc: Location,
    outermost: bool = True,
) -> Structure:

    def inner(parts: Iterable[Any]) -> tuple[Structure, ...]:
        return tuple(_structure(tracer, v, outputs, copies, loc, False) for v in parts)

    if isinstance(value, (tuple, list)):
        return Sequence(type(value), inner(value))
    if isinstance(value, dict):
        kind_of_dict = OrderedDict if isinstance(value, OrderedDict) else dict
        return Mapping(tuple(value), inner(value.values()), kind_of_dict)
    if not outermost and (value is None or isinstance(value, (str, bytes, np.dtype))):
        return Known(value)
    parts = object_parts(value)
    if parts is not None:
        return Object(value.__class__, tuple(parts), inner(parts.values()))
    return _leaf(tracer, value, outputs, copies, loc)


def _leaf(
    tracer: Tracer, value: Any, outputs: Outputs, copies: dict[Tensor, Tensor], loc: Location
) -> Structure:
    if isinstance(value, Selection):
        raise refusal(value, "returning it")
    kind = "array"
    if isinstance(value, Handle):
        kind = "python" if value.weak or value.plain else "array" if value.is_array else "scalar"
    elif is_number(value):
        kind = "python"
    elif isinstance(value, np.generic):
        kind = "scalar"
    elif value is None:
        raise TraceError(
            "the kernel returns None", loc=loc, help="end it with return and the resulting array"
        )
    elif not isinstance(value, np.ndarray):
        returned = getattr(value, "__tilewright_stands_for__", value)
        raise TraceError(
            f"a kernel returns arrays and numbers, not {type(returned).__name__}",
            loc=loc,
            help="return arrays, or tuples, lists, dicts and dataclasses of them",
        )
    tensor = tracer.tensor(as_array(value))
    if isinstance(tensor, (Input, Constant)):
        if tensor not in copies:
            copies[tensor] = tracer.copied(tensor)
        tensor = copies[tensor]
    return Leaf(outputs.number(tensor, kind))


def _refuse_escaped_variables(tensors: tuple[Tensor, ...]) -> None:
    """Index variables are only meant inside of their function."""
    seen: set[Tensor] = set()
    stack = list(tensors)
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        stack.extend(node.sources)
        bodies, axes = _bodies(node)
        for part in post_order(bodies):
            if isinstance(part, Var) and part.extent is not None and part not in axes:
                raise TraceError(
                    f"the index variable {part.name!r} is used outside of its index function",
                    loc=node.loc,
                    help="return the value from the index function",
                )


def _bodies(node: Tensor) -> tuple[tuple[Any, ...], set[Var]]:
    match node:
        case Compute():
            return (node.body,), set(node.axes)
        case Reduction():
            return (node.body,), {*node.axes, *node.reduce_axes}
        case Scatter():
            return (*node.indices, node.value), set(node.axes)
    return (), set()
