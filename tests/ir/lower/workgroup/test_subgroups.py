"""Rows whose invocations exchange values in subgroups of every size, run by the interpreter."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest

from tests.codegen_wgsl.nests import Array, axes, program, reduction, softmax
from tests.ir.lower.traced_programs import program_of
from tilewright.ir import build, ops
from tilewright.ir.analysis.kernel_figures import kernel_figures
from tilewright.ir.dtypes import F32
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Apply, Load
from tilewright.ir.fuse.options import WORKGROUP
from tilewright.ir.interpret.kernel import interpret_kernel
from tilewright.ir.interpret.values import shape_value
from tilewright.ir.kernel import Barrier, Buffer, Exchange, Kernel, statements
from tilewright.ir.lower.reduction_plan import (
    PRODUCT_RUN,
    SUM_RUN,
    plan_levels,
    promised_height,
    tree_height,
)
from tilewright.ir.lower.workgroup.combine import MOST_ROUNDS, RUN
from tilewright.ir.lower.workgroup.lower import lower_to_workgroups
from tilewright.ir.parser import parse_kernel
from tilewright.ir.printer import print_kernel
from tilewright.ir.program import Nest, Program, Stage
from tilewright.ir.schedule import INNER, Schedule
from tilewright.ir.verify import verify_kernel

THREADS = 64
SIZES = (4, 8, 16, 32, 64)


def lowered(nest: Nest, threads: int = THREADS, least: int = 4) -> Kernel:
    schedule = Schedule(vector=INNER, workgroup=(threads,), subgroups=True)
    kernel = lower_to_workgroups(nest, schedule, "k", least)
    verify_kernel(kernel, strict=True)
    return kernel


def run(
    made: Program, inputs: list[Array], subgroup: int, least: int = 4, threads: int = THREADS
) -> list[Array]:
    """The outputs of a program of nests, each of them lowered to rows."""
    kept = (b for b in (*made.outputs, *made.temporaries) if b.base is None)
    arrays = {b: np.full(shape_value(b.shape, {}), 99, b.dtype.numpy) for b in kept}
    arrays |= dict(zip(made.inputs, inputs, strict=True))
    arrays |= dict(made.constants)
    for step in made.steps:
        assert isinstance(step, Nest)
        kernel = lowered(step, threads, least)
        interpret_kernel(kernel, {p: arrays[p] for p in kernel.parameters}, subgroup=subgroup)
    return [arrays[b.root].reshape(shape_value(b.shape, {})) for b in made.outputs]


def floats() -> Array:
    """Ties, NaN, infinities, rows of one sign."""
    x = np.random.default_rng(3).integers(-3, 4, (6, 150)).astype(np.float32)
    x[1, 77] = np.nan
    x[2, [5, 140]] = np.nan
    x[3] = -np.inf
    x[4, 100] = np.inf
    return x


def integers(dtype: Any) -> Array:
    return np.random.default_rng(4).integers(0, 100, (5, 150)).astype(dtype)


REDUCERS: dict[str, tuple[Callable[[Any], Any], Array]] = {
    "sum": (lambda x: x.sum(axis=1), floats()),
    "max": (lambda x: x.max(axis=1), floats()),
    "min": (lambda x: x.min(axis=1), floats()),
    "argmax": (lambda x: x.argmax(axis=1), floats()),
    "argmin": (lambda x: x.argmin(axis=1), floats()),
    "argmax of integers": (lambda x: x.argmax(axis=1), integers(np.int32)),
    "any": (lambda x: (x > 2).any(axis=1), floats()),
    "all": (lambda x: (x < 3).all(axis=1), floats()),
    "sum of int32": (lambda x: x.sum(axis=1), integers(np.int32)),
    "sum of uint32": (lambda x: x.sum(axis=1, dtype=np.uint32), integers(np.uint32)),
    "product of int32": (lambda x: (x * 0 + 3).prod(axis=1, dtype=np.int32), integers(np.int32)),
    "max of uint8": (lambda x: x.max(axis=1), integers(np.uint8)),
    "two at once": (lambda x: x.max(axis=1) - x.min(axis=1), integers(np.float32)),
    "two results": (lambda x: (x.sum(axis=1), (x + 1).max(axis=1)), integers(np.float32)),
    "columns": (lambda x: x.sum(axis=0), integers(np.float32)),
    "all of it": (lambda x: x.sum(), integers(np.float32)),
}


@pytest.mark.parametrize("name", REDUCERS)
@pytest.mark.parametrize("size", SIZES)
def test_reducers(name: str, size: int) -> None:
    function, x = REDUCERS[name]
    with np.errstate(all="ignore"):
        expected = function(x)
        found = run(program_of(function, [x], WORKGROUP), [x], size)
    wanted = expected if isinstance(expected, tuple) else (expected,)
    for one, other in zip(found, wanted, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("length", [1, 3, 63, 64, 65, 200])
@pytest.mark.parametrize(("least", "size"), [(4, 4), (4, 64), (8, 8), (8, 16), (32, 32), (64, 64)])
def test_rows_of_any_length(length: int, least: int, size: int) -> None:
    x = np.random.default_rng(length).standard_normal((3, length)).astype(np.float32)
    e = np.exp(x.astype(np.float64) - x.max(axis=1, keepdims=True))
    (found,) = run(softmax(3, length), [x], size, least)
    np.testing.assert_allclose(found, e / e.sum(axis=1, keepdims=True), rtol=2e-6)


@pytest.mark.parametrize("size", [4, 8, 16, 32, 128])
@pytest.mark.parametrize("threads", [128, 256])
def test_more_subgroups_than_there_are_invocations_in_each(threads: int, size: int) -> None:
    x = np.random.default_rng(size).integers(-9, 10, (2, 300)).astype(np.float32)
    made = program_of(lambda x: x.sum(axis=1) * x.max(axis=1), [x], WORKGROUP)
    (found,) = run(made, [x], size, threads=threads)
    np.testing.assert_array_equal(found, x.sum(axis=1) * x.max(axis=1))


def test_variances_keep_two_passes() -> None:
    x = np.random.default_rng(5).standard_normal((4, 90)).astype(np.float32) + 100
    made = program_of(lambda x: x.var(axis=1), [x], WORKGROUP)
    for size in SIZES:
        (found,) = run(made, [x], size)
        np.testing.assert_allclose(found, x.var(axis=1, dtype=np.float64), rtol=1e-4)


@pytest.mark.parametrize("size", SIZES)
def test_reductions_in_a_loop_use_their_memory_again(size: int) -> None:
    """Three sums one after the other, then a maximum of them and of all, twice."""
    x, out = Buffer("x", (2, 3, 150), F32), Buffer("out", (2,), F32)
    sums, most = Buffer("sums", (3,), F32, "scratch"), Buffer("most", (), F32, "scratch")
    i, j, k, a, b, c = axes(i=2, j=3, k=150, a=3, b=150, c=150)
    total = Buffer("total", (), F32, "scratch")
    above = Apply(ops.SUB, (Load(x, (i, a, b)), Load(most, ())))
    stages = (
        Stage((), (c,), "max", Load(x, (i, build.index(0), c)), most, ()),
        Stage((j,), (k,), "add", Load(x, (i, j, k)), sums, (j,)),
        Stage((), (a, b), "add", Apply(ops.ADD, (above, Load(sums, (a,)))), total, ()),
        Stage((), (), None, Apply(ops.ADD, (Load(total, ()), Load(most, ()))), out, (i,)),
    )
    nest = Nest("looped", (i,), stages, (sums, most, total))
    array = np.random.default_rng(7).integers(-3, 4, (2, 3, 150)).astype(np.float32)
    (found,) = run(program([x], [out], [nest]), [array], size)
    highest = array[:, 0].max(axis=1)
    each = array.sum(axis=2)
    wanted = array.sum(axis=(1, 2)) - 450 * highest + 150 * each.sum(axis=1) + highest
    np.testing.assert_array_equal(found, wanted)
    assert counted(lowered(nest), Barrier) == 2 + 3 * 2 + 1  # alone; of each row; for all of them


def only_nest(made: Program) -> Nest:
    (step,) = made.steps
    assert isinstance(step, Nest)
    return step


def counted(kernel: Kernel, kind: type) -> int:
    return sum(isinstance(s, kind) for s in statements(kernel.body))


def test_there_is_one_barrier_for_each_reduction() -> None:
    """And one for the row that others read; halving takes one for each power of two."""
    kernel = lowered(only_nest(softmax(3, 200)))
    assert (counted(kernel, Barrier), counted(kernel, Exchange)) == (3, 4)
    schedule = Schedule(vector=INNER, workgroup=(THREADS,))
    halved = lower_to_workgroups(only_nest(softmax(3, 200)), schedule, "k")
    assert counted(halved, Barrier) == 17
    few, many = kernel_figures(kernel), kernel_figures(halved)
    assert (few.barriers, many.barriers) == (3, 17)
    assert few.workgroup_bytes < many.workgroup_bytes
    assert few.bytes_read == many.bytes_read


def test_a_workgroup_of_one_subgroup_needs_no_memory() -> None:
    kernel = lowered(only_nest(softmax(3, 200)), least=THREADS)
    assert (counted(kernel, Barrier), counted(kernel, Exchange)) == (1, 2)
    assert [b.shape for b in kernel.locals if b.space == "workgroup"] == [(200,)]


def test_an_invocation_takes_one_value_where_subgroups_are_large() -> None:
    """Loops only where there may be more subgroups than invocations in each."""
    nest = only_nest(reduction((3, 200), 1, "add"))
    assert "turn" not in str(lowered(nest, 256, 16))
    assert "turn" in str(lowered(nest, 256, 8))
    assert "run <" in str(lowered(nest, 256, 4))
    with pytest.raises(IRError, match="512 invocations in subgroups of 4"):
        lowered(nest, 512, 4)


def test_the_text_of_subgroups_reads_as_it_is_printed() -> None:
    text = print_kernel(lowered(only_nest(softmax(3, 200))))
    assert print_kernel(parse_kernel(text)) == text


@pytest.mark.parametrize("threads", [4, 16, 64, 128, 256, 512, 1024])
@pytest.mark.parametrize("run", [SUM_RUN, 5, PRODUCT_RUN])
def test_trees_are_as_high_as_is_promised(threads: int, run: int) -> None:
    """For every size of subgroups that so many may be made of, and rows of any length."""
    sizes = [s for s in (4, 8, 16, 32, 64, 128) if s <= threads <= MOST_ROUNDS * s * s]
    for size, terms in product(sizes, (1, 7, threads, 1000, 4097, 40_000, 1 << 20, 1 << 24)):
        share = -(-terms // threads)
        own = tree_height(plan_levels([share], run, lanes=2), [share])
        each = max(1, threads // size**2)  # values in memory that an invocation takes
        taken = min(each, RUN) - 1 + -(-each // RUN) - 1
        known = size.bit_length() - 1 + (min(threads // size, size) - 1).bit_length()
        assert own + taken + known <= promised_height([max(terms, threads)], run)


@pytest.mark.parametrize("size", SIZES)
def test_sums_keep_their_height(size: int) -> None:
    """The error is what a tree of height 24 + log2(n) may have."""
    x = np.random.default_rng(size).random((1, 20_000), np.float32)
    (found,) = run(reduction(x.shape, 1, "add"), [x], size)
    bound = (25 + np.ceil(np.log2(x.shape[1]))) * 2.0**-24 * x.sum(axis=1, dtype=np.float64)
    assert (np.abs(found - x.sum(axis=1, dtype=np.float64)) <= bound).all()
