"""Linear forms have the values of what they were made of."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ir.index_expressions import index_expressions, points, value_at
from tilewright.ir import build, ops
from tilewright.ir.analysis.affine import linear, offset, row_major_strides
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
