"""Every form of a nest, under several schedules, computes the same: compared with NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from tests.codegen_wgsl.nests import (
    Array,
    axes,
    convolution,
    distances,
    linear_relu,
    normalise,
    program,
    reduction,
    run,
    scan,
    softmax,
)
from tilewright.codegen_wgsl.device import Device
from tilewright.ir import build as b
from tilewright.ir import dtypes, ops
from tilewright.ir.dtypes import F32
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Apply, Load, Var
from tilewright.ir.kernel import Barrier, Buffer, For, If, Kernel, Stmt, Store, children, statements
from tilewright.ir.lower.contraction import match_contraction
from tilewright.ir.lower.workgroup.grid import split_index
from tilewright.ir.lower.workgroup.lower import lower_to_workgroups
from tilewright.ir.program import Nest, Program, Stage
from tilewright.ir.schedule import INNER, Schedule

ROWS = Schedule(vector=INNER, workgroup=(64,))
U = 2.0**-24


def only_nest(made: Program) -> Nest:
    (step,) = made.steps
    assert isinstance(step, Nest)
    return step


def exact_softmax(x: Array) -> Array:
    e = np.exp(x.astype(np.float64) - x.max(axis=1, keepdims=True))
    result: Array = e / e.sum(axis=1, keepdims=True)
    return result


@pytest.mark.wgsl
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (70, 64), (5, 1000), (300, 7)])
@pytest.mark.parametrize("schedule", [ROWS, Schedule(), Schedule(workgroup=(128,))], ids=str)
def test_softmax(
    device: Device, rng: np.random.Generator, shape: tuple[int, int], schedule: Schedule
) -> None:
    x = rng.standard_normal(shape, np.float32)
    (got,) = run(device, softmax(*shape), [x], schedule)
    np.testing.assert_allclose(got, exact_softmax(x), rtol=2e-6, atol=1e-9)


@pytest.mark.wgsl
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("schedule", [ROWS, Schedule()], ids=["rows", "grid"])
@pytest.mark.parametrize("shape", [(1, 1), (130, 65), (3, 5000), (5000, 3), (4, 0), (0, 4)])
def test_sum(
    device: Device,
    rng: np.random.Generator,
    shape: tuple[int, int],
    schedule: Schedule,
    axis: int,
) -> None:
    """Within the error that a tree of height 24 + log2(n) may have."""
    x = rng.random(shape, np.float32)
    (got,) = run(device, reduction(shape, axis, "add"), [x], schedule)
    want = x.sum(axis=axis, dtype=np.float64)
    assert got.shape == want.shape
    bound = (25 + np.log2(max(shape[axis], 1))) * U * np.abs(want)
    assert (np.abs(got - want) <= bound).all()


@pytest.mark.wgsl
@pytest.mark.parametrize("schedule", [ROWS, Schedule()], ids=["rows", "grid"])
def test_extremes_keep_nan(device: Device, rng: np.random.Generator, schedule: Schedule) -> None:
    x = rng.standard_normal((9, 333), np.float32)
    x[2, 300] = np.nan
    x[3] = -np.inf
    for combiner, function in (("max", np.max), ("min", np.min)):
        (got,) = run(device, reduction(x.shape, 1, combiner), [x], schedule)
        np.testing.assert_array_equal(got, function(x, axis=1))


@pytest.mark.wgsl
@pytest.mark.parametrize("schedule", [ROWS, Schedule()], ids=["rows", "grid"])
@pytest.mark.parametrize("shape", [(1, 1), (2, 63), (3, 1000), (100, 9)])
def test_scan(
    device: Device, rng: np.random.Generator, shape: tuple[int, int], schedule: Schedule
) -> None:
    x = rng.integers(-100, 100, shape, np.int32)
    (got,) = run(device, scan(*shape, dtypes.I32), [x], schedule)
    np.testing.assert_array_equal(got, np.cumsum(x, axis=1))


STAGED = [
    Schedule(tile=(4, 4), workgroup=(8, 8), stage_tile=8),
    Schedule(tile=(4, 4), workgroup=(16, 4), stage_tile=16),
    Schedule(tile=(8, 4), workgroup=(4, 8), stage_tile=5),
]
SPLIT = [
    Schedule(tile=(4, 4), workgroup=(8, 8), stage_tile=8, split_reduce=2),
    Schedule(tile=(3, 2), split_reduce=4),
    Schedule(tile=(2, 4), vector=1, width=4, split_reduce=2),
    Schedule(vector=INNER, workgroup=(64,), split_reduce=2),
]
PLAIN = [
    Schedule(),
    Schedule(tile=(3, 2)),
    Schedule(tile=(64, 4)),
    Schedule(tile=(2, 4), vector=1, width=4),
    ROWS,
]


@pytest.mark.wgsl
@pytest.mark.parametrize("schedule", [*STAGED, *PLAIN], ids=str)
@pytest.mark.parametrize("shape", [(64, 64, 64), (37, 52, 29), (9, 8, 5), (33, 20, 1300)])
def test_linear_relu(
    device: Device, rng: np.random.Generator, shape: tuple[int, int, int], schedule: Schedule
) -> None:
    """Elementwise within the bound of runs of 512 products."""
    rows, columns, depth = shape
    x, w = rng.standard_normal((rows, depth), np.float32), rng.random((depth, columns), np.float32)
    bias = rng.standard_normal(columns, np.float32)
    (got,) = run(device, linear_relu(rows, columns, depth), [x, w, bias], schedule)
    exact = x.astype(np.float64) @ w + bias
    bound = (min(depth, 512) + 6) * U * (np.abs(x) @ np.abs(w) + np.abs(bias))
    assert (np.abs(got - np.maximum(exact, 0)) <= bound).all()


@pytest.mark.wgsl
@pytest.mark.parametrize("schedule", SPLIT, ids=str)
def test_sums_in_parts(device: Device, rng: np.random.Generator, schedule: Schedule) -> None:
    """The same in every run: the parts are added up in a fixed order."""
    x, w = rng.standard_normal((37, 1200), np.float32), rng.random((1200, 52), np.float32)
    bias = rng.standard_normal(52, np.float32)
    (got,) = run(device, linear_relu(37, 52, 1200), [x, w, bias], schedule)
    exact = x.astype(np.float64) @ w + bias
    bound = (512 + 6) * U * (np.abs(x) @ np.abs(w) + np.abs(bias))
    assert (np.abs(got - np.maximum(exact, 0)) <= bound).all()
    (again,) = run(device, linear_relu(37, 52, 1200), [x, w, bias], schedule)
    assert got.tobytes() == again.tobytes()


@pytest.mark.wgsl
@pytest.mark.parametrize("schedule", [STAGED[0], STAGED[1], Schedule()], ids=str)
@pytest.mark.parametrize(("size", "channels", "filters"), [(12, 4, 8), (9, 5, 11), (20, 3, 16)])
def test_convolution(
    device: Device,
    rng: np.random.Generator,
    size: int,
    channels: int,
    filters: int,
    schedule: Schedule,
) -> None:
    """A convolution is a contraction whose rows are two axes and whose depth is three."""
    x = rng.standard_normal((size, size, channels), np.float32)
    w = rng.standard_normal((3, 3, channels, filters), np.float32)
    (got,) = run(device, convolution(size, channels, filters), [x, w], schedule)
    windows = np.lib.stride_tricks.sliding_window_view(x.astype(np.float64), (3, 3), (0, 1))
    np.testing.assert_allclose(got, np.einsum("ijcpq,pqcf->ijf", windows, w), atol=1e-4)


@pytest.mark.wgsl
@pytest.mark.parametrize("schedule", [None, STAGED[0], Schedule()], ids=str)
@pytest.mark.parametrize("shape", [(40, 24, 16), (33, 65, 8)])
def test_distances(
    device: Device,
    rng: np.random.Generator,
    shape: tuple[int, int, int],
    schedule: Schedule | None,
) -> None:
    rows, columns, depth = shape
    x, y = (rng.standard_normal((n, depth), np.float32) for n in (rows, columns))
    (got,) = run(device, distances(*shape), [x, y], schedule)
    want = ((x[:, None].astype(np.float64) - y) ** 2).sum(axis=-1)
    np.testing.assert_allclose(got, want, rtol=1e-5)


def test_a_slice_must_divide_what_does_not_vanish() -> None:
    with pytest.raises(IRError, match="slices of 8 do not divide the sums of nest distances"):
        lower_to_workgroups(only_nest(distances(16, 16, 20)), STAGED[0], "k")


@pytest.mark.wgsl
@pytest.mark.parametrize("shape", [(6, 8), (5, 7), (64, 96)])
def test_packed_pixels(device: Device, rng: np.random.Generator, shape: tuple[int, int]) -> None:
    x = rng.integers(0, 256, (*shape, 3), np.uint8)
    (got,) = run(device, normalise(*shape), [x])
    np.testing.assert_array_equal(
        got, (x.astype(np.float32) * np.float32(1 / 255)).transpose(2, 0, 1)
    )


@pytest.mark.wgsl
@pytest.mark.parametrize("sizes", [(7, 5), (64, 8)])
@pytest.mark.parametrize("tile", [(1, 1), (2, 4), (4, 4)])
def test_transposed_and_broadcast(
    device: Device, rng: np.random.Generator, sizes: tuple[int, int], tile: tuple[int, int]
) -> None:
    """Tiles that do not fill the axes compute and store nothing too much."""
    x, y = Buffer("x", sizes[::-1], F32), Buffer("y", (sizes[1],), F32)
    out = Buffer("out", sizes, F32)
    i, j = axes(i=sizes[0], j=sizes[1])
    value = b.add(Load(x, (j, i)), Load(y, (j,)))
    nest = Nest("turn", (i, j), (Stage((), (), None, value, out, (i, j)),), ())
    given = [rng.random(s.shape, np.float32) for s in (x, y)]  # type: ignore[arg-type]
    (got,) = run(device, program([x, y], [out], [nest]), given, Schedule(tile=tile))
    np.testing.assert_array_equal(got, given[0].T + given[1])


# The shape of kernels; no device.


def barriers_outside_branches(body: tuple[Stmt, ...], in_branch: bool = False) -> bool:
    """Whether every invocation of a workgroup meets every barrier."""
    for stmt in body:
        if isinstance(stmt, Barrier) and in_branch:
            return False
        if not barriers_outside_branches(children(stmt), in_branch or isinstance(stmt, If)):
            return False
    return True


@pytest.mark.parametrize("shape", [(4, 100), (300, 33)])
def test_barriers_are_uniform(shape: tuple[int, int]) -> None:
    rows = lower_to_workgroups(only_nest(softmax(*shape)), ROWS, "k")
    staged = lower_to_workgroups(only_nest(linear_relu(37, 52, 29)), STAGED[0], "k")
    for kernel in (rows, staged):
        assert barriers_outside_branches(kernel.body)
        assert any(isinstance(s, Barrier) for s in flat(kernel))


def flat(kernel: Kernel) -> list[Stmt]:
    return list(statements(kernel.body))


def power_iteration(rounds: int, size: int) -> Program:
    """Some products of one matrix and a vector, each divided by its length, in one nest."""
    matrix, start = Buffer("matrix", (size, size), F32), Buffer("start", (size,), F32)
    out, length = Buffer("out", (size,), F32), Buffer("length", (), F32)
    stages: list[Stage] = []
    rows: list[Buffer] = []
    sums = [Buffer(f"sum{r}", (), F32, "scratch") for r in range(rounds)]
    for r in range(rounds):
        (k, i, j) = axes(k=size, i=size, j=size)
        before = rows[-1] if rows else start
        row = out if r == rounds - 1 else Buffer(f"row{r}", (size,), F32, "scratch")
        square = b.mul(Load(before, (k,)), Load(before, (k,)))
        stages.append(Stage((), (k,), "add", square, sums[r], ()))
        product = b.mul(Load(matrix, (i, j)), Load(before, (j,)))
        made = Buffer(f"product{r}", (size,), F32, "scratch")
        stages.append(Stage((i,), (j,), "add", product, made, (i,)))
        scaled = Apply(ops.DIV, (Load(made, (k,)), Load(sums[r], ())))
        stages.append(Stage((k,), (), None, scaled, row, (k,)))
        rows += [made, row]
    stages.append(Stage((), (axes(k=size)[0],), "add", b.const(1.0, F32), length, ()))
    local = tuple(dict.fromkeys(x for x in (*sums, *rows) if x is not out))
    return program([matrix, start], [out, length], [Nest("power", (), tuple(stages), local)])


@pytest.mark.wgsl
@pytest.mark.parametrize("size", [1, 3, 16, 17, 40])
def test_short_and_long_reductions_in_one_launch(
    device: Device, rng: np.random.Generator, size: int
) -> None:
    made = power_iteration(3, size)
    matrix, start = rng.random((size, size), np.float32), rng.random(size, np.float32)
    got, length = run(device, made, [matrix, start], ROWS)
    want = start.astype(np.float64)
    for _ in range(3):
        want = matrix @ want / (want * want).sum()
    np.testing.assert_allclose(got, want, rtol=1e-4)
    assert length == size


def test_short_reductions_need_no_tree() -> None:
    """Invocations wait for rows that others make, and for nothing else."""
    kernel = lower_to_workgroups(only_nest(power_iteration(5, 3)), ROWS, "power")
    barriers = [s for s in statements(kernel.body) if isinstance(s, Barrier)]
    assert len(barriers) == 2 * 5 - 1


def test_grid_counts_every_tile_once() -> None:
    kernel = lower_to_workgroups(only_nest(linear_relu(10, 6, 3)), Schedule(tile=(4, 2)), "k")
    (group,) = kernel.body
    assert isinstance(group, For)
    (local,) = group.body
    assert isinstance(local, For)
    assert (group.kind, group.extent) == ("group", 1)
    assert (local.kind, local.extent) == ("local", 64)
    assert any(isinstance(s, Store) and s.buffer.space == "global" for s in flat(kernel))


def test_split_index_is_row_major() -> None:
    position = Var("p", 24)
    assert len(split_index(position, [2, 3, 4])) == 3
    for number, wanted in enumerate(np.ndindex(2, 3, 4)):
        made = split_index(b.index(number), [2, 3, 4])
        assert tuple(map(b.known, made)) == wanted
    assert split_index(position, []) == []


def test_contractions_are_recognised() -> None:
    found = match_contraction(only_nest(convolution(9, 4, 8)))
    assert found is not None
    assert [a.name for a in found.rows] == ["i", "j"]
    assert [a.name for a in found.columns] == ["f"]
    assert match_contraction(only_nest(reduction((8, 8), 1, "add"))) is None
    assert match_contraction(only_nest(softmax(8, 8))) is None


def test_a_schedule_that_does_not_fit_is_refused() -> None:
    with pytest.raises(IRError, match="no contraction that this schedule fits"):
        lower_to_workgroups(only_nest(softmax(8, 8)), STAGED[0], "k")
    with pytest.raises(IRError, match="power of two"):
        lower_to_workgroups(only_nest(softmax(8, 8)), Schedule(vector=INNER, workgroup=(48,)), "k")


def _rows_twice(length: int) -> Program:
    """Rows that are doubled, and then read backwards: by other invocations than wrote them."""
    x, doubled, out = (Buffer(n, (3, length), F32) for n in ("x", "doubled", "out"))
    row, first, second = Var("row", 3), Var("i", length), Var("j", length)
    twice = b.mul(Load(x, (row, first)), b.const(2.0, F32))
    backwards = b.sub(b.index(length - 1), second)
    stages = (
        Stage((first,), (), None, twice, doubled, (row, first)),
        Stage((second,), (), None, Load(doubled, (row, backwards)), out, (row, second)),
    )
    return Program("twice", (), (x,), (out, doubled), (), (), (Nest("n", (row,), stages, ()),))


def test_rows_in_global_memory_are_read_behind_a_barrier() -> None:
    kernel = lower_to_workgroups(only_nest(_rows_twice(100)), ROWS, "k")
    assert sum(isinstance(s, Barrier) for s in statements(kernel.body)) == 1


@pytest.mark.wgsl
def test_invocations_see_the_rows_that_others_wrote(device: Device) -> None:
    x = np.arange(3 * 5000, dtype=np.float32).reshape(3, 5000)
    got, doubled = run(device, _rows_twice(5000), [x], ROWS)
    np.testing.assert_array_equal(doubled, 2 * x)
    np.testing.assert_array_equal(got, 2 * x[:, ::-1])
