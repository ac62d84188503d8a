"""Compiles kernels, programs and scalar functions by hand and runs them on NumPy arrays.

For tests of lowering, legalisation and emission below the compiler's driver.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tilewright.codegen_cpu.emit.module import emit_program
from tilewright.codegen_cpu.jit import compile_object
from tilewright.codegen_cpu.legalize import legalize
from tilewright.codegen_cpu.loader import ObjectLoader
from tilewright.codegen_cpu.target import CpuTarget, cpu_target, host_target
from tilewright.codegen_cpu.wasm_module import link_module
from tilewright.codegen_cpu.wasm_run import WasmInstance
from tilewright.ir import build
from tilewright.ir.dtypes import DType, from_numpy
from tilewright.ir.expr import Expr, Load, Var
from tilewright.ir.kernel import Buffer, For, Kernel, Store
from tilewright.ir.passes.plan_memory import plan_memory
from tilewright.ir.program import Launch, Program, Step, map_steps
from tilewright.ir.sizes import evaluate

Array = NDArray[Any]
MAIN = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p
)
_LOADER = ObjectLoader()

RUNNABLE = [name for name in ("host", "x86-64-v2") if cpu_target(name).runs_here]
"""Names of the native targets that this machine can run: with and without FMA and F16C."""


class Compiled:
    """A lowered program as code; call `run` with its inputs and outputs."""

    def __init__(self, program: Program, target: CpuTarget | None = None) -> None:
        self.target = target or host_target()

        def legal(step: Step) -> list[Step]:
            if isinstance(step, Launch):
                return [Launch(legalize(step.kernel, self.target))]
            return [step]

        self.program = Program(
            program.name,
            program.symbols,
            program.inputs,
            program.outputs,
            program.constants,
            program.temporaries,
            map_steps(program.steps, legal),
        )
        self.plan = plan_memory(self.program)
        self.text = emit_program(self.program, self.plan.offsets, self.target)
        self.code = compile_object(self.text, self.target)

    def run(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        symbols: Sequence[int] = (),
        runtime: int | None = None,
    ) -> None:
        """Fill `outputs` in place. `runtime` is the address of a thread pool's structure."""
        for array, buffer in zip((*inputs, *outputs), self._bound, strict=True):
            assert from_numpy(array.dtype) is buffer.dtype
            assert array.flags.c_contiguous
        if self.target.architecture == "wasm32":
            instance = WasmInstance(link_module(self.code))
            instance.run(inputs, outputs, symbols=symbols, workspace_size=self._size(symbols))
            return
        loaded = _LOADER.load(self.code)
        main = MAIN(loaded.address("tw_main"))
        arrays = (*inputs, *outputs)
        addresses = (ctypes.c_void_p * len(arrays))(*(a.ctypes.data for a in arrays))
        sizes = (ctypes.c_int64 * max(1, len(symbols)))(*symbols)
        room = np.empty(self._size(symbols) + 64, np.uint8)
        workspace = -(-room.ctypes.data // 64) * 64
        assert main(runtime, addresses, sizes, workspace) == 0

    @property
    def _bound(self) -> tuple[Buffer, ...]:
        return (*self.program.inputs, *self.program.outputs)

    def _size(self, symbols: Sequence[int]) -> int:
        return evaluate(self.plan.size, dict(zip(self.program.symbols, symbols, strict=True)))


def compile_kernel(
    kernel: Kernel,
    inputs: Sequence[Buffer],
    outputs: Sequence[Buffer],
    temporaries: Sequence[Buffer] = (),
    target: CpuTarget | None = None,
) -> Compiled:
    """A program of one launch."""
    program = Program(
        kernel.name,
        kernel.symbols,
        tuple(inputs),
        tuple(outputs),
        (),
        tuple(temporaries),
        (Launch(kernel),),
    )
    return Compiled(program, target)


def run_function(
    make: Callable[..., Expr],
    arrays: Sequence[Array],
    target: CpuTarget | None = None,
    lanes: int = 1,
) -> Array:
    """``make(x, y, …)`` at each element of one-dimensional arrays, `lanes` elements at a time.

    The arrays are padded with their first element to whole vectors.
    """
    size = arrays[0].size
    padded = -(-size // lanes) * lanes
    operands = [np.concatenate([a, np.resize(a[:1], padded - size)]) for a in arrays]
    inputs = [Buffer(f"x{k}", (padded,), _dtype(a)) for k, a in enumerate(operands)]
    block, lane = Var("block", padded // lanes), Var("lane", lanes)
    index = build.add(build.mul(block, build.index(lanes)), lane)
    value = make(*(Load(b, (index,)) for b in inputs))
    output = Buffer("out", (padded,), value.dtype)
    inner = For(lane, "vector", [Store(output, (index,), value)], lanes)
    kernel = Kernel("f", (*inputs, output), (), (), (For(block, "serial", [inner]),))
    result = _junk((padded,), value.dtype)
    compile_kernel(kernel, inputs, [output], (), target).run(operands, [result])
    return result[:size]


def _dtype(array: Array) -> DType:
    dtype = from_numpy(array.dtype)
    assert dtype is not None
    return dtype


def outputs_of(program: Program) -> list[np.ndarray]:
    """Memory for the outputs: the results, then what says whether an index was out of bounds."""
    static = ([int(n) for n in b.shape if isinstance(n, int)] for b in program.outputs)
    return [_junk(tuple(shape), b.dtype) for shape, b in zip(static, program.outputs, strict=True)]


def _junk(shape: tuple[int, ...], dtype: DType) -> np.ndarray:
    """An array whose elements nobody computes by chance."""
    return (
        np.full(math.prod(shape) * dtype.itemsize, 0xA5, np.uint8).view(dtype.numpy).reshape(shape)
    )
