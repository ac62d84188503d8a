"""Handwritten WGSL programs, in the conventions that the emitter follows."""

import numpy as np

from tilewright.ir.artifact import (
    BufferSpec,
    CopyBuffer,
    GpuProgram,
    Role,
    ShaderLaunch,
    Step,
)

ADD = """@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> c: array<f32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x < arrayLength(&c)) { c[id.x] = a[id.x] + b[id.x]; }
}
"""
SUM = """@group(0) @binding(0) var<storage, read> x: array<i32>;
@group(0) @binding(1) var<storage, read_write> total: array<i32>;
var<workgroup> partial: array<i32, 64>;
@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32) {
  var sum = 0;
  for (var k = lane; k < 1000u; k += 64u) { sum += x[k]; }
  partial[lane] = sum;
  for (var half = 32u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) { partial[lane] += partial[lane + half]; }
  }
  if (lane == 0u) { total[0] = partial[0]; }
}
"""
INVERT = """@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) { y[id.x] = ~x[id.x]; }
"""
ACCUMULATE = """struct Uniforms { step: u32, scale: u32 }
@group(0) @binding(0) var<storage, read_write> state: array<u32>;
@group(0) @binding(1) var<uniform> u: Uniforms;
@compute @workgroup_size(1)
fn main() { state[0] = state[0] * 3u + u.step * u.scale; }
"""


def buffer(role: Role, dtype: str, shape: tuple[int, ...], packed: int = 1) -> BufferSpec:
    storage = {"float32": "float32", "int32": "int32", "int64": "int32"}.get(dtype, "uint32")
    return BufferSpec(role, dtype, storage, shape, int(np.prod(shape)), packed)


def add_program(n: int) -> GpuProgram:
    buffers = tuple(buffer(role, "float32", (n,)) for role in ("input", "input", "output"))
    step = ShaderLaunch("add", ADD, "main", (0, 1, 2), (2,), (-(-n // 64), 1, 1))
    return GpuProgram("wgsl", buffers, (0, 1), (2,), (step,))


def loop_program(steps: tuple[Step, ...]) -> GpuProgram:
    buffers = (buffer("input", "uint32", (1,)), buffer("output", "uint32", (1,)))
    return GpuProgram("wgsl", buffers, (0,), (1,), (CopyBuffer(0, 1), *steps))


def accumulate(scale: int) -> ShaderLaunch:
    return ShaderLaunch("accumulate", ACCUMULATE, "main", (1,), (1,), (1, 1, 1), (0, scale))
