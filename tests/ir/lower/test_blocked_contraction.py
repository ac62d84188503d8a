"""Matrix products under any tile, order, block and packing keep the bound of numerics.md."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.codegen_cpu.kernel_runner import Compiled
from tilewright.codegen_cpu.contraction_schedule import vectors_beside
from tilewright.codegen_cpu.schedule import default_schedule
from tilewright.codegen_cpu.target import cpu_target
from tilewright.ir import build
from tilewright.ir.dtypes import F32
from tilewright.ir.expr import Load, Var
from tilewright.ir.kernel import Buffer, For, statements
from tilewright.ir.lower.nest import lower_nest
from tilewright.ir.lower.pack_panels import LEFT, RIGHT, pack_panels
from tilewright.ir.program import Launch, Nest, Program, Stage
from tilewright.ir.schedule import Schedule

X86 = cpu_target("x86-64-v4")


def product(
    rows: int, depth: int, columns: int, turned: tuple[bool, bool] = (False, False)
) -> tuple[Nest, tuple[Buffer, ...]]:
    """``relu(a @ b)``, either operand given transposed."""
    i, j, k = Var("i", rows), Var("j", columns), Var("k", depth)
    a = Buffer("a", (depth, rows) if turned[0] else (rows, depth), F32)
    b = Buffer("b", (columns, depth) if turned[1] else (depth, columns), F32)
    out, total = Buffer("out", (rows, columns), F32), Buffer("total", (), F32)
    left = Load(a, (k, i) if turned[0] else (i, k))
    right = Load(b, (j, k) if turned[1] else (k, j))
    reduce = Stage((), (k,), "add", build.mul(left, right), total, ())
    finish = build.maximum(Load(total, ()), build.const(0.0, F32))
    store = Stage((), (), None, finish, out, (i, j))
    return Nest("product", (i, j), (reduce, store), (total,)), (a, b, out)


def compiled(nest: Nest, buffers: tuple[Buffer, ...], schedule: Schedule) -> Compiled:
    nest, copies = pack_panels(nest, schedule)
    kernels = [lower_nest(c.nest, c.schedule, c.nest.name) for c in copies]
    kernels.append(lower_nest(nest, schedule, "product"))
    *inputs, out = buffers
    temporaries = tuple(c.buffer for c in copies)
    steps = tuple(Launch(k) for k in kernels)
    program = Program("product", (), tuple(inputs), (out,), (), temporaries, steps)
    return Compiled(program)


def check(nest: Nest, buffers: tuple[Buffer, ...], schedule: Schedule) -> None:
    """Run on the host and compare with float64, by the bound that is promised on any data."""
    random = np.random.default_rng(7)
    shapes = [tuple(int(s) for s in b.shape if isinstance(s, int)) for b in buffers]
    a, b = (random.standard_normal(s).astype(np.float32) for s in shapes[:2])
    out = np.full(shapes[2], np.nan, np.float32)
    compiled(nest, buffers, schedule).run([a, b], [out])
    depth = nest.stages[0].reduce_axes[0].extent
    assert isinstance(depth, int)
    left, right = (a.T if transposed(nest, 0) else a), (b.T if transposed(nest, 1) else b)
    exact = np.maximum(left.astype(np.float64) @ right.astype(np.float64), 0.0)
    size = np.abs(left).astype(np.float64) @ np.abs(right).astype(np.float64)
    height = 512 + math.ceil(math.log2(max(1.0, depth / 512))) + 2
    assert (np.abs(out - exact) <= height * 2.0**-24 * size).all()


def transposed(nest: Nest, operand: int) -> bool:
    """Whether an operand is read with the reduced axis in the other place than usual."""
    load = nest.stages[0].value.operands[operand]
    assert isinstance(load, Load)
    return load.indices[operand] is nest.stages[0].reduce_axes[0]


@pytest.mark.parametrize("pack", [(), (LEFT,), (RIGHT,), (LEFT, RIGHT)])
@pytest.mark.parametrize("turned", [(False, False), (True, False), (False, True), (True, True)])
def test_every_choice_of_packing(pack: tuple[int, ...], turned: tuple[bool, bool]) -> None:
    nest, buffers = product(37, 53, 71, turned)
    check(nest, buffers, Schedule((6, 32), 1, 16, order=(1, 0), pack=pack, chunks=2))


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.tuples(*[st.integers(1, 70)] * 3),
    tile=st.tuples(st.integers(1, 9), st.sampled_from([1, 3, 8, 16, 24, 32])),
    width=st.sampled_from([1, 4, 8, 16]),
    order=st.sampled_from([(0, 1), (1, 0)]),
    pack=st.sampled_from([(), (LEFT,), (RIGHT,), (LEFT, RIGHT)]),
    blocks=st.tuples(st.integers(0, 4), st.integers(0, 3)),
    chunks=st.integers(1, 5),
    turned=st.tuples(st.booleans(), st.booleans()),
)
def test_random_schedules(
    sizes: tuple[int, int, int],
    tile: tuple[int, int],
    width: int,
    order: tuple[int, int],
    pack: tuple[int, ...],
    blocks: tuple[int, int],
    chunks: int,
    turned: tuple[bool, bool],
) -> None:
    nest, buffers = product(*sizes, turned)
    cache_block = (blocks[0] * tile[0], blocks[1] * tile[1])
    check(
        nest,
        buffers,
        Schedule(tile, 1, width, 1, order, chunks, pack=pack, cache_block=cache_block),
    )


def test_cache_blocks_stand_outside_of_tiles() -> None:
    nest, _ = product(96, 8, 128)
    schedule = Schedule((8, 32), 1, 16, cache_block=(24, 64))
    kernel = lower_nest(nest, schedule, "product")
    loops = [s for s in statements(kernel.body) if isinstance(s, For) and s.kind == "serial"]
    extents = [(s.var.name, s.extent) for s in loops[:4]]
    assert extents == [("i_b", 4), ("j_b", 2), ("i_t", 3), ("j_t", 2)]


def test_long_reductions_stay_inside_the_bound() -> None:
    nest, buffers = product(3, 3000, 40)
    check(nest, buffers, Schedule((3, 32), 1, 16, pack=(LEFT, RIGHT)))


def test_a_packed_operand_is_read_from_its_copy_alone() -> None:
    nest, _ = product(64, 64, 64)
    packed, copies = pack_panels(nest, Schedule((8, 32), 1, 16, pack=(RIGHT,)))
    assert [c.buffer.shape for c in copies] == [(2, 64, 32)]
    assert [c.schedule.tile for c in copies] == [(32, 1)]  # a line of a panel at a time
    assert [c.schedule.width for c in copies] == [16]
    read = {str(o.source) for o in packed.stages[0].value.operands if isinstance(o, Load)}
    assert read == {"a", "product_p0"}


def test_rows_that_lie_along_the_reduced_axis_are_spread_over_the_cache() -> None:
    nest, _ = product(64, 1024, 64)
    _, copies = pack_panels(nest, Schedule((8, 32), 1, 16, pack=(LEFT,)))
    (copy,) = copies
    assert copy.buffer.shape == (64, 1024 + 16)
    assert copy.schedule.tile == (1, 4 * 16)  # four vectors at a time
    (short,) = pack_panels(product(64, 50, 64)[0], Schedule((8, 32), 1, 16, pack=(LEFT,)))[1]
    assert short.schedule.tile == (1, 50)


def test_sliding_windows_are_not_copied() -> None:
    i, j, k = Var("i", 30), Var("j", 32), Var("k", 9)
    x, w = Buffer("x", (40,), F32), Buffer("w", (9, 32), F32)
    total = Buffer("total", (), F32)
    value = build.mul(Load(x, (build.add(i, k),)), Load(w, (k, j)))
    nest = Nest("slide", (i, j), (Stage((), (k,), "add", value, total, ()),), (total,))
    _, copies = pack_panels(nest, Schedule((6, 32), 1, 16, pack=(LEFT, RIGHT)))
    assert [c.buffer.shape for c in copies] == [(1, 9, 32)]


@pytest.mark.parametrize(
    ("rows", "available", "vectors"),
    [(1024, 64, 2), (1024, 1, 1), (7, 32, 4), (4, 32, 4), (4, 6, 6), (1, 16, 16)],
)
def test_few_rows_get_wide_tiles(rows: int, available: int, vectors: int) -> None:
    assert vectors_beside(rows, available, X86) == vectors


def test_a_large_product_packs_its_right_operand_and_walks_columns_first() -> None:
    schedule = default_schedule(product(1024, 1024, 1024)[0], X86)
    assert (schedule.pack, schedule.order, schedule.vector) == ((RIGHT,), (1, 0), 1)


def test_a_small_product_is_read_where_it_lies_by_one_thread() -> None:
    schedule = default_schedule(product(32, 32, 32)[0], X86)
    assert (schedule.pack, schedule.order, schedule.chunks) == ((), (0, 1), 1)
