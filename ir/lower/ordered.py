"""An `Ordered` step -> a kernel: one serial loop nest in row-major order.

A scatter's points may hit one element many times, and NumPy says which write wins and in which
order values are combined; hence one thread, and no vectors.
"""

from __future__ import annotations

from tilewright.ir.errors import IRError
from tilewright.ir.expr import Expr, Load, Var
from tilewright.ir.graph import COMBINERS
from tilewright.ir.kernel import For, Kernel, Stmt, Store
from tilewright.ir.lower.finish_kernel import finish_kernel
from tilewright.ir.lower.reducer import combine
from tilewright.ir.program import Ordered
from tilewright.ir.traverse import substitute


def lower_ordered(step: Ordered, name: str) -> Kernel:
    """``target[indices] = combine(target[indices], value)`` at each point, in order."""
    counters: dict[Var, Expr] = {}
    for axis in step.axes:
        assert axis.extent is not None
        extent = axis.extent
        if isinstance(extent, Expr):
            extent = substitute(extent, counters)
        counters[axis] = Var(axis.name, extent)
    memo: dict[Expr, Expr] = {}
    indices = tuple(substitute(i, counters, memo=memo) for i in step.indices)
    value = substitute(step.value, counters, memo=memo)
    if step.combiner is not None:
        op = COMBINERS[step.combiner].op
        if op is None:
            raise IRError(f"a scatter cannot combine with {step.combiner}")
        value = combine(op, Load(step.target, indices), value)
    body: list[Stmt] = [Store(step.target, indices, value)]
    for counter in reversed(counters.values()):
        assert isinstance(counter, Var)
        body = [For(counter, "serial", body)]
    return finish_kernel(name, body, ())
