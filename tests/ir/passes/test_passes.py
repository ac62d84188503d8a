"""Passes on all small shapes: the results of the graph before, and the form that is promised."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from tilewright.ir import build, ops
from tilewright.ir.dtypes import F32, F64, I32, I64, DType
from tilewright.ir.expr import Apply, Expr, Load, Size, Var, post_order
from tilewright.ir.fuse.options import CPU
from tilewright.ir.fuse.program_builder import build_program
from tilewright.ir.graph import Compute, Constant, Graph, Input, Reduction, Reshape, Tensor
from tilewright.ir.interpret.graph import run_graph
from tilewright.ir.interpret.program import interpret_program
from tilewright.ir.passes.lower_arg_reductions import lower_arg_reductions
from tilewright.ir.passes.lower_reshapes import lower_reshapes
from tilewright.ir.passes.narrow_positions import narrow_positions
from tilewright.ir.passes.split_large_reductions import is_large, split_large_reductions
from tilewright.ir.verify import verify_graph


def axes_of(shape: Sequence[Size], name: str = "i") -> tuple[Var, ...]:
    return tuple(Var(f"{name}{k}", size) for k, size in enumerate(shape))


def reduction(shape: Sequence[int], over: Sequence[int], combiner: str) -> Graph:
    """Of an input of `shape`, the axes `over` combined."""
    x = Input("x", tuple(shape), F32)
    axes = axes_of(shape)
    kept = tuple(a for k, a in enumerate(axes) if k not in over)
    made = Reduction("r", kept, [axes[k] for k in over], combiner, Load(x, axes), label="np.it")
    return Graph("g", (x,), (made,))


def numbers(shape: Sequence[int], dtype: type = np.float32) -> np.ndarray:
    """Small integers, of which floats add up exactly."""
    return np.random.default_rng(7).integers(-3, 4, shape).astype(dtype)


def same_results(before: Graph, after: Graph, arrays: Sequence[np.ndarray]) -> None:
    verify_graph(after, strict=True)
    for one, other in zip(run_graph(before, arrays), run_graph(after, arrays), strict=True):
        np.testing.assert_array_equal(one, other)


# Large reductions.


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules[split_large_reductions.__module__]
    monkeypatch.setattr(module, "MOST_POINTS", 3)
    monkeypatch.setattr(module, "LEAST_ELEMENTS", 12)
    monkeypatch.setattr(module, "PARTS", 8)


@pytest.mark.usefixtures("small_limits")
@pytest.mark.parametrize("combiner", ["add", "max", "fmin"])
def test_reductions_in_parts(combiner: str) -> None:
    for points, longer, shorter in itertools.product(
        (1, 3, 4), (3, 7, 11, 12, 13, 19, 24), (1, 2, 4)
    ):
        graph = reduction((points, longer, shorter), (1, 2), combiner)
        split = split_large_reductions(graph)
        is_split = points <= 3 and longer * shorter >= 12
        assert (split is not graph) == is_split
        arrays = [numbers((points, longer, shorter))]
        # The last part may be shorter, which the interpreter of programs knows.
        (found,) = interpret_program(build_program(split, CPU, "p"), arrays)
        np.testing.assert_array_equal(found, run_graph(graph, arrays)[0])
        if is_split:
            parts = next(n for n in split.nodes() if n.name == "r_parts")
            assert isinstance(parts, Reduction)
            whole = max(longer, shorter)
            equal = [p for p in range(min(8, whole), min(8, whole) // 2, -1) if whole % p == 0]
            count = equal[0] if equal else -(-whole // -(-whole // min(8, whole)))
            assert parts.shape == (count, points)
            assert parts.label == "np.it"


@pytest.mark.usefixtures("small_limits")
def test_the_parts_of_a_sum_are_added_in_a_balanced_tree() -> None:
    (total,) = split_large_reductions(reduction((2, 64), (1,), "add")).outputs
    assert isinstance(total, Compute)
    depth: dict[Expr, int] = {}
    for node in post_order((total.body,)):
        below = max((depth[o] for o in node.operands), default=0)
        depth[node] = below + (isinstance(node, Apply) and node.op is ops.ADD)
    assert depth[total.body] == 3
    (most,) = split_large_reductions(reduction((2, 64), (1,), "max")).outputs
    assert isinstance(most, Reduction)


def test_what_is_large() -> None:
    def large(points: Sequence[Size], elements: Sequence[Size]) -> bool:
        axes, over = axes_of(points), axes_of(elements, "r")
        return is_large(Reduction("r", axes, over, "add", build.const(1, F32)))

    assert large((16,), (65536,))
    assert large((4, 4), (256, 256))
    assert large((), (65536,))
    assert not large((17,), (65536,))
    assert not large((16,), (65535,))
    assert not large((16,), ())
    n = Var("N", least=1)
    assert not large((n,), (65536,))
    assert not large((1,), (n, 65536))


# Positions of extremes.


@pytest.mark.usefixtures("small_limits")
@pytest.mark.parametrize("combiner", ["argmin", "argmax"])
def test_positions_of_extremes(combiner: str) -> None:
    """In parts as well, whose positions are the first of all."""
    for shape, over in (
        *(((2, n), (1,)) for n in (1, 2, 11, 12, 13, 24)),
        *(((4, 24), (1,)), ((3, 4, 2), (1, 2)), ((2, 3, 8), (2, 0)), ((16,), (0,))),
    ):
        graph = reduction(shape, over, combiner)
        lowered = lower_arg_reductions(graph)
        assert all(n.combiner[:3] != "arg" for n in lowered.nodes() if isinstance(n, Reduction))
        array = numbers(shape)
        for special in (None, np.nan, np.inf, -np.inf, -0.0):
            if special is not None:
                array.reshape(-1)[array.size // 2 :: 3] = special
            same_results(graph, lowered, [array])


@pytest.mark.parametrize(
    ("extents", "dtype"),
    [
        (((1 << 31) - 1,), I32),
        ((1 << 31,), I64),
        ((1 << 16, (1 << 15) - 1), I32),
        ((1 << 16, 1 << 15), I64),
        ((Var("N", least=1),), I64),
        ((3, build.minimum(Var("N", least=1), build.index(100))), I32),
    ],
)
def test_positions_have_32_bits_where_that_is_enough(extents: Sequence[Size], dtype: DType) -> None:
    over = axes_of(extents, "r")
    symbols = tuple(
        n for e in extents if isinstance(e, Expr) for n in post_order((e,)) if isinstance(n, Var)
    )
    node = Reduction("r", (), over, "argmax", build.cast(over[0], F32))
    (made,) = lower_arg_reductions(Graph("g", (), (node,), symbols)).outputs
    assert made.dtype is I64
    (first,) = made.sources
    assert first.dtype is dtype


# Reshapes.


def shapes_of(count: int, rank: int) -> Iterator[tuple[int, ...]]:
    if rank == 0:
        if count == 1:
            yield ()
        return
    for size in (s for s in range(1, count + 1) if count % s == 0):
        yield from ((size, *rest) for rest in shapes_of(count // size, rank - 1))


def boundaries(shape: Sequence[int]) -> set[int]:
    """How many elements lie before each axis begins anew."""
    return set(itertools.accumulate((s for s in shape if s != 1), lambda a, b: a * b))


def test_reshapes_that_split_axes_are_index_maps() -> None:
    shapes = [s for rank in range(4) for s in shapes_of(12, rank)]
    for old, new in itertools.product(shapes, repeat=2):
        x = Input("x", old, F32)
        axes = axes_of(old)
        doubled = Compute("d", axes, build.add(Load(x, axes), Load(x, axes)))
        graph = Graph("g", (x,), (Reshape("r", doubled, new),))
        (made,) = lower_reshapes(graph).outputs
        assert made.shape == new
        if old == new:
            assert made.name == "d"
        else:
            assert isinstance(made, Compute) == (boundaries(old) <= boundaries(new)), (old, new)
    for old, new in (((12,), (3, 1, 4)), ((1, 6, 2), (2, 3, 2)), ((4, 3), (2, 2, 3))):
        x = Input("x", old, F32)
        graph = Graph("g", (x,), (Reshape("r", Reshape("q", x, (12,)), new),))
        same_results(graph, lower_reshapes(graph), [numbers(old)])


def test_reshapes_of_arguments_stay_views() -> None:
    for x in (Input("x", (12,), F32), Constant("c", np.zeros(12, np.float32), F32)):
        inputs = (x,) if isinstance(x, Input) else ()
        graph = Graph("g", inputs, (Reshape("r", x, (3, 4)),))
        assert lower_reshapes(graph) is graph


def test_reshapes_of_open_axes() -> None:
    n = Var("N", least=0)
    i = Var("i", n)
    made = Compute("m", (i,), build.cast(i, F32))
    for shape, is_map in (((n, 1), True), ((1, n), True), ((n,), True)):
        graph = Graph("g", (), (Reshape("r", made, shape),), (n,))
        (found,) = lower_reshapes(graph).outputs
        assert isinstance(found, Compute) == is_map
    flat = Reshape(
        "r", Compute("m", (i, Var("j", 2)), build.const(1, F32)), (build.mul(n, build.index(2)),)
    )
    assert isinstance(lower_reshapes(Graph("g", (), (flat,), (n,))).outputs[0], Reshape)


# Float64 arithmetic on positions.

I = Var("i", 5)  # noqa: E741
PLACE = build.cast(I, F64)
HALF = build.const(0.5, F64)
SUM = Apply(ops.ADD, (Apply(ops.MUL, (PLACE, HALF)), build.const(1.0, F64)))
DATA, WIDE = Input("x", (5,), I32), Input("w", (5,), F64)
OF_DATA = build.cast(Load(DATA, (I,)), F64)


def narrowed(body: Expr) -> Tensor:
    (made,) = narrow_positions(Graph("g", (DATA, WIDE), (Compute("c", (I,), body),))).outputs
    return made


@pytest.mark.parametrize(
    "body",
    [
        build.cast(SUM, F32),
        build.cast(PLACE, I32),
        build.cast(Apply(ops.FLOOR, (SUM,)), I32),
        Apply(ops.LT, (SUM, HALF)),
        Apply(ops.ISNAN, (SUM,)),
        build.cast(build.select(Apply(ops.LT, (HALF, PLACE)), SUM, HALF), F32),
        build.add(build.cast(SUM, F32), build.cast(Load(DATA, (I,)), F32)),
    ],
    ids=repr,
)
def test_arithmetic_on_positions_is_done_in_float32(body: Expr) -> None:
    made = narrowed(body)
    assert isinstance(made, Compute)
    assert made.dtype is body.dtype
    assert all(n.dtype is not F64 for n in post_order((made.body,)))
    before = Graph("g", (DATA, WIDE), (Compute("c", (I,), body),))
    after = Graph("g", (DATA, WIDE), (made,))
    same_results(before, after, [numbers((5,), np.int32), numbers((5,), np.float64)])


@pytest.mark.parametrize(
    "body",
    [
        SUM,
        build.cast(OF_DATA, F32),
        build.cast(Apply(ops.ADD, (OF_DATA, PLACE)), F32),
        build.cast(Load(WIDE, (I,)), F32),
        Apply(ops.LT, (Load(WIDE, (I,)), PLACE)),
        Apply(ops.LT, (HALF, Apply(ops.NEG, (Load(WIDE, (I,)),)))),
        build.bitcast(SUM, I64),
        build.cast(Apply(ops.MUL, (build.cast(Apply(ops.LT, (I, I)), F64), HALF)), F32),
    ],
    ids=repr,
)
def test_what_stays_in_float64(body: Expr) -> None:
    made = narrowed(body)
    assert isinstance(made, Compute)
    kept = [n for n in post_order((made.body,)) if n.dtype is F64]
    assert len(kept) == len([n for n in post_order((body,)) if n.dtype is F64])


def test_the_bodies_of_reductions_are_narrowed() -> None:
    j = Var("j", 5)
    body = build.cast(build.mul(build.cast(j, F64), HALF), F32)
    node = Reduction("r", (), (j,), "add", body, label="np.sum")
    graph = Graph("g", (), (node,))
    after = narrow_positions(graph)
    (made,) = after.outputs
    assert isinstance(made, Reduction)
    assert made.label == "np.sum"
    assert all(n.dtype is not F64 for n in post_order((made.body,)))
    same_results(graph, after, [])
    plain = Graph("g", (), (Reduction("r", (), (j,), "add", build.cast(j, F32)),))
    assert narrow_positions(plain) is plain
