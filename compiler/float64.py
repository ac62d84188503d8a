"""Saying what made a value float64 on a target that has none.

In: the graph and the program of a kernel. Out: nothing, or an `UnsupportedError` at the innermost
operation whose result is float64, with the operand that made it so, and what to write instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeGuard

from tilewright.ir import ops
from tilewright.ir.dtypes import F64
from tilewright.ir.errors import UnsupportedError
from tilewright.ir.expr import Apply, Const, Expr, Load, Var, post_order
from tilewright.ir.graph import (
    Compute,
    Constant,
    Graph,
    Input,
    Loop,
    Reduction,
    Scatter,
    Tensor,
    While,
)
from tilewright.ir.program import Ordered, Program, Step, nests

_OR_DEMOTE = ', or compile with f64="f32", which computes it in float32'


def refuse_float64(graph: Graph, program: Program, target: str) -> None:
    """Raise `UnsupportedError` if the program has float64 values."""
    if not _has_float64(program):
        return
    for node, roots in _computations(graph):
        made = next((e for e in post_order(roots) if _touches_float64(e)), None)
        if made is None and _converts(node):
            made = roots[0]
        if made is not None:
            reason, help = _reason(made, graph.inputs)
            raise UnsupportedError(
                f"target {target!r} has no float64, but {node.label or 'a value'} has that dtype"
                + (f": {reason}" if reason else ""),
                loc=node.loc,
                help=help + _OR_DEMOTE,
            )
    for argument in (*graph.inputs, *graph.outputs):
        if argument.dtype is F64:
            reason, help = _tensor_reason(argument)
            raise UnsupportedError(
                f"target {target!r} has no float64, but {reason}", help=help + _OR_DEMOTE
            )


def _has_float64(program: Program) -> bool:
    buffers = (*program.inputs, *program.outputs, *(b for b, _ in program.constants))
    if any(buffer.dtype is F64 for buffer in buffers):
        return True
    values = [stage.value for nest in nests(program.steps) for stage in nest.stages]
    ordered = [step.value for step in _ordered(program.steps)]
    return any(node.dtype is F64 for node in post_order([*values, *ordered]))


def _ordered(steps: tuple[Step, ...]) -> Iterator[Ordered]:
    for step in steps:
        if isinstance(step, Ordered):
            yield step
        else:
            inner = (getattr(step, part, ()) for part in ("steps", "test", "body"))
            for part in inner:
                yield from _ordered(part)


def _computations(graph: Graph) -> Iterator[tuple[Tensor, tuple[Expr, ...]]]:
    """Every node with its expressions, producers first; those of loop bodies in their place."""
    for node in graph.nodes():
        match node:
            case Compute() if not isinstance(node.body, (Const, Load)):
                yield node, (node.body,)
            case Reduction():
                yield node, (node.body,)
            case Scatter():
                yield node, (*node.indices, node.value)
            case Loop():
                yield from _computations(node.body)
            case While():
                yield from _computations(node.condition)
                yield from _computations(node.body)
            case _:
                pass


def _converts(node: Tensor) -> bool:
    """Whether all that a node computes of its elements is a conversion to float64."""
    return isinstance(node, (Compute, Reduction)) and _is_widening(node.body)


def _touches_float64(node: Expr) -> bool:
    """Whether an operation computes a float64, or from one; conversions in it come with it."""
    if not isinstance(node, Apply) or _rounds_argument(node):
        return False
    return any(o.dtype is F64 for o in node.operands) or (
        node.op is not ops.CAST and node.dtype is F64
    )


def _rounds_argument(node: Apply) -> bool:
    """Whether this is a weak Python float where it meets an array of fewer bits."""
    if node.op is not ops.CAST or not node.dtype.is_float:
        return False
    read = _behind(node.operands[0])
    return isinstance(read, Load) and isinstance(read.source, Input) and not read.source.shape


def _reason(node: Expr, arguments: Sequence[Input]) -> tuple[str, str]:
    """Which operand made the result float64, and what to write instead."""
    wide = [_behind(o) for o in (*node.operands, node) if o.dtype is F64]
    for operand in wide:
        source = operand.source if isinstance(operand, Load) else None
        if isinstance(source, Constant) or (isinstance(source, Input) and source in arguments):
            return _tensor_reason(source)
        if isinstance(source, Input):
            return "a loop carries or reads float64", "start it with .astype(np.float32)"
    for operand in wide:
        if _is_widening(operand) and operand.operands[0].dtype.kind in "iub":
            number = _int_argument(operand.operands[0])
            if number is not None:
                return (
                    f"it computes in float64 with the integer argument {number.name!r}",
                    "compute that number before the call, and pass it as np.float32",
                )
            dtype = operand.operands[0].dtype
            return (
                f"NumPy promotes its {dtype} operand to float64",
                "convert that to float32 first, with x.astype(np.float32)",
            )
    for operand in wide:
        if isinstance(operand, Const):
            return (
                f"the constant {operand.value} is float64",
                f"make it float32, as in np.float32({operand.value}) or with dtype=np.float32",
            )
    for operand in wide:
        if _is_widening(operand):
            return (
                f"it converts {operand.operands[0].dtype} to float64",
                "leave that conversion out, or use a function that keeps float32",
            )
    return "", "convert to float32 first, with x.astype(np.float32)"


def _int_argument(node: Expr) -> Input | None:
    """The only argument that a number is computed from, if that is an integer of rank 0."""
    nodes = post_order((node,))
    read = {n.source for n in nodes if isinstance(n, Load)}
    source = read.pop() if len(read) == 1 else None
    if not isinstance(source, Input) or source.label != "int argument":
        return None
    return None if any(isinstance(n, Var) for n in nodes) else source


def _is_widening(node: Expr) -> TypeGuard[Apply]:
    return isinstance(node, Apply) and node.op is ops.CAST and node.dtype is F64


def _behind(operand: Expr) -> Expr:
    """The operand, or the literal or the argument of which it reads a copy."""
    while isinstance(operand, Load) and isinstance(operand.source, Compute):
        body = operand.source.body
        if not isinstance(body, (Const, Load)):
            break
        operand = body
    return operand


def _tensor_reason(tensor: Tensor) -> tuple[str, str]:
    if isinstance(tensor, Constant):
        return (
            f"it reads a float64 array of shape {tensor.array.shape}",
            "make that array float32 where it is made, with .astype(np.float32)",
        )
    if not isinstance(tensor, Input):
        return f"the result of {tensor.label or 'the kernel'} is float64", "return a float32 value"
    if tensor.label == "float argument":
        return (
            f"argument {tensor.name!r} is a Python float, which is float64 where it meets no "
            "float32 array",
            f"pass np.float32({tensor.name}), and convert integers with x.astype(np.float32)",
        )
    return f"argument {tensor.name!r} is float64", f"pass {tensor.name}.astype(np.float32)"
