"""Every operation on every dtype: legal in the end, and NumPy's answer on a device."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from tests.codegen_wgsl.nests import Array, elementwise, operation, run
from tests.ir.operation_cases import FLOATS, operands, samples
from tilewright.codegen_wgsl.backend import build
from tilewright.codegen_wgsl.device import Device
from tilewright.codegen_wgsl.emit import operations
from tilewright.ir import build as b
from tilewright.ir import dtypes, ops
from tilewright.ir.dtypes import BOOL, F16, F32, I32, U32, DType
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Apply
from tilewright.ir.kernel import Buffer

NARROW = (BOOL, dtypes.I8, dtypes.U8, dtypes.I16, dtypes.U16, I32, U32, F16, F32)
# Made by legalisation itself, with operands that keep its promises; for CPUs alone; or of no
# accuracy that could be tested here.
INTERNAL: tuple[ops.Op, ...] = (
    *(ops.QUO, ops.REM, ops.SHL_RAW, ops.SHR_RAW, ops.FMA, ops.MAD),
    *(ops.SCALE, ops.EXPONENT, ops.MANTISSA, ops.PICK, *ops.NATIVE),
)
PLAIN = [o for o in ops.OPS.values() if o.result != "given" and o not in INTERNAL]
CASES = [(o, d) for o in PLAIN for d in NARROW if d.kind in o.domain]


def named(case: object) -> str:
    return case.short if isinstance(case, DType) else str(case)


def ulps(got: Array, want: Array) -> float:
    """The largest distance in units of the last place of `want`; NaN meets only NaN."""
    exact, result = want.astype(np.float64), got.astype(np.float64)
    same = (exact == result) | (np.isnan(exact) & np.isnan(result))
    with np.errstate(all="ignore"):
        step = np.spacing(np.abs(want)).astype(np.float64)
        distance = np.nan_to_num(np.abs(exact - result) / step, nan=np.inf, posinf=np.inf)
    # Subnormal numbers may be flushed, by the device's choice.
    flushed = (np.abs(exact) < np.finfo(want.dtype).tiny * 4) & (np.abs(result) < 1e-30)
    distance = np.where(same | flushed, 0, distance)
    return float(distance.max())


def allowed_ulps(op: ops.Op, dtype: DType) -> float:
    if not op.elementary:
        return 2.5 if op in (ops.DIV, ops.SQRT) else 0
    return 1 if dtype is F16 else 16


@pytest.mark.wgsl
@pytest.mark.parametrize(("op", "dtype"), CASES, ids=named)
def test_operation(device: Device, op: ops.Op, dtype: DType) -> None:
    if op is ops.NEXTAFTER and dtype is F16:
        pytest.skip("refused: see test_backend")
    arrays, kinds = operands(op, dtype)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        want = np.asarray(op.reference(*arrays))
    (got,) = run(device, operation(op, kinds, arrays[0].size), arrays)
    assert got.dtype == want.dtype
    if want.dtype.kind != "f":
        np.testing.assert_array_equal(got, want)
    else:
        assert ulps(got, want) <= allowed_ulps(op, dtype)


@pytest.mark.wgsl
@pytest.mark.parametrize("target", NARROW, ids=named)
@pytest.mark.parametrize("source", NARROW, ids=named)
def test_conversion(device: Device, source: DType, target: DType) -> None:
    x = samples(source)
    with np.errstate(all="ignore"):
        want = ops.convert(x, target.numpy)
    (got,) = run(device, operation(ops.CAST, [source], x.size, target), [x])
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got, want)


@pytest.mark.wgsl
@pytest.mark.parametrize(
    ("source", "target"),
    [
        *((F32, I32), (F32, U32), (I32, F32), (I32, U32), (dtypes.U8, dtypes.I8)),
        *((dtypes.I8, dtypes.U8), (dtypes.U16, dtypes.I16), (BOOL, dtypes.U8)),
        *((F16, dtypes.U16), (F16, dtypes.I16), (dtypes.U16, F16), (dtypes.I16, F16)),
    ],
    ids=named,
)
def test_bits(device: Device, source: DType, target: DType) -> None:
    x = samples(source)
    if source is I32:
        x = np.array(FLOATS, np.float32).view(np.int32)
    (got,) = run(device, operation(ops.BITCAST, [source], x.size, target), [x])
    np.testing.assert_array_equal(got, x.view(target.numpy))


@pytest.mark.wgsl
def test_every_half(device: Device) -> None:
    """Packed float16 inputs arrive exactly, subnormal numbers included."""
    x = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    (got,) = run(device, operation(ops.CAST, [F16], x.size, F32), [x])
    np.testing.assert_array_equal(got, x.astype(np.float32))


@pytest.mark.wgsl
def test_narrow_integers_wrap_after_each_operation(device: Device) -> None:
    x = Buffer("x", (256,), dtypes.U8)
    made = elementwise(
        "wrap",
        [x],
        lambda v: b.floordiv(b.add(v, b.const(200, dtypes.U8)), b.const(2, dtypes.U8)),
        dtypes.U8,
    )
    values = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(
        run(device, made, [values])[0], (values + np.uint8(200)) // np.uint8(2)
    )


def test_internal_operations_are_legal_or_never_made() -> None:
    legal = {ops.QUO, ops.REM, ops.SHL_RAW, ops.SHR_RAW, ops.MAD}
    assert legal <= operations.LEGAL
    assert not {ops.SCALE, ops.FMA} & operations.LEGAL
    x = Buffer("x", (4,), F32)
    with pytest.raises(IRError, match="scale on float32 was not legalised"):
        build(elementwise("scale", [x], lambda v: Apply(ops.SCALE, (v, v)), F32))
