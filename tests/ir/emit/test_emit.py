"""What emitters of all targets share: places of code, what values depend on, folded positions."""

from __future__ import annotations

import itertools

import pytest

from tests.ir.emit.test_statements import COLUMN, OUT, ROW, A, Block, Toy, read
from tilewright.ir import build as b
from tilewright.ir import ops
from tilewright.ir.analysis.affine import linear
from tilewright.ir.dtypes import BOOL, F32, INDEX
from tilewright.ir.emit.environment import Environment, Facts, Lanes, Value, buffer_of
from tilewright.ir.emit.scopes import Scope, Scopes
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Apply, LaneReduce, Load, Var
from tilewright.ir.graph import Input
from tilewright.ir.kernel import Buffer

# Positions that are known when code is made.

FOLDED = (
    *(ops.ADD, ops.SUB, ops.MUL, ops.MIN, ops.MAX),
    *(ops.QUO, ops.REM, ops.FLOORDIV, ops.MOD),
)


@pytest.mark.parametrize("op", FOLDED, ids=lambda op: op.name)
def test_positions_of_unrolled_loops_are_folded(op: ops.Op) -> None:
    for one, other in itertools.product(range(-3, 4), repeat=2):
        toy = Toy()
        toy.environment.bindings.update({ROW: one, COLUMN: other})
        found = toy.evaluate(Apply(op, (ROW, COLUMN)))
        divides = op in (ops.QUO, ops.REM, ops.FLOORDIV, ops.MOD)
        wanted = 0 if divides and other == 0 else int(op.reference(one, other))
        assert (found.known, found.text, found.lanes) == (wanted, str(wanted), 1)
        (outermost,) = toy.function.stack
        assert not outermost.lines


def test_what_is_added_to_a_known_zero_stays() -> None:
    for zero, other in ((ROW, COLUMN), (COLUMN, ROW)):
        toy = Toy()
        name = Value("n", 1, 0)
        toy.environment.bindings.update({zero: 0, other: name})
        assert toy.evaluate(Apply(ops.ADD, (ROW, COLUMN))) is name
        toy.environment.bindings.update({zero: 1, other: name})
        assert toy.evaluate(Apply(ops.ADD, (ROW, COLUMN))).text == "v1"


def test_only_positions_are_folded() -> None:
    toy = Toy()
    two = b.const(2.0, F32)
    assert toy.evaluate(Apply(ops.MUL, (two, two))).known is None
    toy.environment.bindings[ROW] = 3
    assert toy.evaluate(Apply(ops.NEG, (ROW,))).known == -3
    assert toy.evaluate(b.index(7)).known == 7
    assert toy.evaluate(two).known is None


# Offsets.


def test_offsets_under_bindings() -> None:
    toy = Toy()
    name, lanes = Value("n", 1, 0), Value("v", 4, 0)
    form = linear(b.add(b.add(b.mul(ROW, b.index(8)), b.mul(COLUMN, b.index(3))), b.index(5)))
    toy.environment.bindings.update({ROW: 2, COLUMN: name})
    found = toy.resolve(form)
    assert (found.constant, found.step, found.lanes) == (21, 0, 1)
    assert (found.scalars, found.vectors) == ([(name, 3)], [])
    toy.environment.bindings[COLUMN] = Lanes(2, 4)
    found = toy.resolve(form)
    assert (found.constant, found.step, found.lanes) == (27, 3, 4)
    assert (found.scalars, found.vectors) == ([], [])
    toy.environment.bindings[COLUMN] = Lanes(2, 1)
    found = toy.resolve(form)
    assert (found.constant, found.step, found.lanes) == (27, 0, 1)
    toy.environment.bindings[COLUMN] = lanes
    found = toy.resolve(form)
    assert (found.constant, found.lanes, found.scalars, found.vectors) == (21, 4, [], [(lanes, 3)])
    toy.environment.bindings.update({ROW: Lanes(1, 4), COLUMN: Lanes(2, 4)})
    cancelled = linear(b.sub(ROW, COLUMN))
    found = toy.resolve(cancelled)
    assert (found.constant, found.step, found.lanes) == (-1, 0, 1)


def test_lanes_of_one_element_are_a_number() -> None:
    toy = Toy()
    toy.environment.bindings.update({ROW: Lanes(3, 1), COLUMN: Lanes(3, 4)})
    assert toy.evaluate(ROW).known == 3
    assert (toy.evaluate(COLUMN).known, toy.evaluate(COLUMN).lanes) == (None, 4)
    assert toy.evaluate(COLUMN).text == "np.arange(3, 7)"
    with pytest.raises(IRError, match="variable k is not bound here"):
        toy.evaluate(Var("k"))


# What was computed once.


def test_a_value_is_another_one_in_another_round_and_after_a_store() -> None:
    toy = Toy()
    element, sum_of_both = read(ROW, COLUMN), b.add(read(ROW, COLUMN), b.const(1, F32))
    toy.environment.bindings.update({ROW: 0, COLUMN: Value("j", 1, 0)})
    first = toy.evaluate(element)
    assert toy.evaluate(element) is first
    toy.environment.bindings[ROW] = 1
    second = toy.evaluate(element)
    assert second is not first
    total = toy.evaluate(sum_of_both)
    toy.environment.bindings[ROW] = 0
    assert toy.evaluate(element) is first
    toy.environment.stored(OUT)
    assert toy.evaluate(element) is first
    toy.environment.stored(A)
    third = toy.evaluate(element)
    assert third not in (first, second)
    assert toy.evaluate(sum_of_both) is not total


# Facts.

REGISTER = Buffer("r", (2, 4), F32, "register")
VIEW = Buffer("view", (64,), F32, base=A)


def test_what_an_expression_depends_on() -> None:
    environment = Environment()
    inner = read(ROW, b.add(ROW, COLUMN))
    both = b.add(Load(VIEW, (b.mul(COLUMN, b.index(2)),)), Load(OUT, (ROW, ROW)))
    total = LaneReduce(ops.ADD, REGISTER, (ROW,))
    flag = Var("c", dtype=BOOL)
    likely = Apply(ops.LIKELY, (flag, inner, both))
    held = Load(REGISTER, (ROW, COLUMN))
    for node, facts in (
        (ROW, Facts((ROW,), (), False, False)),
        (b.index(3), Facts((), (), False, False)),
        (inner, Facts((ROW, COLUMN), (A,), False, False)),
        (both, Facts((COLUMN, ROW), (A, OUT), False, False)),
        (total, Facts((ROW,), (), True, False)),
        (held, Facts((ROW, COLUMN), (), True, False)),
        (b.add(held, inner), Facts((ROW, COLUMN), (A,), True, False)),
        (b.add(likely, inner), Facts((flag, ROW, COLUMN), (A, OUT), False, True)),
    ):
        found = environment.facts(node)
        assert found == facts
        assert environment.facts(node) is found


def test_offsets_of_given_strides_and_of_others() -> None:
    environment = Environment(lambda size: size)
    strided = Buffer("s", (8, 8), F32, strides=(20, 2))
    for buffer, factors in ((A, (8, 1)), (strided, (20, 2))):
        form = environment.offset(buffer, (ROW, COLUMN))
        assert form.terms == dict(zip((ROW, COLUMN), factors, strict=True))
        assert environment.offset(buffer, (ROW, COLUMN)) is form
        assert environment.offset(buffer, (COLUMN, ROW)).terms != form.terms
    n = Var("N", dtype=INDEX)
    legal = Environment(lambda size: b.index(5) if size is n else size)
    opened = Buffer("o", (8, n), F32)
    assert legal.offset(opened, (ROW, COLUMN)).terms == {ROW: 5, COLUMN: 1}
    with pytest.raises(IRError, match="x is read in a kernel but is not a buffer"):
        buffer_of(Load(Input("x", (), F32), ()))


# Scopes.


def scopes(*inner: Scope) -> Scopes[Scope]:
    made: Scopes[Scope] = Scopes(Block())
    for scope in inner:
        made.enter(scope)
    return made


def test_code_stays_inside_of_what_may_not_run() -> None:
    made = scopes(Scope(), Scope("everything"), Scope("loads"), Scope())
    assert (made.depth, made.floor) == (4, 2)
    made.leave()
    made.leave()
    assert (made.depth, made.floor) == (2, 2)
    made.leave()
    assert (made.depth, made.floor) == (1, 0)


def test_loads_stay_inside_of_loops_that_store_and_of_what_may_not_run() -> None:
    stores = Scope(stored=frozenset({A}))
    assert scopes(Scope(), stores, Scope()).load_floor(A) == 2
    assert scopes(Scope(), stores, Scope()).load_floor(OUT) == 0
    assert scopes(stores, Scope(), stores).load_floor(A) == 3
    assert scopes(stores, Scope("loads"), Scope()).load_floor(A) == 2
    assert scopes(Scope(), Scope("everything")).load_floor(OUT) == 2
    assert scopes(stores).load_floor(A) == 1
    assert scopes().load_floor(A) == 0


def test_vectors_wait_outside_as_long_as_there_is_room() -> None:
    made = scopes(Scope(), Scope())
    assert [made.for_guest(1, 2) for _ in range(4)] == [1, 1, 2, 2]
    assert made.for_guest(2, 0) == 2
    assert [made.for_guest(0, 1) for _ in range(2)] == [0, 2]


def test_what_a_seldom_entered_scope_needs_is_computed_in_it() -> None:
    made = scopes(Scope(), Scope(lazy=True), Scope(lazy=True), Scope(), Scope(lazy=True))
    assert [made.into_lazy(depth) for depth in range(6)] == [0, 3, 3, 3, 5, 5]


def test_values_and_names_are_found_in_open_scopes_from_the_innermost() -> None:
    made = scopes(Scope(), Scope())
    outer, inner = Value("outer", 1, 0), Value("inner", 1, 2)
    made.stack[0].values["x"], made.stack[2].values["x"] = outer, inner
    made.stack[0].names["x"], made.stack[2].names["x"] = "outer", "inner"
    made.stack[1].names["y"] = "middle"
    assert made.find("x") is inner
    assert made.find("y") is None
    assert [made.name_of("x", depth) for depth in range(3)] == ["outer", "outer", "inner"]
    assert [made.name_of("y", depth) for depth in range(3)] == [None, "middle", "middle"]
    made.leave()
    assert made.find("x") is outer
