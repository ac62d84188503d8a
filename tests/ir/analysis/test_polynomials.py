"""Polynomials have the value of the index expression that they were read from."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ir.index_expressions import index_expressions, points, value_at
from tilewright.ir import build, ops
from tilewright.ir.analysis.polynomials import Polynomial, number, polynomial
from tilewright.ir.dtypes import I32, I64, INDEX, U32, DType
from tilewright.ir.expr import Apply, Expr, Var

ROW, COL = Var("i", 4), Var("j", 3)


def value_of(p: Polynomial, point: dict[Var, int]) -> int:
    total = 0
    for monomial, factor in p.terms.items():
        for atom in monomial:
            factor *= value_at(p.atoms[atom], point)
        total += factor
    return total


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_polynomials_keep_the_value(data: st.DataObject) -> None:
    node = data.draw(index_expressions((ROW, COL)))
    p = polynomial(node)
    for point in points((ROW, COL)):
        assert value_of(p, point) == value_at(node, point)


def linear_forms() -> list[tuple[tuple[int, int, int], Polynomial]]:
    i, j = polynomial(ROW), polynomial(COL)
    found = []
    for a in (-2, 0, 1):
        for b in (-1, 0, 3):
            for c in (-1, 0, 2):
                found.append(((a, b, c), i.scaled(a) + j.scaled(b) + number(c)))
    return found


def test_arithmetic_of_all_small_forms() -> None:
    for (a, b, c), p in linear_forms():
        assert p.constant == (c if a == b == 0 else None)
        assert p.degree == (1 if a or b else 0)
        for (d, e, f), q in linear_forms():
            for point in points((ROW, COL)):
                x, y = a * point[ROW] + b * point[COL] + c, d * point[ROW] + e * point[COL] + f
                assert value_of(p + q, point) == x + y
                assert value_of(p - q, point) == x - y
                assert value_of(p * q, point) == x * y
            assert (p.key() == q.key()) == ((a, b, c) == (d, e, f))
            assert ((p - q).constant == 0) == ((a, b, c) == (d, e, f))


def test_substitution() -> None:
    i, j = polynomial(ROW), polynomial(COL)
    (atom,) = i.atoms
    p = i * i * j + i.scaled(-3) + j + number(5)
    assert sorted(p.factors_of(atom)) == [-3, 1]
    for value in (number(2), j + number(1), i - j):
        replaced = p.substitute(atom, value)
        for point in points((ROW, COL)):
            x, y = value_of(value, point), point[COL]
            assert value_of(replaced, point) == x * x * y - 3 * x + y + 5


def cast(node: Expr, dtype: DType) -> Expr:
    return Apply(ops.CAST, (node,), dtype)


def same(a: Expr, b: Expr) -> bool:
    return (polynomial(a) - polynomial(b)).constant == 0


def test_equal_operations_are_one_atom() -> None:
    two = build.index(2)
    half, other = (Apply(ops.FLOORDIV, (build.add(ROW, build.index(1)), two)) for _ in range(2))
    assert same(build.add(half, other), build.mul(half, two))
    assert not same(half, Apply(ops.FLOORDIV, (ROW, two)))
    assert not same(half, Apply(ops.MOD, half.operands))
    assert not same(half, Apply(ops.FLOORDIV, (half.operands[0], build.index(3))))
    assert same(Apply(ops.NEG, (ROW,)), build.sub(build.index(0), ROW))


def test_casts_that_keep_the_value_are_looked_through() -> None:
    narrow, wide, unsigned = Var("n", dtype=I32), Var("w", dtype=I64), Var("u", dtype=U32)
    for inner, outer in ((narrow, I64), (narrow, INDEX), (wide, INDEX), (ROW, I64)):
        assert list(polynomial(cast(inner, outer)).atoms.values()) == [inner]
    for inner, outer in ((wide, I32), (ROW, I32), (unsigned, I64)):
        node = cast(inner, outer)
        assert list(polynomial(node).atoms.values()) == [node]


def test_products_of_up_to_64_terms_are_read() -> None:
    def total(name: str, count: int) -> Expr:
        node: Expr = build.index(0)
        for k in range(count):
            node = Apply(ops.ADD, (node, Var(f"{name}{k}", 2)))
        return node

    for one, other in ((8, 8), (16, 4), (32, 2)):
        assert len(polynomial(Apply(ops.MUL, (total("a", one), total("b", other)))).terms) == 64
    for one, other in ((8, 9), (13, 5)):
        assert len(polynomial(Apply(ops.MUL, (total("a", one), total("b", other)))).terms) == 1


def test_what_is_too_deep_or_too_large_is_an_atom_of_the_same_value() -> None:
    deep: Expr = ROW
    for _ in range(20):
        deep = Apply(ops.ADD, (deep, COL))
    assert polynomial(deep).degree == 1
    assert len(polynomial(deep).terms) == 2
    for _ in range(200):
        deep = Apply(ops.ADD, (deep, COL))
    wide: Expr = build.index(0)
    for k in range(80):
        wide = Apply(ops.ADD, (wide, Var(f"v{k}", 2)))
    power: Expr = ROW
    for exponent in range(2, 9):
        power = Apply(ops.MUL, (power, ROW))
        assert polynomial(power).degree == (exponent if exponent <= 6 else exponent - 6)
    for node in (deep, wide, power):
        p = polynomial(node)
        assert len(p.terms) <= 64
        point = {a: 1 for a in _variables(node)}
        assert value_of(p, point) == value_at(node, point)


def _variables(node: Expr) -> set[Var]:
    from tilewright.ir.traverse import variables

    return set(variables((node,)))
