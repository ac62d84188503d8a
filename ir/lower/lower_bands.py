"""A band and the schedules of its nests -> one kernel: the nests one after the other, band by band.

Tasks take neighbouring bands. The last band of all overlaps the one before it, so that no task has
only one of the two.
"""

from __future__ import annotations

from collections.abc import Sequence

from tilewright.ir import build
from tilewright.ir.expr import Expr, Var
from tilewright.ir.kernel import Buffer, For, Kernel, Stmt, map_expressions
from tilewright.ir.lower.bands import Band
from tilewright.ir.lower.finish_kernel import finish_kernel
from tilewright.ir.lower.nest import NestLowering
from tilewright.ir.lower.simplify_indices import simplify_indices
from tilewright.ir.schedule import Schedule
from tilewright.ir.traverse import substitute


def lower_band(band: Band, schedules: Sequence[Schedule], tasks: int, name: str) -> Kernel:
    """The kernel of `band`, cut into `tasks` (if there are so many bands)."""
    body: list[Stmt] = []
    locals_: list[Buffer] = list(band.scratch)
    for nest, schedule in zip(band.nests, schedules, strict=True):
        lowering = NestLowering(nest, schedule)
        body += lowering.outer_loops(0)
        locals_ += lowering.locals
    return finish_kernel(name, simplify_indices(_loops(band.counter, body, tasks)), locals_)


def _loops(counter: Var, body: Sequence[Stmt], tasks: int) -> list[Stmt]:
    """The bands in order, or tasks of two bands or more."""
    bands = counter.extent
    assert isinstance(bands, int)
    tasks = min(tasks, bands // 2)
    if tasks < 2:
        return [For(counter, "serial", body)]
    task = Var("task", tasks)
    first = _share(task, bands, tasks)
    following = _share(build.add(task, build.index(1)), bands, tasks)
    inner = Var(counter.name, build.sub(following, first))
    bindings = {counter: build.add(first, inner)}
    memo: dict[Expr, Expr] = {}
    moved = map_expressions(body, lambda e: substitute(e, bindings, None, memo))
    return [For(task, "parallel", [For(inner, "serial", moved)])]


def _share(task: Expr, bands: int, tasks: int) -> Expr:
    return build.floordiv(build.mul(task, build.index(bands)), build.index(tasks))
