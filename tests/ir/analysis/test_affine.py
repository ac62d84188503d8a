"""Linear forms have the values of what they were made of."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ir.index_expressions import index_expressions, points, value_at
from tilewright.ir import build, ops
from tilewright.ir.analysis.affine import linear, offset, rejoined, row_major_strides
from tilewright.ir.expr import Apply, Var

ROW, COL = Var("i", 4), Var("j", 3)


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_linear_forms_keep_the_value(data: st.DataObject) -> None:
    node = data.draw(index_expressions((ROW, COL)))
    form = linear(node)
    back = form.expression()
    for point in points((ROW, COL)):
        wanted = value_at(node, point)
        assert value_at(back, point) == wanted
        atoms = sum(c * value_at(a, point) for a, c in form.terms.items())
        assert atoms + form.constant == wanted


def test_terms_are_collected() -> None:
    node = Apply(ops.SUB, (Apply(ops.MUL, (build.index(3), build.add(ROW, COL))), ROW))
    form = linear(Apply(ops.SUB, (node, Apply(ops.NEG, (build.index(5),)))))
    assert form.terms == {ROW: 2, COL: 3}
    assert form.constant == 5
    assert form.coefficient(COL) == 3
    assert form.coefficient(Var("k", 2)) == 0
    assert form.without(ROW).terms == {COL: 3}


def test_terms_that_cancel_are_gone() -> None:
    assert linear(Apply(ops.SUB, (ROW, ROW))).terms == {}


def test_other_operations_are_atoms() -> None:
    half = build.floordiv(ROW, build.index(2))
    product = build.mul(ROW, COL)
    form = linear(build.add(build.mul(half, build.index(4)), product))
    assert form.terms == {half: 4, product: 1}


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_rejoined_forms_keep_the_value(data: st.DataObject) -> None:
    """Of sums in which quotients and remainders of the same numbers are likely."""
    number = data.draw(index_expressions((ROW, COL)))
    sizes, factors = st.sampled_from([1, 2, 3]), st.sampled_from([-6, -2, 1, 2, 3, 4, 6, 9])
    total = data.draw(index_expressions((ROW, COL)))
    for op in data.draw(st.permutations([ops.MOD, ops.FLOORDIV, ops.REM, ops.QUO])):
        part = Apply(op, (number, build.index(data.draw(sizes))))
        total = build.add(total, build.mul(part, build.index(data.draw(factors))))
    bits = data.draw(st.integers(0, 2))
    for op, literal in ((ops.SHR_RAW, bits), (ops.AND, 2**bits - 1)):
        part = Apply(op, (number, build.index(literal)))
        total = build.add(total, build.mul(part, build.index(data.draw(factors))))
    form = rejoined(linear(total))
    for point in points((ROW, COL)):
        atoms = sum(c * value_at(a, point) for a, c in form.terms.items())
        assert atoms + form.constant == value_at(total, point)


def test_coordinates_of_one_position_are_rejoined() -> None:
    position = build.add(build.mul(ROW, build.index(7)), COL)
    rest, last = build.floordiv(position, build.index(3)), build.mod(position, build.index(3))
    first, middle = build.floordiv(rest, build.index(5)), build.mod(rest, build.index(5))
    contiguous = offset([first, middle, last], [15, 3, 1])
    assert rejoined(linear(contiguous)).terms == {ROW: 7, COL: 1}
    padded = rejoined(linear(offset([first, middle, last], [16, 3, 1])))
    assert padded.terms == {first: 16, middle: 3, last: 1}
    assert rejoined(linear(offset([first, last], [15, 1]))).terms == {first: 15, last: 1}
    shifted = Apply(ops.SHR_RAW, (position, build.index(5)))
    masked = Apply(ops.AND, (position, build.index(31)))
    assert rejoined(linear(offset([shifted, masked], [32, 1]))).terms == {ROW: 7, COL: 1}


def test_offsets_are_row_major() -> None:
    shape = (2, 3, 4)
    axes = [Var(f"i{k}", n) for k, n in enumerate(shape)]
    strides = row_major_strides(shape)
    assert strides == (12, 4, 1)
    place = offset(axes, strides)
    found = [value_at(place, point) for point in points(axes)]
    assert found == list(range(int(np.prod(shape))))


def test_strides_of_open_shapes() -> None:
    n = Var("N", least=0)
    outer, inner = row_major_strides((5, n))
    assert outer is n
    assert inner == 1
