"""Puts the call path in machine code in front of a kernel, for specialisations simple enough.

What is not simple (containers as arguments, captured lists that may change in place, data checks of
open dimensions) stays with `Kernel.__call__`.
"""

from __future__ import annotations

from types import CellType, FunctionType
from typing import TYPE_CHECKING, Literal

from tilewright.codegen_cpu.execute import CpuFunction
from tilewright.codegen_cpu.fast_record import Record
from tilewright.codegen_cpu.fast_spec import (
    Argument,
    ArrayArgument,
    ArrayGuard,
    CellGuard,
    FastSpec,
    FunctionGuard,
    GlobalGuard,
    Guard,
    Linear,
    Open,
    Output,
    ScalarArgument,
    StaticArgument,
)
from tilewright.codegen_cpu.fastcall_ir import MAX_OUTPUTS
from tilewright.compiler.argument_trees import Tree
from tilewright.compiler.cache.contents import ArrayContents
from tilewright.compiler.cache.dependencies import MISSING, Dependency
from tilewright.compiler.interface import Leaf, Sequence
from tilewright.ir.analysis.affine import linear
from tilewright.ir.expr import Size, Var
from tilewright.ir.signature import ArgumentSpec, ArraySpec, ScalarSpec, StaticSpec

if TYPE_CHECKING:
    from tilewright.codegen_cpu.artifact import TensorSpec
    from tilewright.compiler.api import Kernel
    from tilewright.compiler.interface import Interface
    from tilewright.compiler.runtime import Runtime
    from tilewright.compiler.specialization import Specialization

_LONG_RUNNING_BYTES = 1 << 16


def install(
    kernel: Kernel, compiled: Specialization, names: tuple[str, ...], runtime: Runtime
) -> bool:
    """Let calls of `kernel` with these types of arguments, `names` in order, run natively."""
    spec = _spec(compiled, names)
    if spec is None:
        return False
    runtime.calls.install(kernel, Record(spec))
    return True


def _spec(compiled: Specialization, names: tuple[str, ...]) -> FastSpec | None:
    function, interface = compiled.executable, compiled.interface
    if not isinstance(function, CpuFunction) or (interface.checks and interface.symbols):
        return None
    artifact = function.artifact
    if len(artifact.outputs) > MAX_OUTPUTS:
        return None
    symbols = {s: k for k, s in enumerate(artifact.symbols)}
    arguments = [_argument(interface.specs[n], symbols) for n in names if n in interface.specs]
    result = _result(compiled)
    kinds = [info.kind if result else "array" for info in interface.outputs]
    kinds += ["array"] * (len(artifact.outputs) - len(kinds))  # the extremes that are checked
    outputs = [
        _output(spec, kind, symbols) for spec, kind in zip(artifact.outputs, kinds, strict=True)
    ]
    guards = _guards(compiled)
    if None in arguments or None in outputs or guards is None:
        return None
    least = _least(interface, symbols)
    if not isinstance(artifact.workspace, int) or least is None:
        return None
    given = tuple(a for a in arguments if a is not None)
    bound = {
        s.symbol
        for a in given
        if isinstance(a, ArrayArgument)
        for s in a.shape
        if isinstance(s, Open)
    }
    if bound != set(symbols.values()):
        return None
    return FastSpec(
        arguments=given,
        outputs=tuple(o for o in outputs if o is not None),
        entry=function.address,
        on_error=function.failed,
        constants=function.constants,
        guards=guards,
        runtime=function.runtime,
        workspace_bytes=artifact.workspace,
        result=result or "tuple",
        on_result=None if result else compiled.tested_result,
        long_running=_is_long(given, outputs),
        keep=(function,),
        names=tuple(n for n in names if n in interface.specs),
        least=least,
    )


def _least(interface: Interface, symbols: dict[Var, int]) -> tuple[int, ...] | None:
    """The least value of each symbol; none where all may be 0, None where it is not so simple."""
    least = [symbol.least or 0 for symbol in symbols]
    for check in interface.sizes:
        size = _size(_within_max(check.size), symbols)
        if not isinstance(size, Linear) or not size.factor:
            return None
        needed = -(-(1 - size.base) // size.factor)
        least[size.symbol] = max(least[size.symbol], needed)
    return tuple(least) if any(least) else ()


def _within_max(size: Size) -> Size:
    """``max(e, 0)`` is 1 or more where e is."""
    from tilewright.ir.expr import Apply, Const  # not for a first call without such checks
    from tilewright.ir.ops import MAX

    match size:
        case Apply(op=op, operands=(inner, Const(value=0))) if op is MAX:
            return inner
    return size


def _argument(spec: ArgumentSpec, symbols: dict[Var, int]) -> Argument | None:
    match spec:
        case ArraySpec():
            shape = tuple(Open(symbols[s]) if isinstance(s, Var) else s for s in spec.shape)
            return ArrayArgument(spec.dtype.numpy, shape)
        case ScalarSpec():
            return ScalarArgument(spec.dtype.numpy, spec.limits)
        case StaticSpec():
            return None if isinstance(spec.value, Tree) else StaticArgument(spec.value)


def _output(spec: TensorSpec, kind: str, symbols: dict[Var, int]) -> Output | None:
    sizes = [_size(s, symbols) for s in spec.shape]
    known = tuple(s for s in sizes if s is not None)
    return Output(spec.dtype.numpy, known, kind == "scalar") if len(known) == len(sizes) else None


def _size(size: Size, symbols: dict[Var, int]) -> int | Linear | None:
    if isinstance(size, int):
        return size
    form = linear(size)
    if len(form.terms) != 1:
        return None
    ((atom, factor),) = form.terms.items()
    if not isinstance(atom, Var) or factor < 0:
        return None
    return Linear(form.constant, factor, symbols[atom])


def _guards(compiled: Specialization) -> tuple[Guard, ...] | None:
    guards = [_guard(dependency) for dependency in compiled.dependencies or ()]
    known = tuple(guard for guard in guards if guard is not None)
    return known if len(known) == len(guards) else None


def _guard(dependency: Dependency) -> Guard | None:
    home = dependency.home
    if isinstance(home, FunctionType):
        return FunctionGuard(home, dependency.name, dependency.value)
    if not isinstance(home, (CellType, dict)) or dependency.value is MISSING:
        return None
    if isinstance(dependency.contents, ArrayContents):
        elements = dependency.contents.elements
        array = ArrayArgument(elements.dtype, elements.shape)
        name = None if isinstance(home, CellType) else dependency.name
        return ArrayGuard(home, name, array, elements)
    if dependency.contents is not None:
        return None  # a list or a dict, which may change while it stays the same object
    if isinstance(home, CellType):
        return CellGuard(home, dependency.value)
    return GlobalGuard(home, dependency.name, dependency.value)


def _result(compiled: Specialization) -> Literal["single", "tuple"] | None:
    """How the outputs make up the result; None where that takes Python."""
    interface = compiled.interface
    if interface.checks or any(info.kind == "python" for info in interface.outputs):
        return None
    structure = interface.structure
    count = len(interface.outputs)
    if isinstance(structure, Leaf):
        return "single" if count == 1 else None
    in_order = tuple(Leaf(k) for k in range(count))
    if not isinstance(structure, Sequence) or structure.kind is not tuple:
        return None
    return "tuple" if structure.items == in_order else None


def _is_long(arguments: tuple[Argument, ...], outputs: list[Output | None]) -> bool:
    total = 0
    for item in (*arguments, *outputs):
        if isinstance(item, (ArrayArgument, Output)):
            size = item.dtype.itemsize
            for extent in item.shape:
                size *= extent if isinstance(extent, int) else 1024
            total += size
    return total >= _LONG_RUNNING_BYTES
