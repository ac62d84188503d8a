"""Running object code on NumPy arrays: the general path, which serves every call.

`codegen_cpu/fastcall.py` serves the frequent ones in machine code.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from tilewright.codegen_cpu.artifact import (
    INTERRUPTED,
    WORKSPACE_ALIGNMENT,
    CpuArtifact,
    readable_bytes,
    workspace_bytes,
)

if TYPE_CHECKING:
    from tilewright.codegen_cpu.artifact import TensorSpec
    from tilewright.codegen_cpu.loader import ObjectLoader
    from tilewright.codegen_cpu.poll import SignalPoll
    from tilewright.ir.expr import Var

_ENTRY = ctypes.CFUNCTYPE(ctypes.c_int, *[ctypes.c_void_p] * 4)


class CpuFunction:
    """An artifact loaded into this process. Calls may come from many threads at once."""

    def __init__(
        self,
        artifact: CpuArtifact,
        loader: ObjectLoader,
        runtime: int,
        poll: SignalPoll | None = None,
    ) -> None:
        """`runtime` is the address of a pool's runtime struct, or 0 to run loops serially; `poll`
        is what artifacts need that poll."""
        self.artifact = artifact
        self.runtime = runtime
        self._poll = poll
        exports = ("tw_main", "tw_init") if artifact.packed else ("tw_main",)
        self._code = loader.load(artifact.code, exports, poll.imports if poll else {})
        self.address = self._code.address("tw_main")
        self._entry = _ENTRY(self.address)
        self._packed = [_aligned(spec) for spec in artifact.packed]
        self.constants = tuple(map(address_of, (*artifact.constants, *self._packed)))
        """Addresses that follow those of a call's arrays."""
        self._names = [f"argument {k}" for k in range(len(artifact.inputs))]
        self._passed = len(artifact.inputs) + len(artifact.outputs)
        self._addresses = ctypes.c_void_p * max(self._passed + len(self.constants), 1)
        self._sizes = ctypes.c_int64 * max(len(artifact.symbols), 1)
        if artifact.packed:
            self._initialise()

    def _initialise(self) -> None:
        """Fill the packed storage from the constants; calls read it."""
        args = self._addresses(*[None] * self._passed, *self.constants)
        status = _ENTRY(self._code.address("tw_init"))(self.runtime, args, None, None)
        if status:
            self.failed(status)

    def __call__(
        self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray | None] | None = None
    ) -> list[np.ndarray]:
        """Run on C-contiguous arrays of the artifact's dtypes and shapes.

        Where `outputs` holds an array the result is written there; it must not overlap an input.
        """
        artifact = self.artifact
        symbols: dict[Var, int] = {}
        if artifact.symbols:
            from tilewright.ir.sizes import bind_symbols

            shapes = [spec.shape for spec in artifact.inputs]
            symbols = bind_symbols(shapes, [a.shape for a in inputs], self._names)
        given = outputs or [None] * len(artifact.outputs)
        results = [
            _empty(spec, symbols) if array is None else array
            for spec, array in zip(artifact.outputs, given, strict=True)
        ]
        passed = [*inputs, *results]
        if 0 in symbols.values():
            passed = [a if a.size else np.zeros(readable_bytes(a), np.uint8) for a in passed]
        args = self._addresses(*map(address_of, passed), *self.constants)
        sizes = self._sizes(*(symbols[s] for s in artifact.symbols))
        start = 0
        if artifact.workspace != 0:
            workspace = np.empty(workspace_bytes(artifact, symbols), np.uint8)
            start = -(-address_of(workspace) // WORKSPACE_ALIGNMENT) * WORKSPACE_ALIGNMENT
        status = self._entry(self.runtime, args, sizes, start)
        if status:
            self.failed(status)
        return results

    def failed(self, status: int, *_: object) -> NoReturn:
        """Raise the error that the code returned with `status`."""
        if status == INTERRUPTED and self._poll is not None:
            self._poll.raise_pending()
        from tilewright.ir.errors import IRError

        raise IRError(f"compiled code returned status {status}")


def _empty(spec: TensorSpec, symbols: dict[Var, int]) -> np.ndarray:
    shape: tuple[Any, ...] = spec.shape
    if symbols:
        from tilewright.ir.sizes import evaluate

        shape = tuple(evaluate(size, symbols) for size in shape)
    return np.empty(shape, spec.dtype.numpy)


def _aligned(spec: TensorSpec) -> np.ndarray:
    """Bytes for a tensor of fixed shape, aligned as temporaries are."""
    shape: tuple[Any, ...] = spec.shape
    size = math.prod(shape) * spec.dtype.itemsize
    memory = np.empty(size + WORKSPACE_ALIGNMENT, np.uint8)
    return memory[-address_of(memory) % WORKSPACE_ALIGNMENT :]


def address_of(array: np.ndarray) -> int:
    """Where an array's elements begin; `array.ctypes.data` takes five times as long."""
    address: int = array.__array_interface__["data"][0]
    return address
