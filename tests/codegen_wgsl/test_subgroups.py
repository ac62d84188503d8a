"""Rows whose invocations exchange values in subgroups, on both runners, compared with NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.codegen_wgsl.nests import Array, compile_program, reduction, softmax
from tests.codegen_wgsl.runners import RUNNERS, Device
from tests.ir.lower.traced_programs import program_of
from tests.ir.lower.workgroup.test_subgroups import REDUCERS
from tilewright.codegen_wgsl.backend import build, source
from tilewright.codegen_wgsl.keywords import ENABLE_SUBGROUPS
from tilewright.codegen_wgsl.options import WgslOptions
from tilewright.ir.fuse.options import WORKGROUP
from tilewright.ir.program import Nest, Program
from tilewright.ir.schedule import INNER, Schedule

ROWS = Schedule(vector=INNER, workgroup=(128,), subgroups=True)


@pytest.fixture(params=RUNNERS)
def device(request: pytest.FixtureRequest) -> Device:
    """Each of the runners in turn."""
    found: Device = request.getfixturevalue(request.param)
    if found.info.subgroup_sizes is None:
        pytest.skip("the device has no subgroups")
    return found


def run(device: Device, made: Program, inputs: list[Array], options: WgslOptions) -> list[Array]:
    """With workgroups that subgroups of any size fill."""
    schedules = {step.name: ROWS for step in made.steps if isinstance(step, Nest)}
    artifact = build(made, options, schedules)
    assert ENABLE_SUBGROUPS in source(artifact.program)
    found: list[Array] = device.load(artifact.program, artifact.constants)(inputs)
    return found


@pytest.mark.parametrize("name", REDUCERS)
@pytest.mark.parametrize("ahead", [False, True], ids=["for the device", "for any device"])
def test_reducers(device: Device, name: str, ahead: bool) -> None:
    function, x = REDUCERS[name]
    options = WgslOptions() if ahead else WgslOptions().on(device.info)
    with np.errstate(all="ignore"):
        expected: Any = function(x)
    found = run(device, program_of(function, [x], WORKGROUP), [x], options)
    wanted = expected if isinstance(expected, tuple) else (expected,)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("shape", [(1, 1), (300, 7), (3, 128), (70, 129), (5, 3001)])
def test_softmax(device: Device, rng: np.random.Generator, shape: tuple[int, int]) -> None:
    x = rng.standard_normal(shape, np.float32)
    e = np.exp(x.astype(np.float64) - x.max(axis=1, keepdims=True))
    (found,) = run(device, softmax(*shape), [x], WgslOptions().on(device.info))
    np.testing.assert_allclose(found, e / e.sum(axis=1, keepdims=True), rtol=2e-6, atol=1e-9)


def test_more_rows_than_a_dimension_has_workgroups(device: Device) -> None:
    """Whole workgroups leave then, and subgroups with them."""
    x = np.random.default_rng(1).integers(-9, 10, (65_537, 3)).astype(np.float32)
    made = program_of(lambda x: (x / 2).sum(axis=1), [np.repeat(x, 6, axis=1)], WORKGROUP)
    (found,) = run(device, made, [np.repeat(x, 6, axis=1)], WgslOptions().on(device.info))
    np.testing.assert_array_equal(found, 3 * x.sum(axis=1))


def test_golden(golden: Callable[[str, str], None]) -> None:
    golden(
        "wgsl/sums_by_subgroups",
        source(compile_program(reduction((64, 2000), 1, "add"), ROWS).program),
    )
