"""Rules of the error bounds: they hold everything that is allowed, and little besides."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest

from tilewright.ir import ops
from tilewright.ir.analysis.error_rules import (
    GPU,
    IEEE,
    PROMISES,
    Bounded,
    TargetClass,
    apply_operation,
    computed,
    exact,
    finish,
    read_float,
    unit,
)
from tilewright.ir.dtypes import BOOL, F16, F32, F64, I8, I32, U8, DType
from tilewright.ir.expr import Apply, Expr, Var
from tilewright.ir.ops import Op

INF, NAN = np.inf, np.nan
TINY = float(np.finfo(np.float32).tiny)
LARGEST = float(np.finfo(np.float32).max)


def operand(dtype: DType) -> Expr:
    """Some expression of this dtype: rules look at no more."""
    return Apply(ops.CAST, (Var("i", 4),), dtype)


def result(
    op: Op,
    *operands: Bounded,
    target: TargetClass = IEEE,
    dtypes: Sequence[DType] = (),
    to: DType | None = None,
) -> Bounded:
    nodes = tuple(operand(d) for d in (dtypes or [F32] * len(operands)))
    with np.errstate(all="ignore"):
        return apply_operation(Apply(op, nodes, to), operands, target)


def near(value: float, bound: float, **more: object) -> Bounded:
    return Bounded(np.asarray(value, np.float64), np.asarray(bound, np.float64), **more)


# Values of operands, and bounds on them.
SMOOTH: dict[Op, tuple[tuple[float, float], ...]] = {
    ops.ADD: ((3.0, 0.25), (-7.0, 0.5)),
    ops.SUB: ((3.0, 0.25), (7.0, 0.5)),
    ops.MUL: ((3.0, 0.25), (-7.0, 0.5)),
    ops.DIV: ((3.0, 0.25), (-7.0, 0.5)),
    ops.MOD: ((-7.5, 0.125), (2.0, 0.0625)),
    ops.FMOD: ((7.5, 0.125), (2.0, 0.0625)),
    ops.FLOORDIV: ((-7.0, 0.125), (2.0, 0.0625)),
    ops.NEG: ((3.0, 0.25),),
    ops.ABS: ((-3.0, 0.25),),
    ops.MIN: ((3.0, 0.5), (3.25, 0.25)),
    ops.MAX: ((3.0, 0.5), (3.25, 0.25)),
    ops.FMIN: ((3.0, 0.5), (3.25, 0.25)),
    ops.FMAX: ((3.0, 0.5), (3.25, 0.25)),
    ops.COPYSIGN: ((3.0, 0.25), (-2.0, 0.5)),
    ops.SIN: ((0.5, 0.125),),
    ops.COS: ((2.0, 0.125),),
    ops.TAN: ((4.0, 0.125),),
    ops.COSH: ((-1.0, 0.25),),
    ops.SINH: ((-1.0, 0.25),),
    ops.HYPOT: ((3.0, 0.25), (4.0, 0.5)),
    ops.ATAN2: ((3.0, 0.25), (-4.0, 0.5)),
    ops.POW: ((3.0, 0.25), (2.0, 0.5)),
    ops.FLOOR: ((3.5, 0.75),),
    ops.CEIL: ((3.5, 0.75),),
    ops.TRUNC: ((-3.5, 0.75),),
    ops.RINT: ((3.0, 0.75),),
    ops.SIGN: ((3.0, 0.5),),
    ops.SQRT: ((3.0, 0.5),),
    ops.RSQRT: ((3.0, 0.5),),
    ops.CBRT: ((-3.0, 0.5),),
    ops.EXP: ((1.0, 0.5),),
    ops.EXP2: ((1.0, 0.5),),
    ops.EXPM1: ((1.0, 0.5),),
    ops.LOG: ((3.0, 0.5),),
    ops.LOG2: ((3.0, 0.5),),
    ops.LOG10: ((3.0, 0.5),),
    ops.LOG1P: ((3.0, 0.5),),
    ops.ASIN: ((0.5, 0.25),),
    ops.ACOS: ((0.5, 0.25),),
    ops.ATAN: ((0.5, 0.25),),
    ops.TANH: ((0.5, 0.25),),
    ops.ASINH: ((0.5, 0.25),),
    ops.ACOSH: ((3.0, 0.5),),
    ops.ATANH: ((0.5, 0.25),),
    ops.ERF: ((0.5, 0.25),),
    ops.ERFC: ((0.5, 0.25),),
    ops.SIGMOID: ((0.5, 0.25),),
}
# Bounds that hold for any angle or direction, and so more than this one needs.
LOOSE = {ops.SIN: 1.3, ops.COS: 1.3, ops.HYPOT: 1.4, ops.ATAN2: 2.0}


@pytest.mark.parametrize("target", [IEEE, GPU], ids=lambda t: t.name)
@pytest.mark.parametrize("op", SMOOTH, ids=lambda op: op.name)
def test_a_bound_holds_what_operands_allow_and_little_besides(op: Op, target: TargetClass) -> None:
    given = [near(v, b) for v, b in SMOOTH[op]]
    found = result(op, *given, target=target)
    ends = [np.linspace(v - b, v + b, 9) for v, b in SMOOTH[op]]
    reached = np.array([op.reference(*point) for point in itertools.product(*ends)])
    value = op.reference(*(v for v, _ in SMOOTH[op]))
    ulps = PROMISES.get(op.name, (0, 0))[target.column]
    own = ulps * unit(np.abs(reached).max(), F32)
    if op is ops.FLOORDIV and target is IEEE:
        own = 0.0  # a small whole number
    most = np.abs(reached - value).max()
    assert found.value == value
    assert most + own <= found.bound * (1 + 1e-12)
    assert found.bound <= (most + own) * LOOSE.get(op, 1.0) * (1 + 1e-4)


@pytest.mark.parametrize("op", SMOOTH, ids=lambda op: op.name)
def test_of_exact_operands_a_result_is_off_by_the_promise_only(op: Op) -> None:
    values = [v for v, _ in SMOOTH[op]]
    value = float(op.reference(*values))
    for target in (IEEE, GPU):
        found = result(op, *map(exact, map(np.asarray, values)), target=target)
        promised = PROMISES.get(op.name, (0, 0))[target.column] * float(
            unit(np.asarray(value), F32)
        )
        if op in (ops.MOD, ops.FMOD) and target is GPU:
            assert found.bound >= promised
        else:
            assert found.bound <= promised
        assert abs(found.value - value) <= float(unit(np.asarray(value), F32)) / 2


@pytest.mark.parametrize(
    ("op", "operands"),
    [
        (ops.LT, (near(1.0, 0.25), near(1.5, 0.25))),
        (ops.EQ, (near(1.0, 0.25), near(1.0, 0.0))),
        (ops.GE, (near(1.0, INF), near(9.0, 0.0))),
        (ops.SIGNBIT, (near(0.25, 0.5),)),
        (ops.SIGNBIT, (near(0.0, 0.0, unsigned=np.asarray(True)),)),
        (ops.SIGNBIT, (near(NAN, 0.0),)),
        (ops.ISNAN, (near(1.0, INF),)),
        (ops.DIV, (near(1.0, 0.0), near(0.5, 0.5))),
        (ops.MUL, (near(INF, 0.0), near(0.5, 0.5))),
        (ops.MOD, (near(3.9, 0.25), near(2.0, 0.0))),
        (ops.FLOORDIV, (near(3.9, 0.25), near(2.0, 0.0))),
        (ops.MOD, (near(3.0, 0.0), near(0.5, 0.5))),
        (ops.TAN, (near(1.5, 0.125),)),
        (ops.ATAN2, (near(0.125, 0.25), near(-4.0, 0.5))),
        (ops.ATAN2, (near(0.125, 0.25), near(0.25, 0.5))),
        (ops.COPYSIGN, (near(3.0, 0.0), near(0.25, 0.25))),
        (ops.POW, (near(0.25, 0.5), near(2.0, 0.0))),
        (ops.POW, (near(-2.0, 0.0), near(2.0, 0.25))),
        (ops.LOG, (near(0.25, 0.5),)),
        (ops.ADD, (near(INF, 0.0, fusible=np.asarray(True)), near(1.0, 0.0))),
        (ops.SUB, (near(1.0, 0.0), near(INF, 0.0, fusible=np.asarray(True)))),
        (ops.DIV, (near(1.0, 0.0), near(0.0, 0.0, unsigned=np.asarray(True)))),
        (ops.RSQRT, (near(0.0, 0.0, unsigned=np.asarray(True)),)),
        (ops.ATAN2, (near(0.0, 0.0, unsigned=np.asarray(True)), near(-1.0, 0.0))),
        (ops.POW, (near(0.0, 0.0, unsigned=np.asarray(True)), near(-1.0, 0.0))),
    ],
    ids=lambda value: value.name if isinstance(value, Op) else "",
)
def test_what_errors_decide_is_free(op: Op, operands: tuple[Bounded, ...]) -> None:
    assert np.isinf(result(op, *operands).bound)


@pytest.mark.parametrize(
    ("op", "operands", "value"),
    [
        (ops.LT, (near(1.0, 0.125), near(1.5, 0.25)), True),
        (ops.EQ, (near(1.0, 0.0), near(1.0, 0.0)), True),
        (ops.LT, (near(NAN, 0.25), near(1.0, 0.25)), False),
        (ops.LT, (near(1.0, 0.25), near(NAN, 0.25)), False),
        (ops.SIGNBIT, (near(-0.75, 0.5),), True),
        (ops.SIGNBIT, (near(-0.0, 0.0),), True),
        (ops.ISNAN, (near(1.0, 0.5),), False),
        (ops.ISFINITE, (near(INF, 0.0),), False),
        (ops.DIV, (near(INF, 0.0), near(1.0, 0.5)), INF),
        (ops.DIV, (near(1.0, 0.5), near(-INF, 0.0)), -0.0),
        (ops.MUL, (near(INF, 0.0), near(-1.0, 0.5)), -INF),
        (ops.MAX, (near(NAN, 0.0), near(1.0, 0.5)), NAN),
        (ops.FLOOR, (near(3.5, 0.25),), 3.0),
        (ops.FLOORDIV, (near(7.0, 0.5), near(2.0, 0.0)), 3.0),
        (ops.SIGN, (near(-3.0, 0.5),), -1.0),
        (ops.DIV, (near(0.0, 0.0), near(0.0, 0.0, unsigned=np.asarray(True))), NAN),
        (ops.POW, (near(0.0, 0.0, unsigned=np.asarray(True)), near(0.0, 0.0)), 1.0),
        (ops.ATAN2, (near(1.0, 0.0), near(0.0, 0.0, unsigned=np.asarray(True))), np.pi / 2),
    ],
    ids=lambda value: value.name if isinstance(value, Op) else "",
)
def test_what_errors_cannot_change_is_certain(
    op: Op, operands: tuple[Bounded, ...], value: float
) -> None:
    found = result(op, *operands)
    np.testing.assert_array_equal(found.value, np.asarray(value, found.value.dtype))
    assert found.bound <= 1e-6
    assert op in (ops.ATAN2, ops.POW) or found.bound == 0


def test_neighbours_are_as_far_apart_as_numpy_says() -> None:
    for dtype in (F16, F32, F64):
        values = np.array([1.0, 1.5, -2.0, 1024.0, 3e-5, 60000.0], dtype.numpy)
        np.testing.assert_array_equal(
            unit(values.astype(np.float64), dtype), np.spacing(abs(values))
        )
        info = np.finfo(dtype.numpy)
        assert unit(np.asarray(float(info.smallest_subnormal)), dtype) == info.smallest_subnormal
        assert unit(np.asarray(0.0), dtype) == info.smallest_subnormal


def test_a_gpu_may_read_a_subnormal_as_zero() -> None:
    values = np.array([TINY / 2, -TINY / 2, TINY, 1.0, 0.0])
    assert read_float(values, F32, GPU).bound.tolist() == [TINY / 2, TINY / 2, 0, 0, 0]
    assert not read_float(values, F32, IEEE).bound.any()


def test_a_gpu_may_flush_results_around_the_smallest_normal_number() -> None:
    for value, more in ((TINY / 2, TINY), (TINY * 0.999, TINY), (2 * TINY, 0.0)):
        found = finish(np.asarray(value), np.asarray(0.0), 1.0, F32, GPU)
        assert more <= found.bound <= more + 2 * float(unit(np.asarray(value), F32))
    assert finish(np.asarray(TINY), np.asarray(TINY / 2), 1.0, F32, GPU).bound >= 1.5 * TINY
    assert finish(np.asarray(0.0), np.asarray(0.0), 1.0, F32, GPU).bound == 0
    assert finish(np.asarray(0.0), np.asarray(1.0), 1.0, F32, GPU).bound >= 1.0


def test_float64_functions_may_be_off_as_much_as_the_reference() -> None:
    value = np.asarray(3.0)
    assert finish(value, np.asarray(0.0), 2.0, F64, IEEE).bound == 3 * np.spacing(3.0)
    assert finish(value, np.asarray(0.0), 0.5, F64, IEEE, rounds=True).bound == 0
    assert finish(value, np.asarray(0.5), 0.5, F64, IEEE).bound == 0.5 + np.spacing(3.0)


@pytest.mark.parametrize("sign", [1, -1])
def test_overflow_is_certain_only_where_no_value_within_the_bound_is_finite(sign: int) -> None:
    def overflow(value: float, passed: float) -> tuple[float, float]:
        with np.errstate(all="ignore"):
            found = finish(np.asarray(sign * value), np.asarray(passed), 2.0, F32, IEEE)
        return sign * float(found.value), float(found.bound)

    assert overflow(LARGEST / 2, 1.0) == (
        LARGEST / 2,
        1.0 + 2 * float(unit(np.asarray(LARGEST / 2), F32)),
    )
    assert overflow(LARGEST * 2, LARGEST / 4) == (INF, 0)
    assert overflow(LARGEST * 2, LARGEST * 1.5)[1] == INF
    assert overflow(LARGEST, 1.0)[1] == INF
    assert overflow(LARGEST * (1 + 2.0**-26), LARGEST * 2.0**-27)[1] == INF
    assert overflow(INF, 0.0) == (INF, 0)
    assert overflow(INF, INF)[1] == INF


def test_a_choice_between_equal_values_is_certain() -> None:
    unsure, sure = near(1, INF), near(1, 0)
    choice = (BOOL, I32, I32)
    integers = Bounded(np.asarray(4), np.asarray(0.0)), Bounded(np.asarray(4), np.asarray(0.0))
    assert result(ops.SELECT, unsure, *integers, dtypes=choice).bound == 0
    other = Bounded(np.asarray(5), np.asarray(0.0))
    assert np.isinf(result(ops.SELECT, unsure, integers[0], other, dtypes=choice).bound)
    assert result(ops.SELECT, sure, integers[0], other, dtypes=choice).bound == 0
    floats = (BOOL, F32, F32)
    assert result(ops.SELECT, unsure, near(1, 0.5), near(3, 0.25), dtypes=floats).bound == 2.5
    assert result(ops.SELECT, unsure, near(INF, 0), near(INF, 0), dtypes=floats).bound == 0
    assert result(ops.SELECT, unsure, near(NAN, 0), near(NAN, 0), dtypes=floats).bound == 0
    assert np.isinf(result(ops.SELECT, unsure, near(NAN, 0), near(1, 0), dtypes=floats).bound)
    assert result(ops.SELECT, near(0, 0), near(1, 0.5), near(3, 0.25), dtypes=floats).value == 3


@pytest.mark.parametrize(
    ("x", "to", "value", "free"),
    [
        (near(2.5, 0.25), I32, 2, False),
        (near(2.75, 0.25), I32, 2, True),
        (near(3.0, 0.25), I32, 3, True),
        (near(-0.5, 0.25), U8, 0, False),
        (near(300.0, 10.0), I8, 127, False),
        (near(2.0, INF), I32, 2, True),
        (near(0.5, 0.25), BOOL, True, False),
        (near(0.25, 0.25), BOOL, True, True),
        (near(0.0, 0.0), BOOL, False, False),
    ],
)
def test_a_conversion_is_free_where_errors_reach_another_integer(
    x: Bounded, to: DType, value: int, free: bool
) -> None:
    found = result(ops.CAST, x, to=to)
    assert found.value == value
    assert np.isinf(found.bound) == free


def test_integers_that_a_float_does_not_hold_are_off_by_a_unit_on_a_gpu_only() -> None:
    odd = exact(np.array([(1 << 24) + 1, 8], np.int32))
    assert not result(ops.CAST, odd, dtypes=(I32,), to=F32).bound.any()
    loose = result(ops.CAST, odd, dtypes=(I32,), to=F32, target=GPU)
    assert 0 < loose.bound[0] <= 2
    even = exact(np.array([1 << 24, 8], np.int32))
    assert not result(ops.CAST, even, dtypes=(I32,), to=F32, target=GPU).bound.any()


def test_a_narrower_float_is_rounded_a_wider_one_is_not() -> None:
    third = np.asarray(1 / 3, np.float32).astype(np.float64)
    narrow = result(ops.CAST, exact(third), to=F16)
    assert (narrow.value, narrow.bound) == (np.float16(third), 0)
    assert result(ops.CAST, exact(third), to=F16, target=GPU).bound >= float(
        np.spacing(np.float16(1 / 3))
    )
    wide = result(ops.CAST, exact(third), dtypes=(F32,), to=F64, target=GPU)
    assert (wide.value, wide.bound) == (third, 0)


def test_the_bits_of_a_float_are_certain_if_the_float_is() -> None:
    one, half = np.array([1.0, 0.5]), np.array([1.0, 0.5], np.float32).view(np.int32)
    found = result(ops.BITCAST, exact(one), to=I32)
    np.testing.assert_array_equal(found.value, half)
    assert not found.bound.any()
    assert np.isinf(result(ops.BITCAST, near(1.0, 0.5), to=I32).bound)
    zero = near(0.0, 0.0, unsigned=np.asarray(True))
    assert np.isinf(result(ops.BITCAST, zero, to=I32).bound)
    assert result(ops.BITCAST, near(0.0, 0.0), to=I32).bound == 0
    assert np.isinf(result(ops.BITCAST, near(0.0, 0.0), to=I32, target=GPU).bound)
    back = result(
        ops.BITCAST,
        exact(np.array([1 << 20, 1 << 30], np.int32)),
        dtypes=(I32,),
        to=F32,
        target=GPU,
    )
    assert back.bound[0] == back.value[0] < TINY
    assert back.bound[1] == 0


def test_shader_compilers_may_assume_that_nothing_is_nan() -> None:
    for op, a, b in (
        (ops.MUL, 0.0, INF),
        (ops.MUL, NAN, 0.0),
        (ops.SUB, INF, INF),
        (ops.ADD, INF, -INF),
    ):
        assert np.isinf(result(op, near(a, 0), near(b, 0), target=GPU).bound)
        assert result(op, near(a, 0), near(b, 0)).bound == 0
    for op, a, b in (
        (ops.MUL, NAN, 2.0),
        (ops.ADD, NAN, 2.0),
        (ops.MUL, 0.0, 2.0),
        (ops.ADD, INF, INF),
    ):
        assert result(op, near(a, 0), near(b, 0), target=GPU).bound == 0


def test_large_angles_have_an_absolute_bound_on_a_gpu() -> None:
    angle = float(np.float32(2e5))
    for op, most in ((ops.SIN, 1e-6), (ops.TAN, 2e-6 * (1 + np.tan(angle) ** 2))):
        value = abs(op.reference(np.float64(angle)))
        own = PROMISES[op.name][1] * float(unit(np.asarray(value), F32))
        assert result(op, near(angle, 0), target=GPU).bound == pytest.approx(most + own, rel=1e-3)
        near_zero = float(np.float32(7 * np.pi))
        assert result(op, near(near_zero, 0), target=GPU).bound < 1e-9
        assert result(op, near(angle, 0)).bound <= PROMISES[op.name][0] * unit(
            np.asarray(value), F32
        )


def test_a_remainder_on_a_gpu_is_free_near_whole_quotients() -> None:
    for op in (ops.MOD, ops.FMOD, ops.FLOORDIV):
        assert np.isinf(result(op, near(6.0, 0), near(2.0, 0), target=GPU).bound)
        found = result(op, near(7.0, 0), near(2.0, 0), target=GPU)
        slack = 0.0 if op is ops.FLOORDIV else 4 * 2.0**-23 * 3.5 * 2.0
        assert found.bound == pytest.approx(
            slack + 2.5 * unit(np.asarray(found.value), F32), rel=0.2
        )
        assert result(op, near(6.0, 0), near(2.0, 0)).bound == 0


def test_large_floors_are_as_good_as_numpys() -> None:
    """-14723078.5 rounds before its floor is taken."""
    a, b = np.float32(-628.0), np.float32(4.265412280801684e-05)
    found = result(ops.FLOORDIV, near(float(a), 0), near(float(b), 0))
    assert found.value == -14723079
    assert abs(float(a // b) - float(found.value)) <= found.bound < 3
    assert result(ops.FLOORDIV, near(2.0**21 + 0.5, 0), near(1.0, 0)).bound == 0


def test_only_an_overflowing_product_is_fusible() -> None:
    big = near(1e30, 0)
    assert result(ops.MUL, big, big).fusible
    assert result(ops.NEG, result(ops.MUL, big, big), dtypes=(F32,)).fusible
    assert not result(ops.MUL, near(INF, 0), big).fusible
    assert not result(ops.MUL, big, near(2.0, 0)).fusible
    assert not np.any(result(ops.ADD, big, big).fusible)


def test_the_sign_of_zero_is_lost_where_either_zero_may_be_returned() -> None:
    zeros = near(0.0, 0), near(-0.0, 0)
    for op in (ops.MIN, ops.MAX, ops.FMIN, ops.FMAX):
        assert result(op, *zeros).unsigned
        assert not result(op, zeros[0], near(1.0, 0)).unsigned
        assert not result(op, near(1.0, 0), zeros[1]).unsigned
    loose = near(0.0, 0, unsigned=np.asarray(True))
    assert result(ops.MUL, loose, near(2.0, 0)).unsigned
    assert not np.any(result(ops.MUL, *zeros).unsigned)
    assert not np.any(result(ops.CAST, exact(np.asarray(0)), dtypes=(I32,), to=F32).unsigned)


def test_only_gpus_compute_float64_in_float32() -> None:
    assert [computed(d, GPU) for d in (F64, F32, F16)] == [F32, F32, F16]
    assert [computed(d, IEEE) for d in (F64, F32, F16)] == [F64, F32, F16]


@pytest.mark.parametrize("target", [IEEE, GPU])
def test_a_choice_that_is_not_certain_may_be_either_value(target: TargetClass) -> None:
    for a, b, bound in (
        (1.0, 3.0, 2.5),
        (NAN, NAN, 0.5),
        (INF, INF, 0.5),
        (1.0, NAN, INF),
        (NAN, 1.0, INF),
        (INF, -INF, INF),
    ):
        for choice, other in ((True, 0.5), (False, 0.25)):
            sides = near(a, 0.5), near(b, 0.25)
            dtypes = (BOOL, F32, F32)
            sure = result(
                ops.SELECT, Bounded(np.asarray(choice), np.zeros(())), *sides,
                dtypes=dtypes, target=target,
            )  # fmt: skip
            unsure = result(
                ops.SELECT, Bounded(np.asarray(choice), np.asarray(INF)), *sides,
                dtypes=dtypes, target=target,
            )  # fmt: skip
            assert sure.bound == other
            assert unsure.bound == bound


def test_what_is_passed_on_and_not_known_is_anything() -> None:
    made = finish(np.array([1.0, NAN]), np.array([NAN, NAN]), 0.0, F32, IEEE)
    assert np.isinf(made.bound).all()
