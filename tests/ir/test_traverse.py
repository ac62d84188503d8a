"""Walking and rewriting: sharing kept, nodes visited once, depth without limit."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ir.index_expressions import index_expressions, points, value_at
from tilewright.ir import build, ops
from tilewright.ir.dtypes import BOOL, F32, INDEX, U8
from tilewright.ir.expr import Apply, Const, Expr, Load, Var, post_order, unfinished
from tilewright.ir.kernel import Buffer
from tilewright.ir.traverse import (
    refold,
    replace_sources,
    rewrite,
    rewrite_to_fixpoint,
    substitute,
    variables,
)

ROW, COL, OTHER = Var("i", 4), Var("j", 3), Var("k", 2)


def ladder(rungs: int) -> Expr:
    """A tree of 2**rungs leaves that is a DAG of as many nodes as rungs."""
    node: Expr = ROW
    for _ in range(rungs):
        node = Apply(ops.ADD, (node, node))
    return node


def test_post_order_visits_once_operands_first() -> None:
    root = ladder(60)
    order = list(post_order((root, root)))
    assert len(order) == 61
    assert order[0] is ROW
    assert order[-1] is root


def test_rewrite_keeps_sharing_and_what_does_not_change() -> None:
    root = ladder(60)
    assert rewrite(root, lambda node: None) is root
    moved = rewrite(root, lambda node: COL if node is ROW else None)
    assert len(list(post_order((moved,)))) == 61
    assert variables((moved,)) == (COL,)


def test_rewrite_does_not_visit_what_a_rule_made() -> None:
    def grow(node: Expr) -> Expr | None:
        return Apply(ops.ADD, (node, build.index(1))) if node is ROW else None

    assert repr(rewrite(ROW, grow)) == "add(i, 1:index)"


def test_a_memo_is_shared_between_roots() -> None:
    calls: list[Expr] = []

    def note(node: Expr) -> Expr | None:
        calls.append(node)
        return None

    memo: dict[Expr, Expr] = {}
    shared = ladder(3)
    rewrite(shared, note, memo)
    rewrite(Apply(ops.MUL, (shared, COL)), note, memo)
    assert len(calls) == 4 + 2


def test_fixpoint_rewrites_what_rules_return() -> None:
    def halve(node: Expr) -> Expr | None:
        """``x * 2**k`` -> ``(x * 2**(k-1)) + (x * 2**(k-1))``; ``x * 1 -> x``."""
        if not (isinstance(node, Apply) and node.op is ops.MUL):
            return None
        value, factor = node.operands
        assert isinstance(factor, Const)
        if factor.value == 1:
            return value
        half = Apply(ops.MUL, (value, build.index(int(factor.value) // 2)))
        return Apply(ops.ADD, (half, half))

    root = Apply(ops.MUL, (Apply(ops.MUL, (ROW, build.index(4))), build.index(8)))
    result = rewrite_to_fixpoint(root, (halve,), {})
    assert all(not (isinstance(n, Apply) and n.op is ops.MUL) for n in post_order((result,)))
    assert value_at(result, {ROW: 3}) == 96


def test_the_first_rule_that_matches_wins() -> None:
    one, two = build.index(1), build.index(2)
    rules = (lambda n: one if n is ROW else None, lambda n: two if n is ROW else None)
    assert rewrite_to_fixpoint(ROW, rules, {}) is one


@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_substitution_is_evaluation_elsewhere(data: st.DataObject) -> None:
    node = data.draw(index_expressions((ROW, COL)))
    bindings = {
        ROW: data.draw(index_expressions((OTHER,))),
        COL: data.draw(index_expressions((OTHER,))),
    }
    replaced = substitute(node, bindings)
    assert set(variables((replaced,))) <= {OTHER}
    for point in points((OTHER,)):
        inner = {v: value_at(e, point) for v, e in bindings.items()}
        assert value_at(replaced, point) == value_at(node, inner)


def test_substitution_folds_and_maps_loads() -> None:
    x, y = Buffer("x", (4, 3), F32), Buffer("y", (12,), F32)
    node = Load(x, (Apply(ops.ADD, (ROW, build.index(1))), COL))

    def flat(load: Load) -> Expr | None:
        a, b = load.indices
        return Load(y, (build.add(build.mul(a, build.index(3)), b),))

    bound = {ROW: build.index(2), COL: build.index(1)}
    assert repr(substitute(node, bound)) == "x[3:index, 1:index]"
    assert repr(substitute(node, bound, flat)) == "y[10:index]"


def test_sources_are_replaced_everywhere() -> None:
    x, y = Buffer("x", (4,), F32), Buffer("y", (4,), F32)
    node = Apply(ops.ADD, (Load(x, (ROW,)), Load(x, (build.index(0),))))
    replaced = replace_sources(node, {x: y})
    sources = {n.source for n in post_order((replaced,)) if isinstance(n, Load)}
    assert sources == {y}


def test_refold() -> None:
    literal = Apply(ops.MUL, (build.index(2), build.index(3)))
    folded = refold(literal)
    assert isinstance(folded, Const)
    assert (folded.value, folded.dtype) == (6, INDEX)
    assert refold(ROW) is None
    both = Apply(ops.AND, (build.TRUE, build.FALSE))
    assert refold(both) is build.FALSE


def test_only_integers_and_logic_are_refolded() -> None:
    x, u = Var("x", dtype=F32), Var("u", dtype=U8)
    one, zero = build.const(1.0, F32), build.const(0, U8)
    c = Var("c", dtype=BOOL)
    for node in (
        Apply(ops.MUL, (x, one)),
        Apply(ops.LT, (one, one)),
        Apply(ops.NEG, (zero,)),
        Apply(ops.XOR, (u, u)),
        Apply(ops.AND, (u, zero)),
        Apply(ops.OR, (build.TRUE, c)),
        Load(Buffer("b", (4,), F32), (ROW,)),
        one,
    ):
        assert refold(node) is None, node
    for node, wanted in (
        (Apply(ops.ADD, (u, zero)), u),
        (Apply(ops.AND, (build.TRUE, c)), c),
        (Apply(ops.SELECT, (build.TRUE, x, one)), x),
        (Apply(ops.CAST, (x,), F32), x),
    ):
        assert refold(node) is wanted


def test_depth_has_no_limit() -> None:
    node: Expr = ROW
    for _ in range(20000):
        node = Apply(ops.ADD, (node, build.index(1)))
    assert len(list(post_order((node,)))) == 40001
    assert variables((rewrite(node, refold),)) == (ROW,)


def test_substituting_keeps_what_does_not_change() -> None:
    """Expressions are known by identity: an equal copy would be taken for another value."""
    sum_of_axes = Apply(ops.ADD, (COL, Apply(ops.MUL, (COL, OTHER))))
    x = Buffer("x", (4, 9), F32)
    root = Load(x, (ROW, sum_of_axes))
    moved = substitute(root, {ROW: build.index(3)})
    assert isinstance(moved, Load)
    assert moved is not root
    assert moved.indices[1] is sum_of_axes
    assert substitute(root, {}) is root
    assert substitute(root, {}, lambda load: None) is root


def test_post_order_goes_from_left_to_right() -> None:
    left, right = Apply(ops.NEG, (ROW,)), Apply(ops.ABS, (COL,))
    last = Apply(ops.NEG, (COL,))
    both = Apply(ops.ADD, (right, last))
    root = Apply(ops.SUB, (left, both))
    assert list(post_order((root,))) == [ROW, left, COL, right, last, both, root]
    assert list(visited(root, set())) == list(post_order((root,)))
    assert list(visited(root, {left, COL})) == [right, last, both, root]


def visited(root: Expr, done: set[Expr]) -> Iterator[Expr]:
    for node in unfinished(root, done):
        done.add(node)
        yield node
