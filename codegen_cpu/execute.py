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
    from tilewright.codegen_cpu.loader import ObjectLoader

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
        self._constants = [c.ctypes.data for c in artifact.constants]
        self._names = [f"argument {k}" for k in range(len(artifact.inputs))]

    def __call__(
        self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray | None] | None = None
    ) -> list[np.ndarray]:
        """Run on C-contiguous arrays of the artifact's dtypes and shapes.

        Where `outputs` holds an array the result is written there; it must not overlap an input.
        """
        artifact = self.artifact
        shapes = [spec.shape for spec in artifact.inputs]
        symbols = (
            bind_symbols(shapes, [a.shape for a in inputs], self._names) if artifact.symbols else {}
        )
        results = [
            np.empty([evaluate(s, symbols) for s in spec.shape], spec.dtype.numpy)
            if given is None
            else given
            for spec, given in zip(
                artifact.outputs, outputs or [None] * len(artifact.outputs), strict=True
            )
        ]
        addresses = [*(a.ctypes.data for a in inputs), *(r.ctypes.data for r in results)]
        args = (ctypes.c_void_p * (len(addresses) + len(self._constants) + 1))(
            *addresses, *self._constants
        )
        sizes = (ctypes.c_int64 * (len(artifact.symbols) + 1))(
            *(symbols[s] for s in artifact.symbols)
        )
        workspace = np.empty(workspace_bytes(artifact, symbols), np.uint8)
        start = -(-workspace.ctypes.data // WORKSPACE_ALIGNMENT) * WORKSPACE_ALIGNMENT
        status = self._entry(self.runtime, args, sizes, start)
        if status:
            raise IRError(f"compiled code returned status {status}")
        return results
