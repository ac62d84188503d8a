"""Fast forms replace operations in values, and never in what positions are computed from."""

from __future__ import annotations

from tests.ir.elementary_cases import MACHINES
from tilewright.ir import build, ops
from tilewright.ir.dtypes import F32, I32, INDEX
from tilewright.ir.expr import Apply, Expr, Load, Var, post_order
from tilewright.ir.kernel import Buffer, Store
from tilewright.ir.legal.relax import relax

X, Y = Buffer("x", (8,), F32), Buffer("y", (8,), F32)
I = Var("i", 8)  # noqa: E741


def used(value: Expr, index: Expr = I) -> set[ops.Op]:
    (store,) = relax((Store(Y, (index,), value),), MACHINES["gpu"])
    assert isinstance(store, Store)
    roots = (store.value, *store.indices)
    return {n.op for n in post_order(roots) if isinstance(n, Apply)}


def position(x: Expr) -> Expr:
    return build.cast(build.cast(build.apply(ops.EXP, x), I32), INDEX)


def test_values_are_relaxed() -> None:
    assert used(build.apply(ops.EXP, Load(X, (I,)))) == {ops.NATIVE_EXP}


def test_positions_are_not() -> None:
    made = used(Load(X, (position(Load(X, (I,))),)))
    assert ops.EXP in made
    assert ops.NATIVE_EXP not in made
    made = used(Load(X, (I,)), position(Load(X, (I,))))
    assert ops.EXP in made
    assert ops.NATIVE_EXP not in made


def test_what_is_both_stays_as_it_is() -> None:
    power = build.apply(ops.EXP, Load(X, (I,)))
    place = build.cast(build.cast(power, I32), INDEX)
    made = used(build.add(Load(X, (place,)), power))
    assert ops.NATIVE_EXP not in made


def test_a_bound_below_is_seen_before_it_is_rewritten() -> None:
    """A maximum that takes no care of NaN no longer says that the base is not negative."""
    bounded = build.apply(ops.MAX, Load(X, (I,)), build.zero(F32))
    made = used(build.apply(ops.POW, bounded, build.const(2.4, F32)))
    assert ops.NATIVE_EXP2 in made
    assert ops.POW not in made
