"""Folding makers: what they fold has the same value for every input."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ir import operation_cases
from tilewright.ir import build, ops
from tilewright.ir.dtypes import ALL, BOOL, F16, F32, F64, I8, I32, I64, INDEX, U8, U32, U64, DType
from tilewright.ir.expr import Apply, Const, Expr, Var
from tilewright.ir.interpret.values import evaluate, reads_nothing
from tilewright.ir.ops import Op

INTEGERS = (I8, U8, I32, U32, I64, INDEX)
FOLDED = tuple(build.FOLDED)


def value_of(node: Expr, **variables: int) -> int:
    known = {v: v.dtype.numpy.type(variables[v.name]) for v in variables_of(node)}
    return int(evaluate((node,), known, reads_nothing)[0])


def variables_of(node: Expr) -> list[Var]:
    from tilewright.ir.traverse import variables

    return list(variables((node,)))


@pytest.mark.parametrize("op", FOLDED, ids=lambda op: op.name)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_literals_fold_to_the_reference(op: Op, data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from(INTEGERS))
    edge = st.sampled_from((dtype.min, dtype.max, 0, 1))
    values = st.integers(dtype.min, dtype.max) | edge
    a, b = data.draw(values), data.draw(values)
    folded = build.apply(op, Const(a, dtype), Const(b, dtype))
    assert isinstance(folded, Const)
    wanted = Apply(op, (Const(a, dtype), Const(b, dtype)))
    assert folded.dtype is wanted.dtype
    assert value_of(folded) == value_of(wanted)


@pytest.mark.parametrize("op", FOLDED, ids=lambda op: op.name)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_identities_hold_for_every_input(op: Op, data: st.DataObject) -> None:
    """(x op c) op d and its mirror images, where rules for 0, 1 and chains of literals meet."""
    dtype = data.draw(st.sampled_from((I8, U8)))
    x = Var("x", None, dtype)
    chain: list[Expr] = [x, x]
    inner = data.draw(st.sampled_from([o for o in FOLDED if o not in ops.COMPARISONS]))
    for k, step in enumerate((inner, op)):
        literal = Const(
            data.draw(st.integers(dtype.min, dtype.max) | st.sampled_from((0, 1))), dtype
        )
        operands: tuple[Expr, Expr] = (chain[0], literal)
        plain: tuple[Expr, Expr] = (chain[1], literal)
        if data.draw(st.booleans()):
            operands, plain = operands[::-1], plain[::-1]
        chain = [build.apply(step, *operands), Apply(step, plain)]
        assert k or chain[0].dtype is dtype
    number = data.draw(st.integers(dtype.min, dtype.max))
    assert value_of(chain[0], x=number) == value_of(chain[1], x=number)


@pytest.mark.parametrize("op", FOLDED, ids=lambda op: op.name)
def test_floats_are_never_folded(op: Op) -> None:
    x = Var("x", None, F32)
    for operands in ((x, build.zero(F32)), (build.const(1, F32), x), (x, x)):
        if F32.kind in op.domain:
            assert isinstance(build.apply(op, *operands), Apply)


def test_literals_meet_on_the_right() -> None:
    i = Var("i", 8)
    total = build.add(build.index(2), build.add(i, build.index(3)))
    assert repr(total) == "add(i, 5:index)"
    assert build.sub(build.add(i, build.index(4)), build.index(4)) is i
    assert repr(build.mul(build.index(2), build.mul(i, build.index(3)))) == "mul(i, 6:index)"


@pytest.mark.parametrize(
    ("value", "dtype", "wanted"),
    [
        (300, U8, 44),
        (-1, U32, 2**32 - 1),
        (2**31, I32, -(2**31)),
        (0.1, F32, float(np.float32(0.1))),
        (1e6, F16, math.inf),
        (3, BOOL, True),
        (7, F64, 7.0),
    ],
)
def test_literals_are_of_their_dtype(value: float, dtype: DType, wanted: float) -> None:
    node = build.const(value, dtype)
    assert node.value == wanted
    assert type(node.value) is type(wanted)


def test_bit_patterns() -> None:
    assert build.from_bits(0x3F800000, F32).value == 1.0
    assert math.copysign(1, build.from_bits(0x8000, F16).value) == -1
    assert math.isnan(build.from_bits(0x7FF8000000000001, F64).value)


def test_casts_of_literals_are_the_references() -> None:
    for value in (300.7, -1.0, math.nan, math.inf):
        folded = build.cast(Const(value, F64), U8)
        assert isinstance(folded, Const)
        assert folded.value == int(ops.convert(np.float64(value), np.dtype(np.uint8)))
    x = Var("x", None, I32)
    assert build.cast(x, I32) is x
    assert build.bitcast(x, I32) is x


def test_logic() -> None:
    x = Var("x", None, BOOL)
    assert build.logical_and(build.TRUE, x) is x
    assert build.logical_and(x, build.TRUE) is x
    assert build.logical_and(x, build.FALSE) is build.FALSE
    assert build.select(build.TRUE, x, build.FALSE) is x
    assert build.select(x, build.TRUE, build.TRUE) is build.TRUE


def test_sizes() -> None:
    n = Var("N", least=0)
    assert build.size_add(2, 3) == 5
    assert build.size_sub(build.size_add(n, 3), 3) is n
    assert build.size_mul(build.index(2), 3) == 6
    assert build.size_floordiv(7, 2) == 3
    assert build.product((2, 3, 4)) == 24
    assert repr(build.product((n, 4))) == "mul(N, 4:index)"
    assert build.known(build.index(4)) == 4
    assert build.known(n) is None
    assert not build.is_const(build.const(0.0, F32), 0)
    assert not build.is_const(build.FALSE, 0)
    for four in (4, build.index(4), build.const(4, I8)):
        assert build.is_const(four, 4)
        assert not build.is_const(four, 3)
        assert build.known(four) == 4
    assert not build.is_const(n, 0)
    assert build.known(build.const(1.0, F32)) is None
    assert build.known(build.TRUE) is None
    assert repr(build.size_add(3, n)) == "add(N, 3:index)"
    assert repr(build.size_sub(3, n)) == "sub(3:index, N)"
    assert repr(build.size_mul(3, n)) == "mul(N, 3:index)"
    assert repr(build.size_floordiv(n, 3)) == "floordiv(N, 3:index)"
    assert build.size_mul(n, 0) == 0
    assert build.size_floordiv(n, 1) is n


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_rules_of_0_and_1_and_of_equal_operands(dtype: DType) -> None:
    x, y = Var("x", None, dtype), Var("y", None, dtype)
    zero, one, two = (build.const(v, dtype) for v in (0, 1, 2))
    for found in (
        *(build.add(x, zero), build.add(zero, x), build.sub(x, zero), build.mul(x, one)),
        *(build.mul(one, x), build.floordiv(x, one), build.minimum(x, x), build.maximum(x, x)),
    ):
        assert found is x
    for found in (build.mul(x, zero), build.mul(zero, x), build.sub(x, x), build.mod(x, one)):
        assert isinstance(found, Const)
        assert found.dtype is dtype
        assert found.value == 0
    for op in FOLDED:
        for a, b in ((x, y), (x, two), (zero, x) if op not in (ops.ADD, ops.MUL) else (y, x)):
            found = build.apply(op, a, b)
            assert isinstance(found, Apply)
            less = op is ops.SUB and b is two
            assert found.op is (ops.ADD if less else op)
            assert found.operands[0] is a
            assert less or found.operands[1] is b


@pytest.mark.parametrize("op", [ops.ADD, ops.MUL], ids=lambda op: op.name)
def test_chains_of_literals_are_one_literal(op: Op) -> None:
    x = Var("x", None, I8)
    for first, second in ((2, 3), (100, 100), (-128, -128), (-1, -2)):
        chains: list[Expr] = [x]
        for number in (first, second):
            literal = Const(number, I8)
            chains = [
                build.apply(op, *pair) for c in chains for pair in ((c, literal), (literal, c))
            ]
        total = op.reference(np.int8(first), np.int8(second))
        for chain in chains:
            if total == 0:
                assert chain is (x if op is ops.ADD else build.zero(I8)) or build.is_const(chain, 0)
                continue
            assert isinstance(chain, Apply)
            assert chain.operands[0] is x
            assert build.known(chain.operands[1]) == total


@pytest.mark.parametrize("source", ALL, ids=str)
def test_casts_of_literals_are_those_of_arrays(source: DType) -> None:
    for target in (*ALL, INDEX):
        for value in operation_cases.samples(source):
            folded = build.cast(Const(value.item(), source), target)
            wanted = ops.convert(value, target.numpy)
            assert isinstance(folded, Const)
            assert folded.dtype is target
            np.testing.assert_array_equal(target.numpy.type(folded.value), wanted)
    wide = Const((1 << 53) + 1, I64)
    for target in (U64, INDEX):
        assert build.known(build.cast(wide, target)) == (1 << 53) + 1


@pytest.mark.parametrize("dtype", [d for d in ALL if d.is_integer], ids=str)
def test_literals_wrap_as_their_dtype(dtype: DType) -> None:
    for value in (dtype.min, dtype.max, 0, 1):
        for turns in (-2, -1, 0, 1, 2):
            assert build.const(value + (turns << dtype.bits), dtype).value == value


def test_what_logic_leaves() -> None:
    x, y = Var("x", None, BOOL), Var("y", None, BOOL)
    assert repr(build.logical_and(x, y)) == "and(x, y)"
    assert build.logical_and(build.FALSE, x) is build.FALSE
    assert repr(build.select(x, y, build.TRUE)) == f"select(x, y, {build.TRUE!r})"
    assert build.select(build.FALSE, x, y) is y
    for name, op in (("lt", ops.LT), ("ge", ops.GE), ("eq", ops.EQ)):
        found = getattr(build, name)(x, y)
        assert isinstance(found, Apply)
        assert (found.op, *found.operands) == (op, x, y)
