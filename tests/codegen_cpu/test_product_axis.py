"""Which axis of a sum of products lies across lanes: a table of decisions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.conftest import Golden
from tests.ir.lower.traced_programs import program_of
from tilewright.codegen_cpu.product_axis import product_axis
from tilewright.codegen_cpu.target import cpu_target
from tilewright.ir.expr import Var
from tilewright.ir.program import Nest, nests
from tilewright.ir.schedule import INNER

Factory = Callable[[int, int, int], tuple[tuple[int, ...], ...]]
TARGETS = ("x86-64-v4", "x86-64-v3", "x86-64-v2")
# How the factors lie, and their shapes for a product of m x k and k x n.
LAYOUTS: dict[str, tuple[Callable[..., Any], Factory]] = {
    "a @ b": (lambda a, b: a @ b, lambda m, k, n: ((m, k), (k, n))),
    "a @ b.T": (lambda a, b: a @ b.T, lambda m, k, n: ((m, k), (n, k))),
    "a.T @ b": (lambda a, b: a.T @ b, lambda m, k, n: ((k, m), (k, n))),
    "a.T @ b.T": (lambda a, b: a.T @ b.T, lambda m, k, n: ((k, m), (n, k))),
    "a[:, ::2] @ b": (lambda a, b: a[:, ::2] @ b, lambda m, k, n: ((m, 2 * k), (k, n))),
    "(a @ b).T": (lambda a, b: (a @ b).T + 1, lambda m, k, n: ((m, k), (k, n))),
}
SIZES = (
    *((1, 8, 16), (1, 1000, 64), (1, 64, 1000), (64, 1000, 1), (2, 300, 3), (3, 3, 4000)),
    *((4000, 3, 3), (16, 16, 16), (17, 16, 15), (7, 33, 9), (64, 64, 64), (64, 64, 8)),
    *((64, 64, 17), (200, 9, 5), (200, 5, 24), (30, 1200, 30), (256, 256, 256), (8, 5000, 16)),
)  # fmt: skip


def nest_of(layout: str, dtype: str, m: int, k: int, n: int) -> Nest:
    function, shapes = LAYOUTS[layout]
    given = [np.zeros(shape, dtype) for shape in shapes(m, k, n)]
    return next(x for x in nests(program_of(function, given).steps) if x.stages[0].reduce_axes)


def decision(layout: str, dtype: str, sizes: tuple[int, int, int], target: str) -> str:
    """``rows`` or ``columns`` of ``a @ b``, or ``sums`` in parts."""
    nest = nest_of(layout, dtype, *sizes)
    names = [name for name, size in (("rows", sizes[0]), ("columns", sizes[2])) if size > 1]
    if layout == "(a @ b).T":
        names.reverse()
    axis = product_axis(nest, cpu_target(target))
    if not isinstance(axis, Var):
        assert axis == INNER
        return "sums"
    return dict(zip(nest.outer, names, strict=True))[axis]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_decisions(golden: Golden, dtype: str) -> None:
    lines = [f"{'':26}" + "".join(f"{target:>12}" for target in TARGETS)]
    for layout in LAYOUTS:
        for m, k, n in SIZES:
            chosen = [decision(layout, dtype, (m, k, n), target) for target in TARGETS]
            cells = "".join(f"{axis:>12}" for axis in chosen)
            lines.append(f"{layout:14}{f'{m}x{k}x{n}':12}{cells}")
    golden(f"cpu/product_axes/{dtype}", "\n".join(lines))


def test_reproducible_sums_are_not_taken_apart() -> None:
    nest = nest_of("a @ b.T", "float32", 1, 1000, 64)
    machine = cpu_target("x86-64-v3")
    assert product_axis(nest, machine) == INNER
    assert isinstance(product_axis(nest, machine.with_numerics("reproducible")), Var)


def test_only_sums_of_products_with_points_have_an_axis() -> None:
    machine = cpu_target("x86-64-v3")
    a = np.zeros((8, 9), np.float32)
    for function, given in (
        (lambda x: x.sum(axis=1), [a]),
        (lambda x: x * 2, [a]),
        (lambda x, y: x @ y, [a, np.zeros((9, 0), np.float32)]),
    ):
        for nest in nests(program_of(function, given).steps):
            assert product_axis(nest, machine) is None


def test_a_factor_at_places_that_are_data_has_no_axis() -> None:
    a, b = np.zeros((8, 9), np.float32), np.zeros((9, 7), np.float32)
    places = np.zeros(9, np.int32)
    steps = program_of(lambda a, b, places: a @ b[places], [a, b, places]).steps
    for nest in nests(steps):
        if any(s.reduce_axes for s in nest.stages):
            assert product_axis(nest, cpu_target("x86-64-v3")) is None
