"""Rules of GLSL one at a time, where another would hide what one of them does."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.ir.elementary_oracle import evaluate
from tests.ir.wide_literals import check_wide_literals
from tilewright.codegen_glsl.legalize import (
    RULES,
    classify_by_bits,
    expand_extremes,
    reduce_lanes_in_pairs,
)
from tilewright.codegen_glsl.machine_types import (
    MACHINE,
    convert,
    round_to_half,
    use_machine_types,
    wrap,
)
from tilewright.ir import build, ops
from tilewright.ir.dtypes import F16, F32, F64, I8, I32, I64, U8, U16, U32, U64, DType
from tilewright.ir.errors import UnsupportedError
from tilewright.ir.expr import Apply, Const, Expr, LaneReduce, Load, Var, post_order
from tilewright.ir.kernel import Buffer, For, Kernel, Store
from tilewright.ir.traverse import rewrite_to_fixpoint

X, Y = Var("x", dtype=F32), Var("y", dtype=F32)
SPECIAL = np.array([0.0, -0.0, 1.5, -2.0, np.inf, -np.inf, np.nan], np.float32)


@pytest.mark.parametrize("rows", [(), (3,), (2, 5)], ids=str)
def test_lanes_are_combined_by_halving(rows: tuple[int, ...]) -> None:
    """(0 + 2) + (1 + 3), of the row that the indices choose."""
    register = Buffer("r", (*rows, 4), I32, "register")
    at = tuple(build.index(size - 1) for size in rows)
    made = reduce_lanes_in_pairs(LaneReduce(ops.ADD, register, at))
    assert isinstance(made, Apply)
    lanes = []
    for half in made.operands:
        assert isinstance(half, Apply)
        assert half.op is made.op is ops.ADD
        for load in half.operands:
            assert isinstance(load, Load)
            assert load.source is register
            assert load.indices[:-1] == at
            lanes.append(build.known(load.indices[-1]))
    assert lanes == [0, 2, 1, 3]
    assert reduce_lanes_in_pairs(made) is None


def test_a_value_compared_with_itself_asks_for_nan() -> None:
    for op in (ops.NE, ops.EQ):
        made = classify_by_bits(Apply(op, (X, X)))
        assert made is not None
        np.testing.assert_array_equal(
            evaluate(made, {X: SPECIAL}), op.reference(SPECIAL, SPECIAL.copy())
        )
        assert not any(n.operands[0] is X and n.op is op for n in _applied(made))
        assert classify_by_bits(Apply(op, (X, Y))) is None
        number = Var("n", dtype=I32)
        assert classify_by_bits(Apply(op, (number, number))) is None


def _applied(root: Expr) -> list[Apply]:
    return [n for n in post_order([root]) if isinstance(n, Apply)]


def test_extremes_of_integers_stay() -> None:
    assert expand_extremes(Apply(ops.MIN, (Var("n", dtype=I32), build.const(2, I32)))) is None


@pytest.mark.parametrize("op", [ops.MIN, ops.MAX, ops.FMIN, ops.FMAX], ids=str)
def test_extremes_beside_literals(op: ops.Op) -> None:
    """A literal is never asked whether it is NaN; NaN itself decides without a question."""
    two, nan = build.const(2.0, F32), build.const(math.nan, F32)
    wins = op in (ops.MIN, ops.MAX)
    assert expand_extremes(Apply(op, (X, nan))) is (nan if wins else X)
    assert expand_extremes(Apply(op, (nan, X))) is (nan if wins else X)
    cases: list[tuple[tuple[Expr, Expr], int]] = [
        *(((X, Y), 3), ((X, two), 2), ((two, X), 2), ((two, build.const(7.0, F32)), 1)),
    ]
    for operands, choices in cases:
        made = expand_extremes(Apply(op, operands))
        assert made is not None
        assert sum(n.op is ops.SELECT for n in _applied(made)) == choices
        for other in SPECIAL:
            y = np.full_like(SPECIAL, other)
            values = {X: SPECIAL, Y: y}
            found, *given = (evaluate(e, values) for e in (made, *operands))
            np.testing.assert_array_equal(found, op.reference(*given))


def test_scaling_by_powers_of_two() -> None:
    """In two steps, since one factor may be no float32; far beyond the range, too."""
    n = Var("n", dtype=F32)
    made = rewrite_to_fixpoint(Apply(ops.SCALE, (X, n)), RULES, {})
    exponents = np.array([*range(-260, 261), -1e4, 1e4, -1e30, 1e30], np.float32)
    for value in (1.0, -1.5, 2.0**120, 2.0**-120):
        x = np.full_like(exponents, value)
        with np.errstate(all="ignore"):
            wanted = np.ldexp(x, np.clip(exponents, -400, 400).astype(np.int32))
        found = evaluate(made, {X: x, n: exponents})
        np.testing.assert_allclose(found, wanted, rtol=0, atol=2.0**-126)  # may be flushed


def test_halves_are_rounded_once() -> None:
    """To even between two of them, to infinity from half a step above the largest."""
    every = np.arange(0x7C00, dtype=np.uint16).view(np.float16).astype(np.float32)
    middle = (every[:-1] + every[1:]) / 2
    near = [every, middle, np.nextafter(middle, np.float32(0)), np.nextafter(middle, every[1:])]
    edge = np.array([65519.996, 65520, 65536, 7e4, 3e38, np.inf, np.nan, 1e-45], np.float32)
    values = np.concatenate([*near, edge, -edge, -middle])
    with np.errstate(over="ignore"):
        wanted = values.astype(np.float16).astype(np.float32)
    found = evaluate(rewrite_to_fixpoint(round_to_half(X), RULES, {}), {X: values})
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    ("source", "target"), [(F16, U16), (F32, F16), (U8, I8), (F64, I64), (I32, U16), (U16, F32)]
)
def test_bits_are_had_of_words_alone(source: DType, target: DType) -> None:
    x, y = Buffer("x", (4,), source), Buffer("y", (4,), target)
    i = Var("i", 4)
    body = For(i, "fragment", [Store(y, (i,), Apply(ops.BITCAST, (Load(x, (i,)),), target))])
    with pytest.raises(UnsupportedError) as caught:
        use_machine_types(Kernel("bits", (x, y), (), (), (body,)))
    assert str(caught.value) == (
        f"bits reads the bits of {source} as {target}, and GLSL code can do that with 32 bits only"
    )


@pytest.mark.parametrize("dtype", [U32, U64, I32, U8], ids=str)
def test_literals_are_converted_here(dtype: DType) -> None:
    made = convert(build.const(7, MACHINE[dtype]), dtype, F32)
    assert isinstance(made, Const)
    assert (made.value, made.dtype) == (7.0, F32)


def stored(value: Expr) -> Expr:
    """What a kernel that stores `value` stores once it is over GLSL's types."""
    y = Buffer("y", (4,), value.dtype)
    i = Var("i", 4)
    kernel = Kernel("store", (y,), (), (), (For(i, "fragment", [Store(y, (i,), value)]),))
    (loop,) = use_machine_types(kernel).body
    assert isinstance(loop, For)
    (store,) = loop.body
    assert isinstance(store, Store)
    return store.value


@pytest.mark.parametrize(("wide", "narrow"), [(I64, I32), (U64, U32)], ids=str)
def test_literals_of_64_bits(wide: DType, narrow: DType) -> None:
    check_wide_literals(stored, wide, narrow, "glsl")


@pytest.mark.parametrize("dtype", [F16, F64, F32, I8, U16, U8, I32], ids=str)
def test_other_literals_keep_their_value(dtype: DType) -> None:
    found = stored(build.const(3, dtype))
    assert isinstance(found, Const)
    assert (found.value, found.dtype) == (3, MACHINE[dtype])


def test_neighbours_of_halves_are_refused() -> None:
    x = {d: Load(Buffer("x", (), d, "register"), ()) for d in (F16, F32)}
    with pytest.raises(UnsupportedError, match="store uses nextafter of float16, which GLSL lacks"):
        stored(Apply(ops.NEXTAFTER, (x[F16], x[F16])))
    assert stored(Apply(ops.NEXTAFTER, (x[F32], x[F32]))).dtype is F32


@pytest.mark.parametrize("dtype", [I8, U8, U16, I32, U32], ids=str)
def test_values_are_brought_back_into_a_narrow_range(dtype: DType) -> None:
    machine = MACHINE[dtype]
    x = Var("x", dtype=machine)
    near = [end + k for end in (dtype.min, 0, dtype.max) for k in (-2, -1, 0, 1, 2)]
    values = np.array([*near, 12345, -98765]).astype(machine.numpy)
    made = wrap(x, dtype)
    assert (made is x) == (dtype.bits == 32)
    found = evaluate(made, {x: values})
    np.testing.assert_array_equal(found, values.astype(dtype.numpy).astype(machine.numpy))
