"""Legal kernels -> LLVM IR text. The emitter decides nothing: see `codegen_cpu/legalize.py`."""
