"""The same operations through ANGLE, the WebGL implementation of browsers, in Chromium."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.codegen_glsl.nests import at, buffer_like, mapped, program_of
from tests.codegen_glsl.test_legalize import NARROW, TABLE, check, expected, operands_for, samples
from tilewright.codegen_glsl.backend import build
from tilewright.ir import build as b
from tilewright.ir import dtypes, ops
from tilewright.ir.expr import Apply
from tilewright.ir.kernel import Buffer
from tilewright.ir.ops import convert

if TYPE_CHECKING:
    from tilewright.ir.dtypes import DType
    from tilewright.runtime_web.runner.webgl import WebGlBrowserDevice

pytestmark = pytest.mark.chromium


@pytest.mark.parametrize("dtype", NARROW, ids=str)
def test_operations_are_numpys(webgl_browser: WebGlBrowserDevice, dtype: DType) -> None:
    for op in [op for op, of in TABLE if of is dtype and op is not ops.SCALE]:
        arrays = operands_for(op, dtype)
        wanted = expected(op, arrays)
        result = dtypes.from_numpy(wanted.dtype)
        assert result is not None
        inputs = [buffer_like(f"x{k}", array) for k, array in enumerate(arrays)]
        target = Buffer("y", wanted.shape, result)
        step = mapped(target, lambda i: Apply(op, tuple(at(x, i) for x in inputs)))
        (actual,) = webgl_browser.load(build(program_of(inputs, [target], [step])))(arrays)
        check(actual, wanted, op, arrays)


@pytest.mark.parametrize("source", NARROW, ids=str)
def test_casts_are_numpys_and_saturate(webgl_browser: WebGlBrowserDevice, source: DType) -> None:
    values = samples(source)
    x = buffer_like("x", values)
    for target in NARROW:
        y = Buffer("y", values.shape, target)
        step = mapped(y, lambda i: b.cast(at(x, i), target))
        (actual,) = webgl_browser.load(build(program_of([x], [y], [step])))([values])
        np.testing.assert_array_equal(actual, convert(values, target.numpy))
