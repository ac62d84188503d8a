"""Packing narrow elements of a device array, several to a word, as programs read their inputs.

What a program could not write in whole words has a word for each element (`choose_packing.py`).
In: a buffer with such words. Out: a buffer of packed words, made by a shader, so that chained
kernels need no read-back.
"""

from __future__ import annotations

from msgspec.structs import replace

from tilewright.codegen_wgsl.buffer_sizes import buffer_bytes
from tilewright.codegen_wgsl.device import Access, Device
from tilewright.codegen_wgsl.emit.shader import fold_grid
from tilewright.codegen_wgsl.pool import PooledBuffer
from tilewright.ir.artifact import BufferSpec, GpuProgram, ShaderLaunch
from tilewright.ir.transfer import word_count

_GROUP = 64
# float32 to the nearest float16, halves to even.
_HALF = """
fn narrow(bits: u32) -> u32 {
  let sign = (bits >> 16u) & 0x8000u;
  let size = bits & 0x7fffffffu;
  if (size > 0x7f800000u) { return sign | 0x7e00u; }
  if (size >= 0x477ff000u) { return sign | 0x7c00u; }
  if (size >= 0x38800000u) {
    return sign | ((size + 0xfffu + ((size >> 13u) & 1u) - 0x38000000u) >> 13u);
  }
  if (size < 0x33000000u) { return sign; }
  let shift = 126u - (size >> 23u);
  let digits = (size & 0x7fffffu) | 0x800000u;
  let odd = (digits >> shift) & 1u;
  return sign | ((digits + (1u << (shift - 1u)) - 1u + odd) >> shift);
}
"""
_CUT = """
fn narrow(bits: u32) -> u32 { return bits & MASKu; }
"""
_SHADER = """
@group(0) @binding(0) var<storage, read> elements: array<u32>;
@group(0) @binding(1) var<storage, read_write> words: array<u32>;
FUNCTION
@compute @workgroup_size(GROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let place = (group.y * groups.x + group.x) * GROUPu + lane;
  if (place >= arrayLength(&words)) { return; }
  var word = 0u;
  for (var k = 0u; k < COUNTu; k++) {
    let element = place * COUNTu + k;
    if (element < arrayLength(&elements)) { word |= narrow(elements[element]) << (k * BITSu); }
  }
  words[place] = word;
}
"""


def packed_like(spec: BufferSpec, packed: int) -> BufferSpec:
    """`spec` with this many elements to a word."""
    return replace(spec, storage="uint32", packed=packed)


def packing_program(spec: BufferSpec, packed: int) -> GpuProgram:
    """What packs an array that lies as `spec`, for devices that run programs as a whole."""
    wanted = packed_like(spec, packed)
    grid = fold_grid(-(-max(word_count(wanted), 1) // _GROUP))
    launch = ShaderLaunch("pack", _shader(spec, packed), "main", (0, 1), (1,), grid)
    buffers = (replace(spec, role="input"), replace(wanted, role="output"))
    return GpuProgram("wgsl", buffers, (0,), (1,), (launch,))


def pack_on_device(
    device: Device, source: PooledBuffer, spec: BufferSpec, packed: int
) -> PooledBuffer:
    """A new buffer with the elements of `source`, which has a word for each."""
    wanted = packed_like(spec, packed)
    target = device.storage_pool.acquire(buffer_bytes(wanted))
    access: tuple[Access, ...] = ("read-only-storage", "storage")
    pipeline = device.pipeline(_shader(spec, packed), "main", access, "pack")
    parts = ((0, source), (1, target))
    group = device.raw.create_bind_group(
        layout=device.layout(access),
        entries=[
            {"binding": k, "resource": {"buffer": b.raw, "offset": 0, "size": b.nbytes}}
            for k, b in parts
        ],
    )
    groups = -(-max(word_count(wanted), 1) // _GROUP)
    encoder = device.raw.create_command_encoder()
    made = encoder.begin_compute_pass()
    made.set_pipeline(pipeline)
    made.set_bind_group(0, group)
    made.dispatch_workgroups(*fold_grid(groups))
    made.end()
    device.submit(encoder.finish())
    return target


def _shader(spec: BufferSpec, packed: int) -> str:
    bits = 32 // packed
    function = _HALF if spec.dtype == "float16" else _CUT.replace("MASK", str((1 << bits) - 1))
    text = _SHADER.replace("FUNCTION", function).replace("COUNT", str(packed))
    return text.replace("BITS", str(bits)).replace("GROUP", str(_GROUP))
