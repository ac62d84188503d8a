"""How many numbers a register of a fragment takes up before its sum is put away.

The error of a sum grows with that number, not with the length of the sum (docs/numerics.md).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import pytest

from tests.codegen_glsl.nests import at, reduced
from tests.ir.index_expressions import value_at
from tilewright.ir import build as b
from tilewright.ir.dtypes import F32
from tilewright.ir.expr import Expr, Load, Var, post_order
from tilewright.ir.kernel import Buffer, For, Kernel, Stmt, Store
from tilewright.ir.lower.fragment.grid import lower_to_fragments
from tilewright.ir.lower.fragment.reduction import SUM_RUN
from tilewright.ir.program import Nest
from tilewright.ir.schedule import Schedule

SHAPES = [
    *((1,), (4,), (64,), (100,), (1000,), (5, 64), (64, 5), (3, 3, 16), (16, 3, 3), (40, 40)),
    *((7, 9, 11), (12, 128), (300, 2), (1, 1, 50)),
]


def longest_run(kernel: Kernel) -> int:
    """The most additions to one element of a register since it was set."""
    since: Counter[tuple[Buffer, tuple[int, ...]]] = Counter()
    most = 0

    def walk(body: Sequence[Stmt], known: Mapping[Var, int]) -> None:
        nonlocal most
        for stmt in body:
            if isinstance(stmt, For):
                extent = 1 if stmt.kind == "fragment" else size(stmt.extent, known)
                for round_ in range(extent):
                    walk(stmt.body, {**known, stmt.var: round_})
            elif isinstance(stmt, Store) and stmt.buffer.name.endswith("_acc"):
                place = stmt.buffer, tuple(size(i, known) for i in stmt.indices)
                loads = (n for n in post_order((stmt.value,)) if isinstance(n, Load))
                adds = any(load.source is stmt.buffer for load in loads)
                since[place] = since[place] + 1 if adds else 0
                most = max(most, since[place])

    walk(kernel.body, {})
    return most


def size(extent: Expr | int, known: Mapping[Var, int]) -> int:
    return extent if isinstance(extent, int) else value_at(extent, dict(known))


def summed(extents: tuple[int, ...], laned: bool) -> Nest:
    """Sums of elements that differ between lanes, or that all lanes share."""
    shape = (4, *(e + 1 for e in extents), 4)  # more, so that no two axes are one
    source, out = Buffer("x", shape, F32), Buffer("y", (4, 4), F32)
    return reduced(
        out, extents, "add", lambda i, j, *k: at(source, i, *k, j if laned else b.index(1))
    )


@pytest.mark.parametrize("unroll", [1, 4, 8])
@pytest.mark.parametrize("laned", [False, True], ids=["shared", "for each lane"])
@pytest.mark.parametrize("extents", SHAPES, ids=str)
def test_runs_are_short(extents: tuple[int, ...], laned: bool, unroll: int) -> None:
    nest = summed(extents, laned)
    most = longest_run(lower_to_fragments(nest, Schedule(unroll=unroll), "k"))
    assert 1 <= most <= 2 * SUM_RUN


@pytest.mark.parametrize(
    ("extents", "laned", "unroll", "run", "levels"),
    [
        ((64,), False, 4, 4, 1),  # 4 iterations of 4 vectors
        ((64,), True, 4, 8, 2),
        ((1000,), False, 4, 9, 2),  # 62 of 4 vectors, and 2 vectors
        ((5, 64), False, 4, 5, 2),  # the 4 iterations of a row are one run, and the 5 rows
        ((3, 3, 16), False, 4, 3, 2),
        ((3, 3, 16), True, 4, 4, 3),
        ((64, 5), True, 4, 16, 2),
        ((40, 40), False, 1, 8, 4),
    ],
)
def test_runs_are_long_and_of_equal_length(
    extents: tuple[int, ...], laned: bool, unroll: int, run: int, levels: int
) -> None:
    kernel = lower_to_fragments(summed(extents, laned), Schedule(unroll=unroll), "k")
    assert longest_run(kernel) == run
    assert sum(buffer.name.endswith("_acc") for buffer in kernel.locals) == levels


@pytest.mark.parametrize("extents", [(7,), (2, 3)])
def test_one_value_is_added_without_a_tree(extents: tuple[int, ...]) -> None:
    kernel = lower_to_fragments(summed(extents, True), Schedule(), "k")
    assert not any(buffer.name.endswith("_terms") for buffer in kernel.locals)
