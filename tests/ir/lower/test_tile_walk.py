"""Tiles cover a nest: every point is computed, none twice, in any schedule and at any size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from msgspec.structs import replace

from tilewright.ir import build, ops
from tilewright.ir.dtypes import F32, INDEX
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Apply, Expr, Load, Size, Var, post_order
from tilewright.ir.interpret.kernel import Frame, Machine, interpret_kernel
from tilewright.ir.kernel import Buffer, For, Kernel, Stmt, Store, expressions, statements
from tilewright.ir.lower.nest import lower_nest
from tilewright.ir.program import Nest, Stage
from tilewright.ir.schedule import Schedule


def shifted_rows(rows: Size, columns: Size, edge: int = 0) -> tuple[Nest, Buffer, Buffer]:
    """``out[i, j] = a[i, max(j - edge, 0)] + 1``, whose first columns differ from the others."""
    i, j = Var("i", rows), Var("j", columns)
    source, out = (Buffer(n, (rows, columns), F32) for n in ("a", "out"))
    place: Expr = j
    if edge:
        place = Apply(ops.MAX, (build.sub(j, build.index(edge)), build.index(0)))
    value = build.add(Load(source, (i, place)), build.const(1.0, F32))
    return Nest("shift", (i, j), (Stage((), (), None, value, out, (i, j)),), ()), source, out


class Counting(Machine):
    """Remembers how often each element was stored."""

    def __init__(self, kernel: Kernel) -> None:
        super().__init__(kernel)
        self.stores: Counter[tuple[int, ...]] = Counter()

    def _run_one(self, stmt: Stmt, frame: Frame) -> None:
        if isinstance(stmt, Store) and stmt.buffer.name == "out":
            *indices, _ = self._values(stmt, frame)
            self.stores[tuple(map(int, indices))] += 1
        super()._run_one(stmt, frame)


def stores(
    kernel: Kernel, source: Buffer, out: Buffer, array: np.ndarray
) -> Counter[tuple[int, ...]]:
    machine = Counting(kernel)
    sizes = [s for s in out.shape if isinstance(s, Var)]
    variables = dict(zip(sizes, array.shape, strict=False))
    frame = Frame(variables, {source: array, out: np.empty_like(array)})
    machine.fresh(frame, ("register", "scratch"))
    machine.run(kernel.body, frame)
    return machine.stores


SCHEDULES = (
    Schedule(tile=(1, 1)),
    Schedule(tile=(2, 4), order=(1, 0)),
    Schedule(tile=(3, 4), vector=1, width=4),
    Schedule(tile=(2, 8), vector=1, width=4, chunks=3),
    Schedule(tile=(1, 4), vector=1, width=4, chunks=64),
    Schedule(tile=(2, 4), vector=0, width=2, chunks=2),
    Schedule(tile=(2, 4), vector=1, width=4, cache_block=(4, 8)),
    Schedule(tile=(2, 4), vector=1, width=4, cache_block=(2, 0), chunks=2),
    Schedule(tile=(1, 1), cache_block=(3, 2), order=(1, 0)),
)


@pytest.mark.parametrize("edge", [0, 2])
@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
@pytest.mark.parametrize("shape", [(7, 19), (8, 16), (1, 3), (5, 40)])
def test_every_point_is_computed(schedule: Schedule, shape: tuple[int, int], edge: int) -> None:
    nest, source, out = shifted_rows(*shape, edge)
    kernel = lower_nest(nest, schedule, "shift")
    array = np.arange(shape[0] * shape[1], dtype=np.float32).reshape(shape)
    found = np.full_like(array, np.nan)
    interpret_kernel(kernel, {source: array, out: found})
    wanted = array[:, np.maximum(np.arange(shape[1]) - edge, 0)] + 1
    np.testing.assert_array_equal(found, wanted)
    counted = stores(kernel, source, out, array)
    repeated = counted.total() - shape[0] * shape[1]
    # The last vectors of a row may overlap the ones before them, but never a whole vector.
    assert 0 <= repeated < shape[0] * max(schedule.width, 2)
    assert repeated == 0 or schedule.width > 1


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
@pytest.mark.parametrize("shape", [(7, 19), (8, 16), (1, 3), (0, 4), (3, 0)])
def test_every_point_of_open_sizes_is_computed_once(
    schedule: Schedule, shape: tuple[int, int]
) -> None:
    rows, columns = Var("N", None, INDEX), Var("M", None, INDEX)
    nest, source, out = shifted_rows(rows, columns)
    kernel = lower_nest(nest, schedule, "shift")
    array = np.arange(shape[0] * shape[1], dtype=np.float32).reshape(shape)
    counted = stores(kernel, source, out, array)
    assert counted == Counter(np.ndindex(shape))


def loops(kernel: Kernel, kind: str) -> list[For]:
    return [s for s in statements(kernel.body) if isinstance(s, For) and s.kind == kind]


@pytest.mark.parametrize(
    ("chunks", "tasks", "each"),
    [(1, 0, 0), (2, 2, 5), (3, 3, 4), (4, 4, 3), (6, 5, 2), (64, 10, 1)],
)
def test_tasks_share_the_tiles_evenly(chunks: int, tasks: int, each: int) -> None:
    nest, source, out = shifted_rows(20, 8)
    kernel = lower_nest(nest, Schedule(tile=(2, 8), chunks=chunks), "shift")
    found = loops(kernel, "parallel")
    assert [loop.extent for loop in found] == ([tasks] if tasks else [])
    if tasks:
        array = np.zeros((20, 8), np.float32)
        assert set(stores(kernel, source, out, array).values()) == {1}
        (inner,) = found[0].body
        assert isinstance(inner, For)
        assert inner.extent == each or 10 % each


def test_a_single_tile_needs_no_loop() -> None:
    nest, _, _ = shifted_rows(2, 8)
    kernel = lower_nest(nest, Schedule(tile=(2, 8), chunks=4), "shift")
    assert not loops(kernel, "parallel")
    assert not [s for s in loops(kernel, "serial") if s.extent != 1]


@pytest.mark.parametrize("tile", [(0, 4), (4,), (1, 1, 1)])
def test_tiles_that_do_not_fit(tile: tuple[int, ...]) -> None:
    nest, _, _ = shifted_rows(3, 8)
    with pytest.raises(IRError, match="does not fit 2 outer axes"):
        lower_nest(nest, Schedule(tile=tile), "shift")


def test_a_cache_block_holds_whole_tiles() -> None:
    nest, _, _ = shifted_rows(8, 8)
    with pytest.raises(IRError, match="a cache block of 3 is cut by tiles of 2"):
        lower_nest(nest, Schedule(tile=(2, 4), cache_block=(3, 0)), "shift")


def test_blocks_are_walked_one_after_the_other() -> None:
    nest, source, out = shifted_rows(8, 8)
    kernel = lower_nest(nest, Schedule(tile=(1, 1), cache_block=(4, 4)), "shift")
    order = list(stores(kernel, source, out, np.zeros((8, 8), np.float32)))
    blocks = [(i // 4, j // 4) for i, j in order]
    assert list(dict.fromkeys(blocks)) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert sum(a != b for a, b in pairwise(blocks)) == 3


def counters(kernel: Kernel) -> list[str]:
    """The loops, outermost first: what they go over, and how often."""
    found = []
    for loop in (s for s in statements(kernel.body) if isinstance(s, For)):
        if loop.kind in ("serial", "parallel"):
            found.append(f"{loop.kind[0]} {loop.var.name}<{loop.extent}")
    return found


def clamped_rows(rows: int, columns: int, axis: int) -> Nest:
    """``out[i, j] = a[i - 2, j]`` or ``a[i, j - 2]``, from the edge where that is before it."""
    i, j = Var("i", rows), Var("j", columns)
    source, out = (Buffer(n, (rows, columns), F32) for n in ("a", "out"))
    places: list[Expr] = [i, j]
    moved = build.sub(places[axis], build.index(2))
    places[axis] = Apply(ops.MAX, (moved, build.index(0)))
    stage = Stage((), (), None, Load(source, tuple(places)), out, (i, j))
    return Nest("shift", (i, j), (stage,), ())


@pytest.mark.parametrize(
    ("rows", "tile", "wanted"),
    [
        (34, 2, ["s i_t<2", "s j_t<4", "s i_t<16", "s j_t<4"]),
        (32, 2, ["s i_t<2", "s j_t<4", "s i_t<15", "s j_t<4"]),
        # A border of more than a sixteenth is not apart, and nowhere one of single rows.
        (31, 2, ["s i_t<15", "s j_t<4", "s j_t<4"]),
        (34, 1, ["s i_t<34", "s j_t<4"]),
    ],
)
def test_narrow_borders_of_rows_are_apart(rows: int, tile: int, wanted: list[str]) -> None:
    schedule = Schedule(tile=(tile, 4), vector=1, width=4)
    assert counters(lower_nest(clamped_rows(rows, 16, 0), schedule, "k")) == wanted


def test_borders_along_vectors_are_always_apart() -> None:
    nest = clamped_rows(3, 10, 1)
    schedule = Schedule(tile=(1, 4), vector=1, width=4, chunks=3)
    assert counters(lower_nest(nest, schedule, "k")) == [
        *("p i_c<3", "s i_t<1", "s j_t<2", "s j_t<2")
    ]
    # Where they are, the axis has no cache blocks.
    blocked = Schedule(tile=(1, 4), vector=1, width=4, cache_block=(3, 8))
    assert counters(lower_nest(nest, blocked, "k")) == [
        *("s i_b<1", "s i_t<3", "s j_t<2", "s j_t<2")
    ]


def clamped_windows(rows: int, columns: int) -> Nest:
    """The smallest of each 3x3 neighbourhood, edges repeated."""
    i, j, r, s = Var("i", rows), Var("j", columns), Var("r", 3), Var("s", 3)

    def clamped(place: Expr, last: int) -> Expr:
        below = build.minimum(build.sub(place, build.index(1)), build.index(last))
        return build.maximum(below, build.index(0))

    source, out = (Buffer(n, (rows, columns), F32) for n in ("a", "out"))
    row, column = clamped(build.add(i, r), rows - 1), clamped(build.add(j, s), columns - 1)
    stage = Stage((), (r, s), "min", Load(source, (row, column)), out, (i, j))
    return Nest("erode", (i, j), (stage,), ())


def test_windows_at_the_ends_of_rows_are_expanded() -> None:
    """Each row has them. Those of the first and the last row have little code: loops."""
    schedule = Schedule(tile=(2, 4), vector=1, width=4, unroll_reduce=32, share_windows=True)
    kernel = lower_nest(clamped_windows(64, 16), schedule, "k")
    rows = next(s for s in kernel.body if isinstance(s, For) and s.var.name == "i_t")
    around = [s for s in kernel.body if s is not rows]
    assert _reduced_in_order((rows,)) == set()
    assert _reduced_in_order(around) == {"r", "s"}


def test_tests_of_positions_are_not_in_a_reduction_of_single_rows() -> None:
    """They would be made at each of its points."""
    schedule = Schedule(tile=(1, 4), vector=1, width=4)
    kernel = lower_nest(clamped_windows(64, 16), schedule, "k")
    rows = next(s for s in kernel.body if isinstance(s, For) and s.var.name == "i_t")
    assert rows.extent == 61
    inside = post_order(e for s in statements(rows.body) for e in expressions(s))
    tests = [n for n in inside if isinstance(n, Apply) and n.op in (ops.MIN, ops.MAX)]
    assert not any(rows.var in post_order((test,)) for test in tests if test.dtype is INDEX)


def test_where_much_is_computed_tests_of_positions_stay() -> None:
    """Borders of their own would be much code."""
    (stage,) = clamped_windows(64, 16).stages
    value = stage.value
    for _ in range(3):
        value = Apply(ops.EXP, (value,))
    nest = replace(clamped_windows(64, 16), stages=(replace(stage, value=value),))
    nest = replace(nest, outer=tuple(a for a in stage.indices if isinstance(a, Var)))
    kernel = lower_nest(nest, Schedule(tile=(1, 4), vector=1, width=4), "k")
    assert [name for name in counters(kernel) if name.startswith("s i_t")] == ["s i_t<64"]


def _reduced_in_order(body: Sequence[Stmt]) -> set[str]:
    """The axes of windows over which there are loops that stay loops."""
    loops = [s for s in statements(body) if isinstance(s, For) and s.kind == "serial"]
    return {loop.var.name for loop in loops} & {"r", "s"}


@pytest.mark.parametrize("chunks", [1, 2])
def test_only_the_first_loop_inside_of_blocks_is_cut_into_tasks(chunks: int) -> None:
    nest, _, _ = shifted_rows(8, 8)
    schedule = Schedule(tile=(2, 4), cache_block=(4, 8), chunks=chunks)
    kind = "p" if chunks > 1 else "s"
    wanted = ["s i_b<2", "s j_b<1", f"{kind} i_t<2", "s j_t<2"]
    assert counters(lower_nest(nest, schedule, "k")) == wanted


def test_borders_are_no_tasks() -> None:
    nest = clamped_rows(64, 16, 0)
    schedule = Schedule(tile=(2, 4), vector=1, width=4, chunks=4)
    wanted = ["s i_t<2", "s j_t<4", "p i_c<4", "s i_t<", "s j_t<4"]
    found = counters(lower_nest(nest, schedule, "k"))
    assert [name[: len(w)] for name, w in zip(found, wanted, strict=True)] == wanted


@pytest.mark.parametrize("columns", [5, 7, 8, 11, 15])
def test_what_is_changed_in_place_is_computed_once(columns: int) -> None:
    """Vectors at the end of a row may not overlap where a sum is added to what is stored."""
    i = Var("i", columns)
    out = Buffer("out", (columns,), F32)
    value = build.add(Load(out, (i,)), build.const(1.0, F32))
    nest = Nest("n", (i,), (Stage((), (), None, value, out, (i,)),), ())
    kernel = lower_nest(nest, Schedule(tile=(4,), vector=0, width=4), "k")
    array = np.arange(columns, dtype=np.float32)
    found = array.copy()
    interpret_kernel(kernel, {out: found})
    np.testing.assert_array_equal(found, array + 1)


def joined(count: int) -> Nest:
    """So many arrays of eight columns side by side, each chosen by the number of the column."""
    i, j = Var("i", 3), Var("j", 8 * count)
    pieces = [
        Load(Buffer(f"a{k}", (3, 8), F32), (i, build.sub(j, build.index(8 * k))))
        for k in range(count)
    ]
    value: Expr = pieces[-1]
    for k in reversed(range(count - 1)):
        value = build.select(build.lt(j, build.index(8 * (k + 1))), pieces[k], value)
    stage = Stage((), (), None, value, Buffer("out", (3, 8 * count), F32), (i, j))
    return Nest("joined", (i, j), (stage,), ())


@pytest.mark.parametrize(("count", "pieces"), [(2, 2), (12, 10), (18, 15), (20, 16), (40, 16)])
def test_few_parts_of_an_axis_have_loops_of_their_own(count: int, pieces: int) -> None:
    kernel = lower_nest(joined(count), Schedule(tile=(1, 8), vector=1, width=8), "k")
    loops = [s for s in statements(kernel.body) if isinstance(s, For) and s.kind == "vector"]
    assert len(loops) == pieces
