"""How elements of an output become digits of a texel number, and how reductions are cut."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tests.codegen_glsl.nests import at, mapped, reduced
from tilewright.ir import build as b
from tilewright.ir.analysis.affine import linear, offset
from tilewright.ir.dtypes import F32, I32
from tilewright.ir.errors import IRError, UnsupportedError
from tilewright.ir.expr import Apply, Const, Expr, Load, Var, post_order
from tilewright.ir.kernel import Buffer, For, Stmt, Store, statements
from tilewright.ir.lower.fragment.grid import lower_to_fragments
from tilewright.ir.lower.gather_only import gather_only
from tilewright.ir.lower.pad_rows import pad_rows
from tilewright.ir.lower.split_reductions import LONGEST, split_reductions
from tilewright.ir.lower.unravel import Unravel
from tilewright.ir.program import Copy, Nest, Ordered, SortRows, Stage
from tilewright.ir.schedule import Schedule


def value_of(node: Expr, bindings: dict[Var, int]) -> int:
    """An index expression at one point."""
    values: dict[Expr, int] = {}
    for inner in post_order((node,)):
        if isinstance(inner, Const):
            values[inner] = int(inner.value)
        elif isinstance(inner, Var):
            values[inner] = bindings[inner]
        else:
            assert isinstance(inner, Apply)
            values[inner] = int(inner.op.reference(*(values[o] for o in inner.operands)))
    return values[node]


def variables(node: Expr) -> set[str]:
    return {n.name for n in post_order((node,)) if isinstance(n, Var)}


SHAPES = [(7,), (8,), (3, 4), (4, 3), (2, 5, 8), (3, 3, 3), (6, 2, 2), (1, 5, 1), (5, 1, 4)]


@pytest.mark.parametrize("shape", SHAPES)
def test_digits_are_the_indices_of_every_element(shape: tuple[int, ...]) -> None:
    axes = [Var(f"i{k}", size) for k, size in enumerate(shape)]
    texel, lane = Var("texel", -(-int(np.prod(shape)) // 4)), Var("lane", 4)
    unravel = Unravel(axes, texel, lane)
    bindings = unravel.bindings()
    for position, index in enumerate(itertools.product(*map(range, shape))):
        at_position = {texel: position // 4, lane: position % 4}
        assert tuple(value_of(bindings[a], at_position) for a in axes) == index


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(4))
def test_offsets_are_those_of_the_indices(shape: tuple[int, ...], seed: int) -> None:
    """Whatever the strides, runs of axes that are taken together included."""
    random = np.random.default_rng(seed)
    axes = [Var(f"i{k}", size) for k, size in enumerate(shape)]
    texel, lane = Var("texel", -(-int(np.prod(shape)) // 4)), Var("lane", 4)
    whole = [int(np.prod(shape[k + 1 :])) for k in range(len(shape))]
    strides = [int(random.choice([0, s, 2 * s, -s, s + 1])) for s in whole]
    form = linear(b.add(offset(axes, strides), b.index(5)))
    found = Unravel(axes, texel, lane).offset(form)
    for position, index in enumerate(itertools.product(*map(range, shape))):
        expected = 5 + sum(i * s for i, s in zip(index, strides, strict=True))
        assert value_of(found, {texel: position // 4, lane: position % 4}) == expected


def test_an_axis_above_a_multiple_of_four_is_the_same_for_all_lanes() -> None:
    row, column = Var("row", 6), Var("column", 8)
    texel, lane = Var("texel", 12), Var("lane", 4)
    bindings = Unravel([row, column], texel, lane).bindings()
    assert variables(bindings[row]) == {"texel"}
    assert variables(bindings[column]) == {"texel", "lane"}


def test_contiguous_reads_need_no_division() -> None:
    row, column = Var("row", 6), Var("column", 5)
    texel, lane = Var("texel", 8), Var("lane", 4)
    found = Unravel([row, column], texel, lane).offset(linear(offset([row, column], [5, 1])))
    assert linear(found).terms == {texel: 4, lane: 1}


def loops(body: tuple[Stmt, ...], kind: str) -> list[For]:
    return [s for s in statements(body) if isinstance(s, For) and s.kind == kind]


def test_a_short_reduction_is_expanded() -> None:
    x, y = Buffer("x", (8, 3), F32), Buffer("y", (8,), F32)
    kernel = lower_to_fragments(
        reduced(y, (3,), "add", lambda i, k: at(x, i, k)), Schedule(unroll_reduce=8), "sum"
    )
    assert not loops(kernel.body, "serial")


def test_rows_that_all_lanes_share_lie_across_the_lanes() -> None:
    """y[i, j] = x[i, j] + max_k x[i, k]: the maximum is one number per fragment."""
    x, y = Buffer("x", (4, 64), F32), Buffer("y", (4, 64), F32)
    nest = reduced(
        y,
        (64,),
        "max",
        lambda i, j, k: at(x, i, k),
        lambda total, i, j: b.add(at(x, i, j), total),
    )
    kernel = lower_to_fragments(nest, Schedule(unroll=4), "rows")
    (serial,) = loops(kernel.body, "serial")
    assert serial.extent == 64 // (4 * 4)


def test_sums_are_cut_into_short_runs() -> None:
    x, y = Buffer("x", (64, 4096), F32), Buffer("y", (64,), F32)
    kernel = lower_to_fragments(
        reduced(y, (4096,), "add", lambda i, k: at(x, i, k)), Schedule(unroll=4), "sum"
    )
    extents = [loop.extent for loop in loops(kernel.body, "serial")]
    assert all(isinstance(e, int) and e <= 8 for e in extents)
    assert np.prod([e for e in extents if isinstance(e, int)]) == 4096 // 4


def test_products_run_for_at_most_512() -> None:
    """9 x 512 products: a new register for each of the nine."""
    x, y = Buffer("x", (64, 9, 512), F32), Buffer("y", (64,), F32)
    w = Buffer("w", (512, 9), F32)
    kernel = lower_to_fragments(
        reduced(y, (9, 512), "add", lambda i, t, k: b.mul(at(x, i, t, k), at(w, k, t))),
        Schedule(unroll=4),
        "convolution",
    )
    sums = {s.buffer for s in statements(kernel.body) if isinstance(s, Store)}
    assert len([r for r in sums if r.space == "register"]) >= 2


def test_integer_sums_need_no_runs() -> None:
    x, y = Buffer("x", (64, 4096), I32), Buffer("y", (64,), I32)
    kernel = lower_to_fragments(
        reduced(y, (4096,), "add", lambda i, k: at(x, i, k)), Schedule(unroll=4), "sum"
    )
    assert [loop.extent for loop in loops(kernel.body, "serial")] == [1024]


def test_outputs_of_different_shapes_are_not_one_fragment() -> None:
    x, y, z = Buffer("x", (8, 2), F32), Buffer("y", (8, 2), F32), Buffer("z", (2, 8), F32)
    i, j = Var("i", 8), Var("j", 2)
    stages = (
        Stage((), (), None, at(x, i, j), y, (i, j)),
        Stage((), (), None, at(x, i, j), z, (j, i)),
    )
    with pytest.raises(IRError, match="the outputs of two do not lie in memory alike"):
        lower_to_fragments(Nest("two", (i, j), stages, ()), Schedule(), "two")


def test_reductions_over_the_same_axes_share_their_loops() -> None:
    x, y = Buffer("x", (8, 400), F32), Buffer("y", (8,), F32)
    low, high = Buffer("low", (), F32, "scratch"), Buffer("high", (), F32, "scratch")
    i, k = Var("i", 8), Var("k", 400)
    stages = (
        Stage((), (k,), "min", at(x, i, k), low, ()),
        Stage((), (k,), "max", at(x, i, k), high, ()),
        Stage((), (), None, b.sub(Load(high, ()), Load(low, ())), y, (i,)),
    )
    kernel = lower_to_fragments(Nest("range", (i,), stages, (low, high)), Schedule(), "range")
    assert len(loops(kernel.body, "serial")) == 1


def test_part_of_an_output_is_refused() -> None:
    x, y = Buffer("x", (8,), F32), Buffer("y", (16,), F32)
    axis = Var("i", 8)
    stage = Stage((), (), None, at(x, axis), y, (axis,))
    with pytest.raises(IRError, match="does not write every element of y once"):
        lower_to_fragments(Nest("half", (axis,), (stage,), ()), Schedule(), "half")


def test_an_open_dimension_is_named() -> None:
    size = Var("N", least=1)
    x, y = Buffer("x", (size,), F32), Buffer("y", (size,), F32)
    axis = Var("i", size)
    stage = Stage((), (), None, at(x, axis), y, (axis,))
    with pytest.raises(UnsupportedError, match="open dimension"):
        lower_to_fragments(Nest("open", (axis,), (stage,), ()), Schedule(), "open")


# Rewriting into gathers.


def elements(stage: Stage) -> int:
    return int(np.prod([a.extent for a in stage.reduce_axes if isinstance(a.extent, int)]))


@pytest.mark.parametrize("size", [4097, 100_000, 1_000_000, 999_983])
def test_long_reductions_are_split(size: int) -> None:
    x, y = Buffer("x", (size,), F32), Buffer("y", (), F32)
    nests = split_reductions(reduced(y, (size,), "add", lambda k: at(x, k)))
    assert len(nests) > 1
    for nest in nests:
        assert max(elements(s) for s in nest.stages) <= LONGEST


def test_a_later_stage_brings_along_what_it_reads() -> None:
    """softmax's denominator in parts needs the maximum in every part."""
    x, y = Buffer("x", (100_000,), F32), Buffer("y", (), F32)
    most, total = Buffer("most", (), F32, "scratch"), Buffer("total", (), F32, "scratch")
    j, k = Var("j", 100_000), Var("k", 100_000)
    stages = (
        Stage((), (j,), "max", at(x, j), most, ()),
        Stage((), (k,), "add", b.sub(at(x, k), Load(most, ())), total, ()),
        Stage((), (), None, Load(total, ()), y, ()),
    )
    nests = split_reductions(Nest("softmax", (), stages, (most, total)))
    for nest in nests:
        read = {
            n.source
            for s in nest.stages
            for n in post_order((s.value,))
            if isinstance(n, Load) and isinstance(n.source, Buffer) and n.source.space == "scratch"
        }
        assert read <= set(nest.locals)


# Rows.


def test_odd_rows_with_many_loads_are_padded_and_packed() -> None:
    x, y = Buffer("x", (8, 9), F32), Buffer("y", (8, 5), F32)
    stencil = reduced(y, (5,), "add", lambda i, j, k: at(x, i, b.add(j, k)))
    padded, packed = pad_rows([stencil], {x, y})
    assert isinstance(padded, Nest)
    assert isinstance(packed, Nest)
    assert padded.stages[-1].target.shape == (8, 8)
    assert packed.stages[-1].target is y


def test_nobody_packs_rows_that_nobody_needs_packed() -> None:
    x, y, z = Buffer("x", (8, 9), F32), Buffer("y", (8, 5), F32), Buffer("z", (8,), F32)
    stencil = reduced(y, (5,), "add", lambda i, j, k: at(x, i, b.add(j, k)))
    total = reduced(z, (5,), "add", lambda i, k: at(y, i, k))
    steps = pad_rows([stencil, total], {x, z})
    assert len(steps) == 2


def test_odd_rows_that_are_read_in_order_stay() -> None:
    x, y = Buffer("x", (8, 5), F32), Buffer("y", (8, 5), F32)
    step = mapped(y, lambda i, j: b.add(at(x, i, j), at(x, i, j)))
    assert pad_rows([step], {x, y}) == (step,)


def test_a_program_becomes_nests_and_copies() -> None:
    x, y, z = (Buffer(name, (16,), F32) for name in "xyz")
    axis = Var("u", 4)
    steps = (
        SortRows("sort", x, y, 0, False),
        Copy(y, z),
        Ordered("scatter", (axis,), z, (b.mul(axis, b.index(3)),), at(x, axis), "add"),
        mapped(z, lambda i: at(y, i)),
    )
    assert all(isinstance(step, (Nest, Copy)) for step in gather_only(steps))
