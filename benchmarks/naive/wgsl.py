"""Naive WGSL: see `benchmarks.naive`."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Final

from benchmarks.naive import NaivePrograms, NaiveRun, Shape
from tilewright.codegen_wgsl.artifact import WgslArtifact
from tilewright.compiler.runtime import runtime
from tilewright.compiler.targets import open_target
from tilewright.ir.artifact import BufferSpec, GpuProgram, Role, ShaderLaunch

_THREADS: Final = 64

_PRODUCT: Final = """
const rows = {m}; const columns = {n}; const depth = {k};
fn body(i: i32) {{
  let row = i / columns;
  let column = i % columns;
  var total = 0.0;
  for (var k = 0; k < depth; k++) {{
    total += b0[row * depth + k] * b1[k * columns + column];
  }}
  b2[i] = total;
}}
"""
_CONVOLUTION: Final = """
const width = {w}; const filters = {f}; const channels = {c}; const across = {x};
fn body(i: i32) {{
  let filter_ = i % filters;
  let column = i / filters % width;
  let row = i / filters / width;
  var total = 0.0;
  for (var y = 0; y < {kh}; y++) {{
    for (var x = 0; x < {kw}; x++) {{
      for (var c = 0; c < channels; c++) {{
        let pixel = b0[((row + y) * across + column + x) * channels + c];
        total += pixel * b1[((y * {kw} + x) * channels + c) * filters + filter_];
      }}
    }}
  }}
  b2[i] = total;
}}
"""
_ROW_MAX: Final = """
const n = {n};
fn body(i: i32) {{
  var most = b0[i * n];
  for (var k = 1; k < n; k++) {{ most = max(most, b0[i * n + k]); }}
  b1[i] = most;
}}
"""
_EXP: Final = "const n = {n};\nfn body(i: i32) {{ b2[i] = exp(b0[i] - b1[i / n]); }}\n"
_ROW_SUM: Final = """
const n = {n};
fn body(i: i32) {{
  var total = 0.0;
  for (var k = 0; k < n; k++) {{ total += b0[i * n + k]; }}
  b1[i] = total;
}}
"""
_DIVIDE: Final = "const n = {n};\nfn body(i: i32) {{ b2[i] = b0[i] / b1[i / n]; }}\n"


def _product(a: Shape, b: Shape) -> NaiveRun:
    (m, k), n = a, b[1]
    buffers = _buffers(("input", a), ("input", b), ("output", (m, n)))
    step = _launch("product", _PRODUCT.format(m=m, n=n, k=k), (0, 1, 2), m * n)
    return _loaded(buffers, 2, step)


def _convolution(x: Shape, w: Shape) -> NaiveRun:
    (height, width, channels), (kh, kw, _, filters) = x, w
    out = (height - kh + 1, width - kw + 1, filters)
    sizes = {"w": out[1], "f": filters, "c": channels, "x": width, "kh": kh, "kw": kw}
    buffers = _buffers(("input", x), ("input", w), ("output", out))
    step = _launch("convolution", _CONVOLUTION.format(**sizes), (0, 1, 2), prod(out))
    return _loaded(buffers, 2, step)


def _softmax(x: Shape) -> NaiveRun:
    rows, n = x
    buffers = _buffers(
        ("input", x), ("temporary", (rows,)), ("temporary", x), ("temporary", (rows,)),
        ("output", x),
    )  # fmt: skip
    steps = (
        _launch("max", _ROW_MAX.format(n=n), (0, 1), rows),
        _launch("exp", _EXP.format(n=n), (0, 1, 2), rows * n),
        _launch("sum", _ROW_SUM.format(n=n), (2, 3), rows),
        _launch("divide", _DIVIDE.format(n=n), (2, 3, 4), rows * n),
    )
    return _loaded(buffers, 1, *steps)


def _loaded(buffers: tuple[BufferSpec, ...], inputs: int, *steps: ShaderLaunch) -> NaiveRun:
    last = len(buffers) - 1
    program = GpuProgram("wgsl", buffers, tuple(range(inputs)), (last,), steps)
    names = [f"argument {k}" for k in range(inputs)]
    return open_target("wgsl", runtime()).load(WgslArtifact(program, (), (), ()), names)


def _buffers(*described: tuple[Role, Shape]) -> tuple[BufferSpec, ...]:
    return tuple(BufferSpec(r, "float32", "float32", s, prod(s)) for r, s in described)


def _launch(name: str, body: str, bindings: Sequence[int], points: int) -> ShaderLaunch:
    """A shader that runs `body` for each point and writes the last of `bindings`."""
    last = len(bindings) - 1
    lines = [
        f"@group(0) @binding({k}) var<storage, {'read_write' if k == last else 'read'}> "
        f"b{k}: array<f32>;"
        for k in range(len(bindings))
    ]
    lines += [
        body,
        f"@compute @workgroup_size({_THREADS})",
        "fn main(@builtin(global_invocation_id) id: vec3<u32>) {",
        f"  if (id.x < {points}u) {{ body(i32(id.x)); }}",
        "}\n",
    ]
    grid = (-(-points // _THREADS), 1, 1)
    bound = tuple(bindings)
    return ShaderLaunch(name, "\n".join(lines), "main", bound, bound[-1:], grid)


PROGRAMS: Final[NaivePrograms] = {
    "product": _product,
    "convolution": _convolution,
    "softmax": _softmax,
}
