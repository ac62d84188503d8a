"""Whether a device computes with float16 as IEEE 754 says.

WGSL lets a device round either way, take subnormal numbers for 0, and make anything of what is
beyond the range. In: an open device. Out: whether it does nothing of this, by trying.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from tilewright.ir.artifact import BufferSpec, GpuProgram, ShaderLaunch
from tilewright.ir.errors import DeviceError, DeviceLostError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tilewright.codegen_wgsl.adapter import DeviceInfo

HALF_FEATURE = "shader-f16"
ENABLE_HALF = "enable f16;"

_TINY = 2.0**-24
# Of each pair the first is converted, and both are added, subtracted and multiplied as float16.
_PAIRS = (
    (1 + 2**-11, 2**-11),  # halves to even, down
    (1 + 3 * 2**-11, 3 * 2**-11),  # and up
    (1 + 2**-11 + 2**-20, -1.0),
    (1 + 2**-10 - 2**-20, 1 + 2**-10),
    (_TINY, _TINY),
    (3 * _TINY, 0.5),
    (-1023 * _TINY, 0.75),
    (1.5 * _TINY, 1023 * _TINY),
    (0.5 * _TINY, 2.0**-14),
    (0.51 * _TINY, -(2.0**-14)),
    (2.0**-14 + _TINY, 2.0**-14),
    (65504.0, 16.0),
    (65519.0, 15.0),
    (65520.0, -65504.0),
    (-1e30, 2.0),
    (300.0, 300.0),
    (np.inf, 1.0),
    (-np.inf, -np.inf),
    (np.nan, 1.0),
    (-0.0, 0.0),
)
_COUNT = len(_PAIRS)
_ROWS = 6
_SHADER = """ENABLE
@group(0) @binding(0) var<storage, read> single: array<f32, COUNT>;
@group(0) @binding(1) var<storage, read> first: array<f16, COUNT>;
@group(0) @binding(2) var<storage, read> second: array<f16, COUNT>;
@group(0) @binding(3) var<storage, read_write> found: array<f16, TOTAL>;
@group(0) @binding(4) var<storage, read_write> widened: array<f32, COUNT>;

@compute @workgroup_size(1)
fn main(@builtin(workgroup_id) group: vec3<u32>) {
  let k = group.x;
  let a = first[k];
  let b = second[k];
  found[k] = f16(single[k]);
  found[COUNTu + k] = a + b;
  found[2u * COUNTu + k] = a - b;
  found[3u * COUNTu + k] = a * b;
  found[4u * COUNTu + k] = f16(unpack2x16float(pack2x16float(vec2<f32>(f32(a), 0.0f))).x);
  found[5u * COUNTu + k] = -a;
  widened[k] = f32(a);
}
"""


class _Device(Protocol):
    @property
    def info(self) -> DeviceInfo: ...

    def load(self, program: GpuProgram) -> Any: ...


def computes_halves(device: _Device) -> bool:
    """Whether programs for `device` may compute with float16."""
    if HALF_FEATURE not in device.info.features:
        return False
    single, first, second = _arguments()
    try:
        found, widened = device.load(_program())([single, first, second])
    except DeviceLostError:
        raise
    except DeviceError:  # its compiler refuses what it says it has
        return False
    return _equal(found, _wanted(single, first, second)) and _equal(
        widened, first.astype(np.float32)
    )


def _arguments() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    single, other = np.array(_PAIRS, np.float32).T.copy()
    with np.errstate(over="ignore"):
        return single, single.astype(np.float16), other.astype(np.float16)


def _wanted(single: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore", invalid="ignore"):
        return np.stack([single.astype(np.float16), a + b, a - b, a * b, a, -a])


def _equal(found: np.ndarray, wanted: np.ndarray) -> bool:
    same_sign = np.signbit(found) == np.signbit(wanted)
    return bool(np.all((found == wanted) & same_sign | np.isnan(found) & np.isnan(wanted)))


def _program() -> GpuProgram:
    text = (
        _SHADER.replace("ENABLE", ENABLE_HALF)
        .replace("TOTAL", str(_ROWS * _COUNT))
        .replace("COUNT", str(_COUNT))
    )
    launch = ShaderLaunch("probe", text, "main", (0, 1, 2, 3, 4), (3, 4), (_COUNT, 1, 1))
    buffers = (
        BufferSpec("input", "float32", "float32", (_COUNT,), _COUNT),
        _halves("input", (_COUNT,)),
        _halves("input", (_COUNT,)),
        _halves("output", (_ROWS, _COUNT)),
        BufferSpec("output", "float32", "float32", (_COUNT,), _COUNT),
    )
    return GpuProgram("wgsl", buffers, (0, 1, 2), (3, 4), (launch,))


def _halves(role: Any, shape: Sequence[int]) -> BufferSpec:
    return BufferSpec(role, "float16", "uint32", tuple(shape), int(np.prod(shape)), 2)
