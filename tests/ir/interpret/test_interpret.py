"""Graphs and nests, interpreted: what NumPy does, for every combiner, in pieces of any size."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest

from tilewright.ir import build
from tilewright.ir.dtypes import BOOL, F16, F32, I8, I32, I64, U8, DType
from tilewright.ir.errors import BoundsError, IRError
from tilewright.ir.expr import Expr, Load, Size, Var
from tilewright.ir.graph import (
    COMBINERS,
    Check,
    Compute,
    Constant,
    Graph,
    Input,
    Reduction,
    Scan,
    Scatter,
    Tensor,
)
from tilewright.ir.interpret import graph as graphs
from tilewright.ir.interpret import nest as nests
from tilewright.ir.interpret.graph import run_graph
from tilewright.ir.interpret.program import interpret_program
from tilewright.ir.kernel import Buffer
from tilewright.ir.program import Nest, Ordered, Program, Stage, Step

NUMPY = {
    **{"add": np.add, "mul": np.multiply, "min": np.minimum, "max": np.maximum},
    **{"fmin": np.fmin, "fmax": np.fmax, "and": np.bitwise_and, "or": np.bitwise_or},
    "xor": np.bitwise_xor,
}
DTYPES = (BOOL, I8, U8, I32, F16, F32)


def data(shape: tuple[int, ...], dtype: DType) -> np.ndarray:
    rng = np.random.default_rng(3)
    if dtype is BOOL:
        return rng.integers(0, 2, shape).astype(bool)
    found = rng.integers(0 if dtype.kind == "u" else -3, 4, shape).astype(dtype.numpy)
    if dtype.is_float and found.size > 2:
        found.reshape(-1)[found.size // 2] = np.nan
    return found


def pairs() -> list[tuple[str, DType]]:
    return [
        (name, dtype)
        for name, combiner in COMBINERS.items()
        for dtype in DTYPES
        if combiner.op is not None and dtype.kind in combiner.op.domain
    ]


def axes_of(shape: Sequence[Size]) -> tuple[Var, ...]:
    return tuple(Var(f"i{k}", size) for k, size in enumerate(shape))


def run_nest(
    nest: Step, source: Buffer, target: Buffer, array: np.ndarray, **symbols: int
) -> np.ndarray:
    names = {v.name: v for v in (N,)}
    program = Program("p", (N,) if symbols else (), (source,), (target,), (), (), (nest,))
    given = {names[k]: v for k, v in symbols.items()}
    return interpret_program(program, [array], given)[0]


N = Var("N", least=0)


def reduction_nest(
    shape: tuple[int, ...], over: tuple[int, ...], name: str, dtype: DType
) -> tuple[Nest, Buffer, Buffer]:
    axes = axes_of(shape)
    outer = tuple(a for k, a in enumerate(axes) if k not in over)
    source = Buffer("x", shape, dtype)
    target = Buffer("y", tuple(a.extent for a in outer if a.extent is not None), dtype)
    stage = Stage((), tuple(axes[k] for k in over), name, Load(source, axes), target, outer)
    return Nest("n", outer, (stage,), ()), source, target


@pytest.mark.parametrize("piece", [1, 5, 1 << 20])
@pytest.mark.parametrize(("name", "dtype"), pairs())
def test_reductions(name: str, dtype: DType, piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs, "PIECE", piece)
    monkeypatch.setattr(nests, "BLOCK_ELEMENTS", piece)
    for shape, over in (
        *(((3, 4), (1,)), ((3, 4), (0,)), ((3, 4), (0, 1)), ((2, 3, 4), (0, 2)), ((3, 1), (1,))),
        *(((0, 4), (1,)), ((5,), (0,)), ((2, 3, 2), (1,))),
    ):
        array, axes = data(shape, dtype), axes_of(shape)
        x = Input("x", shape, dtype)
        kept = tuple(a for k, a in enumerate(axes) if k not in over)
        made = Reduction("r", kept, [axes[k] for k in over], name, Load(x, axes))
        wanted = array
        for axis in reversed(over):
            wanted = np.asarray(NUMPY[name].reduce(wanted, axis=axis, dtype=dtype.numpy))
        (found,) = run_graph(Graph("g", (x,), (made,)), [array])
        np.testing.assert_array_equal(found, wanted)
        assert found.dtype == dtype.numpy
        found = run_nest(*reduction_nest(shape, over, name, dtype), array)
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(("name", "dtype"), pairs())
def test_a_reduction_of_nothing_is_the_identity(name: str, dtype: DType) -> None:
    op = COMBINERS[name].op
    assert op is not None
    x = Input("x", (2, 0), dtype)
    axes = axes_of((2, 0))
    graph = Graph("g", (x,), (Reduction("r", axes[:1], axes[1:], name, Load(x, axes)),))
    for found in (
        run_graph(graph, [data((2, 0), dtype)])[0],
        run_nest(*reduction_nest((2, 0), (1,), name, dtype), data((2, 0), dtype)),
    ):
        for value in data((6,), dtype):
            same = op.reference(np.full(2, value), found)
            np.testing.assert_array_equal(same, np.full(2, value))


@pytest.mark.parametrize("name", ["argmin", "argmax"])
def test_positions(name: str) -> None:
    for dtype in (I32, F32):
        array = data((3, 2, 4), dtype)
        x, axes = Input("x", array.shape, dtype), axes_of(array.shape)
        made = Reduction("r", axes[:1], axes[1:], name, Load(x, axes))
        (found,) = run_graph(Graph("g", (x,), (made,)), [array])
        function = np.argmin if name == "argmin" else np.argmax
        np.testing.assert_array_equal(found, function(array.reshape(3, 8), axis=1))
        nest, source, _ = reduction_nest((3, 2, 4), (1, 2), name, dtype)
        target = Buffer("y", (3,), I64)
        (stage,) = nest.stages
        moved = Stage((), stage.reduce_axes, name, stage.value, target, stage.indices)
        found = run_nest(Nest("n", nest.outer, (moved,), ()), source, target, array)
        np.testing.assert_array_equal(found, function(array.reshape(3, 8), axis=1))


@pytest.mark.parametrize(("name", "dtype"), pairs())
def test_running_combinations(name: str, dtype: DType) -> None:
    for axis, shape in itertools.product((0, 1), ((3, 4), (1, 5), (0, 2))):
        array = data(shape, dtype)
        wanted = NUMPY[name].accumulate(array, axis, dtype.numpy)
        x = Input("x", shape, dtype)
        (found,) = run_graph(Graph("g", (x,), (Scan("s", x, axis, name),)), [array])
        np.testing.assert_array_equal(found, wanted)
        source, target, axes = Buffer("x", shape, dtype), Buffer("y", shape, dtype), axes_of(shape)
        stage = Stage((axes[axis],), (), f"scan:{name}", Load(source, axes), target, axes)
        found = run_nest(Nest("n", (axes[1 - axis],), (stage,), ()), source, target, array)
        np.testing.assert_array_equal(found, wanted)


def test_rows_of_different_lengths() -> None:
    """A triangle: as outer axes, as an axis of a stage, and reduced; some rows are empty."""
    array = data((4, 4), I32)
    source, i = Buffer("x", (4, 4), I32), Var("i", 4)
    below = Var("j", i)
    flat, sums = Buffer("y", (4, 4), I32), Buffer("y", (4,), I32)
    element = Load(source, (i, below))
    wanted = np.where(np.tri(4, k=-1, dtype=bool), array, I32.min)
    for nest in (
        Nest("n", (i, below), (Stage((), (), None, element, flat, (i, below)),), ()),
        Nest("n", (i,), (Stage((below,), (), None, element, flat, (i, below)),), ()),
    ):
        np.testing.assert_array_equal(run_nest(nest, source, flat, array), wanted)
    nest = Nest("n", (i,), (Stage((), (below,), "add", element, sums, (i,)),), ())
    np.testing.assert_array_equal(run_nest(nest, source, sums, array), np.tril(array, -1).sum(1))
    nest = Nest("n", (i,), (Stage((), (below,), "min", element, sums, (i,)),), ())
    least = [min(row[:k], default=I32.max) for k, row in enumerate(array.tolist())]
    np.testing.assert_array_equal(run_nest(nest, source, sums, array), least)


@pytest.mark.parametrize("block", [1, 3, 100])
def test_locals_belong_to_their_points(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nests, "BLOCK_ELEMENTS", block)
    array = data((5, 3), I32)
    source, target = Buffer("x", (5, 3), I32), Buffer("y", (5, 3), I32)
    row, most = Buffer("row", (3,), I32, "scratch"), Buffer("most", (), I32, "scratch")
    turned = Buffer("turned", (3, 1), I32, "scratch", base=row)
    i, j, r, k = Var("i", 5), Var("j", 3), Var("r", 3), Var("k", 3)
    stages = (
        Stage((j,), (), None, Load(source, (i, j)), row, (j,)),
        Stage((), (r,), "max", Load(row, (r,)), most, ()),
        Stage(
            (k,),
            (),
            None,
            build.sub(Load(turned, (k, build.index(0))), Load(most, ())),
            target,
            (i, k),
        ),
    )
    found = run_nest(Nest("n", (i,), stages, (row, most)), source, target, array)
    np.testing.assert_array_equal(found, array - array.max(axis=1, keepdims=True))


# Scatters.


def scattered(
    name: str | None, dtype: DType, places: np.ndarray, values: np.ndarray
) -> list[np.ndarray]:
    """Onto four elements, by the interpreters of graphs and of programs."""
    count, i = len(places), Var("i", len(places))
    base, where = Input("b", (4,), dtype), Constant("p", places, I32)
    given = Constant("v", values, dtype)
    index: Expr = build.cast(Load(where, (i,)), build.index(0).dtype)
    made = Scatter("s", base, (i,), (index,), Load(given, (i,)), name)
    start = data((4,), dtype)
    found = run_graph(Graph("g", (base,), (made,)), [start])
    place, value = Buffer("p", (count,), I32), Buffer("v", (count,), dtype)
    target = Buffer("y", (4,), dtype)
    copy = Stage((), (), None, Load(Buffer("x", (4,), dtype), (Var("k", 4),)), target, ())
    source = copy.value.source  # type: ignore[attr-defined]
    axis = copy.value.indices[0]  # type: ignore[attr-defined]
    first = Nest("copy", (axis,), (Stage((), (), None, copy.value, target, (axis,)),), ())
    index = build.cast(Load(place, (i,)), build.index(0).dtype)
    step = Ordered("o", (i,), target, (index,), Load(value, (i,)), name)
    constants = ((place, places), (value, values))
    program = Program("p", (), (source,), (target,), constants, (), (first, step))
    return [*found, *interpret_program(program, [start])]


@pytest.mark.parametrize(("name", "dtype"), [*pairs(), (None, I32), (None, F32)])
def test_scatters_in_order(name: str | None, dtype: DType) -> None:
    places = np.array([1, 3, 1, 0, 1, 3], np.int32)
    for count in (0, 1, 6):
        values = data((6,), dtype)[:count]
        wanted = data((4,), dtype)
        for place, value in zip(places[:count], values, strict=True):
            old = wanted[place]
            with np.errstate(all="ignore"):
                wanted[place] = value if name is None else NUMPY[name](old, value)
        for found in scattered(name, dtype, places[:count], values):
            np.testing.assert_array_equal(found, wanted)


def test_places_outside_are_errors() -> None:
    one = np.ones(1, np.int32)
    for place in (-1, 4):
        with pytest.raises(IRError, match=r"out of bounds|is accessed at"):
            scattered(None, I32, np.array([place], np.int32), one)
    x, i = Input("x", (4,), F32), Var("i", 4)
    for move in (-1, 1):
        node = Compute("c", (i,), Load(x, (build.add(i, build.index(move)),)))
        with pytest.raises(IRError, match="is read at"):
            run_graph(Graph("g", (x,), (node,)), [np.zeros(4, np.float32)])
        source, target = Buffer("x", (4,), F32), Buffer("y", (4,), F32)
        load = Load(source, (build.add(i, build.index(move)),))
        stage = Stage((), (), None, load, target, (i,))
        with pytest.raises(IRError, match="is accessed at"):
            run_nest(Nest("n", (i,), (stage,), ()), source, target, np.zeros(4, np.float32))


@pytest.mark.parametrize("move", [-1, 1])
def test_a_scatter_reads_inside(move: int) -> None:
    source, target, i = Buffer("x", (4,), F32), Buffer("y", (4,), F32), Var("i", 4)
    value = Load(source, (build.add(i, build.index(move)),))
    step = Ordered("o", (i,), target, (i,), value, None)
    with pytest.raises(IRError, match=r"x of shape .* is accessed at"):
        run_nest(step, source, target, np.zeros(4, np.float32))


# Checks.


@pytest.mark.parametrize("wraps", [False, True])
def test_checks_of_positions(wraps: bool) -> None:
    def extreme(name: str, value: int) -> Tensor:
        return Compute(name, (), build.const(value, I64))

    for least, most in itertools.product(range(-6, 7), repeat=2):
        check = Check(extreme("a", least), extreme("b", most), 4, 2, wraps, None)
        graph = Graph("g", (), (), (), (check,))
        lowest = -4 if wraps else 0
        if least > most or (lowest <= least and most < 4):
            run_graph(graph, [])
            continue
        worst = least if least < lowest else most
        with pytest.raises(
            BoundsError, match=f"index {worst} is out of bounds for axis 2 with size 4"
        ):
            run_graph(graph, [])


@pytest.mark.parametrize("shape", [(), (1,), (7,), (4, 5), (3, 1, 6)])
@pytest.mark.parametrize("room", [1, 4, 10, 1000])
def test_pieces_cover_all_points_and_are_as_large_as_there_is_room(
    shape: tuple[int, ...], room: int
) -> None:
    pieces = list(graphs._pieces(shape, 1, room))
    points = [p for piece in pieces for p in itertools.product(*piece)]
    assert sorted(points) == list(np.ndindex(*shape))
    sizes = [len(list(itertools.product(*piece))) for piece in pieces]
    assert max(sizes) <= room
    if room >= len(points):
        assert len(pieces) == 1
