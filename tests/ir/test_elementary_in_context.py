"""Functions of functions: the shorter forms apply where they should, and are exact enough."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.ir.elementary_cases import MACHINES, samples, special_values, ulps
from tests.ir.elementary_oracle import evaluate
from tilewright.ir import build, ops
from tilewright.ir.dtypes import F16, F32, F64, DType
from tilewright.ir.elementary import Machine, expand, expand_in_context
from tilewright.ir.expr import Apply, Expr, Var, post_order
from tilewright.ir.traverse import rewrite, rewrite_to_fixpoint

Array = NDArray[Any]
Formula = Callable[[Expr], Expr]
IEEE = [name for name, machine in MACHINES.items() if machine.ieee]
WIDE = np.longdouble


def one(x: Expr) -> Expr:
    return build.const(1.0, x.dtype)


def softplus(x: Expr, bounded: Expr | None = None) -> Expr:
    power = build.apply(ops.EXP, build.apply(ops.NEG, build.apply(ops.ABS, x)))
    above = build.apply(ops.MAX, x if bounded is None else bounded, build.zero(x.dtype))
    return build.add(build.apply(ops.LOG1P, power), above)


def one_plus_tanh(x: Expr) -> Expr:
    return build.add(one(x), build.apply(ops.TANH, x))


def tanh_plus_one(x: Expr) -> Expr:
    return build.add(build.apply(ops.TANH, x), one(x))


def one_minus_tanh(x: Expr) -> Expr:
    return build.apply(ops.SUB, one(x), build.apply(ops.TANH, x))


def one_plus_tanh_of_half(x: Expr) -> Expr:
    return one_plus_tanh(build.mul(x, build.const(0.5, x.dtype)))


def tanh_of_softplus(x: Expr) -> Expr:
    return build.apply(ops.TANH, softplus(x))


def tanh_of_softplus_turned(x: Expr) -> Expr:
    above, power = softplus(x).operands
    return build.apply(ops.TANH, build.add(power, above))


def tanh_of_plain_softplus(x: Expr) -> Expr:
    return build.apply(ops.TANH, build.apply(ops.LOG1P, build.apply(ops.EXP, x)))


def log1p_of_power(x: Expr) -> Expr:
    return softplus(x).operands[0]


def _tanh_of_softplus_exactly(x: Array) -> Array:
    w = np.exp(np.minimum(x, 40)) * (np.exp(np.minimum(x, 40)) + 2)
    return np.asarray(w / (w + 2))


SHORTER: dict[Formula, tuple[Callable[[Array], Array], float]] = {
    one_plus_tanh: (lambda x: 2 / (1 + np.exp(-2 * x)), 3),
    tanh_plus_one: (lambda x: 2 / (1 + np.exp(-2 * x)), 3),
    one_minus_tanh: (lambda x: 2 / (1 + np.exp(2 * x)), 3),
    one_plus_tanh_of_half: (lambda x: 2 / (1 + np.exp(-x)), 3),
    tanh_of_softplus: (_tanh_of_softplus_exactly, 4),
    tanh_of_softplus_turned: (_tanh_of_softplus_exactly, 4),
    tanh_of_plain_softplus: (_tanh_of_softplus_exactly, 4),
    log1p_of_power: (lambda x: np.log1p(np.exp(-abs(x))), 3),
}


def shortened(root: Expr, machine: Machine) -> Expr:
    for round_ in range(2):
        root = rewrite(root, lambda e, r=round_: expand_in_context(e, machine, r))  # type: ignore[misc]
    return root


def functions(root: Expr) -> list[str]:
    nodes = post_order((root,))
    return sorted(n.op.name for n in nodes if isinstance(n, Apply) and n.op.elementary)


def run(root: Expr, x: Var, values: Array, machine: Machine) -> Array:
    """The value of `root`, its functions expanded."""

    def rule(node: Expr) -> Expr | None:
        if isinstance(node, Apply) and node.op.elementary:
            return expand(node.op, node.operands, machine)
        return None

    legal = rewrite_to_fixpoint(root, (rule,), {})
    return evaluate(legal, {x: values}, fused_mad=machine.has_fma)


@pytest.mark.parametrize("dtype", [F32, F64], ids=["f32", "f64"])
@pytest.mark.parametrize("machine", IEEE)
@pytest.mark.parametrize("formula", SHORTER, ids=lambda f: f.__name__)
def test_error(formula: Formula, machine: str, dtype: DType) -> None:
    exactly, most = SHORTER[formula]
    x = Var("x", dtype=dtype)
    values = samples("tanh", dtype.numpy.type, 1 << 12)
    short = shortened(formula(x), MACHINES[machine])
    got = run(short, x, values, MACHINES[machine])
    with np.errstate(all="ignore"):
        true = exactly(values.astype(WIDE))
        error = ulps(got, true)
        # Where the power overflows, what is below the normal numbers is zero.
        tiny = abs(got.astype(WIDE) - true) <= np.finfo(dtype.numpy).tiny
    error = np.where(tiny, 0, error)
    i = int(np.argmax(error))
    assert error[i] <= most, f"{error[i]} ulp at {values[i]!r}: {got[i]!r}, not {true[i]!r}"


@pytest.mark.parametrize("formula", SHORTER, ids=lambda f: f.__name__)
def test_at_most_one_exponential_is_left(formula: Formula) -> None:
    for machine in IEEE:
        left = functions(shortened(formula(Var("x", dtype=F32)), MACHINES[machine]))
        assert left == ["exp"]


@pytest.mark.parametrize("formula", SHORTER, ids=lambda f: f.__name__)
def test_infinities_and_nan_are_as_without_it(formula: Formula) -> None:
    x, machine = Var("x", dtype=F32), MACHINES["avx512"]
    values = special_values(np.float32)
    values = values[~np.isfinite(values)]
    short = run(shortened(formula(x), machine), x, values, machine)
    np.testing.assert_array_equal(short, run(formula(x), x, values, machine))


def two_plus_tanh(x: Expr) -> Expr:
    return build.add(build.const(2.0, x.dtype), build.apply(ops.TANH, x))


def tanh_minus_one(x: Expr) -> Expr:
    return build.apply(ops.SUB, build.apply(ops.TANH, x), one(x))


def log1p_of_large_power(x: Expr) -> Expr:
    return build.apply(ops.LOG1P, build.apply(ops.EXP, x))


@pytest.mark.parametrize("formula", [two_plus_tanh, tanh_minus_one, log1p_of_large_power])
def test_others_stay(formula: Formula) -> None:
    root = formula(Var("x", dtype=F32))
    assert shortened(root, MACHINES["avx512"]) is root


def test_a_softplus_of_two_arguments_is_none() -> None:
    x, y = Var("x", dtype=F32), Var("y", dtype=F32)
    left = shortened(build.apply(ops.TANH, softplus(x, bounded=y)), MACHINES["avx512"])
    assert functions(left) == ["exp", "tanh"]


@pytest.mark.parametrize("formula", SHORTER, ids=lambda f: f.__name__)
def test_shaders_and_half_precision_keep_the_functions(formula: Formula) -> None:
    for dtype, machine in ((F32, "gpu"), (F16, "avx512")):
        root = formula(Var("x", dtype=dtype))
        assert shortened(root, MACHINES[machine]) is root
