"""Legal kernels -> WGSL text. The emitter decides nothing: see `codegen_wgsl/legalize.py`."""

from tilewright.codegen_wgsl.emit.shader import Shader, emit_kernel

__all__ = ["Shader", "emit_kernel"]
