"""What there is to choose for a nest, and that a choice does what it says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tilewright.compiler.runtime import runtime
from tilewright.compiler.targets import BuildOptions
from tilewright.compiler.tune.nests import tunable_nests
from tilewright.compiler.tune.subject import traced_call
from tilewright.ir.schedule import Schedule


def knobs(
    function: Callable[..., Any], **arrays: np.ndarray
) -> dict[str, dict[str, tuple[Any, ...]]]:
    """The values of the knobs of each nest."""
    traced, _ = traced_call(tw.kernel(target="glsl")(function), arrays)
    found = tunable_nests(traced, "glsl", BuildOptions())
    assert runtime()
    return {nest.name: {k.name: k.values for k in nest.space.knobs} for nest in found}


def zeros(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float32)


def product(a: Any, b: Any) -> Any:
    return a @ b


def total(x: Any) -> Any:
    return x.sum(axis=1)


def test_a_product_has_tiles_and_what_is_written_out() -> None:
    (found,) = knobs(product, a=zeros(256, 64), b=zeros(64, 256)).values()
    assert found["tile"][0] == (4, 4)
    assert {(), (2, 4), (2, 8), (1, 8)} <= set(found["tile"])
    assert found["pack"] == ((),)
    assert {4, 8, 16} <= set(found["unroll"])
    assert {0, 32} <= set(found["unroll_reduce"])
    assert "reduce_block" not in found


def test_odd_rows_may_be_copied() -> None:
    found = knobs(product, a=zeros(256, 63), b=zeros(63, 255))["t1"]
    assert found["pack"] == ((), (0,), (1,), (0, 1))
    assert (1, 4) in found["tile"]  # copies need a tile


def test_long_reductions_may_be_done_in_other_passes() -> None:
    found = knobs(total, x=zeros(16, 5000))
    assert "reduce_block" not in found["t1_parts"]
    assert {0, 64, 1024} <= set(found["t1"]["reduce_block"])
    assert "reduce_block" not in knobs(total, x=zeros(16, 32))["t1"]


def launches(function: Callable[..., Any], x: np.ndarray, **schedules: Schedule) -> int:
    made = tw.kernel(schedule=schedules)(function).compile(x, target="glsl")
    return len(made.specialization.artifact.program.steps)


def test_the_last_pass_says_how_many_there_are() -> None:
    """Schedules of those that it leaves out are not asked for, nor an error."""
    x = zeros(16, 2000)
    one, two = Schedule(reduce_block=1000), Schedule(reduce_block=100)
    assert launches(total, x, t1=one) == 1
    assert launches(total, x, t1=one, t1_parts=Schedule(unroll=4)) == 1
    assert launches(total, x, t1=two, t1_parts=Schedule(unroll=4)) == 2
    with pytest.raises(tw.ShapeError, match="there is a schedule for 't1_parts_parts'"):
        launches(total, x, t1_parts_parts=Schedule())
