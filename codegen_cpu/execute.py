"""Running object code on NumPy arrays: the general path, which serves every call.

`codegen_cpu/fastcall.py` serves the frequent ones in machine code.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tilewright.codegen_cpu.artifact import WORKSPACE_ALIGNMENT, CpuArtifact, workspace_bytes
from tilewright.ir.errors import IRError
from tilewright.ir.sizes import bind_symbols, evaluate

if TYPE_CHECKING:
    from tilewright.codegen_cpu.artifact import TensorSpec
    from tilewright.codegen_cpu.loader import ObjectLoader
    from tilewright.ir.expr import Var

_ENTRY = ctypes.CFUNCTYPE(ctypes.c_int, *[ctypes.c_void_p] * 4)


class CpuFunction:
    """An artifact loaded into this process. Calls may come from many threads at once."""

    def __init__(self, artifact: CpuArtifact, loader: ObjectLoader, runtime: int) -> None:
        """`runtime` is the address of a pool's runtime struct, or 0 to run loops serially."""
        self.artifact = artifact
        self.runtime = runtime
        self._code = loader.load(artifact.code)
        self.address = self._code.address("tw_main")
        self._entry = _ENTRY(self.address)
        self._constants = [address_of(c) for c in artifact.constants]
        self._names = [f"argument {k}" for k in range(len(artifact.inputs))]
        count = len(artifact.inputs) + len(artifact.outputs) + len(artifact.constants)
        self._addresses = ctypes.c_void_p * max(count, 1)
        self._sizes = ctypes.c_int64 * max(len(artifact.symbols), 1)

    def __call__(
        self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray | None] | None = None
    ) -> list[np.ndarray]:
        """Run on C-contiguous arrays of the artifact's dtypes and shapes.

        Where `outputs` holds an array the result is written there; it must not overlap an input.
        """
        artifact = self.artifact
        symbols: dict[Var, int] = {}
        if artifact.symbols:
            shapes = [spec.shape for spec in artifact.inputs]
            symbols = bind_symbols(shapes, [a.shape for a in inputs], self._names)
        given = outputs or [None] * len(artifact.outputs)
        results = [
            _empty(spec, symbols) if array is None else array
            for spec, array in zip(artifact.outputs, given, strict=True)
        ]
        args = self._addresses(*map(address_of, (*inputs, *results)), *self._constants)
        sizes = self._sizes(*(symbols[s] for s in artifact.symbols))
        start = 0
        if artifact.workspace != 0:
            workspace = np.empty(workspace_bytes(artifact, symbols), np.uint8)
            start = -(-address_of(workspace) // WORKSPACE_ALIGNMENT) * WORKSPACE_ALIGNMENT
        status = self._entry(self.runtime, args, sizes, start)
        if status:
            raise IRError(f"compiled code returned status {status}")
        return results


def _empty(spec: TensorSpec, symbols: dict[Var, int]) -> np.ndarray:
    return np.empty([evaluate(size, symbols) for size in spec.shape], spec.dtype.numpy)


def address_of(array: np.ndarray) -> int:
    """Where an array's elements begin; `array.ctypes.data` takes five times as long."""
    address: int = array.__array_interface__["data"][0]
    return address
