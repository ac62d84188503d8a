"""What a compiled CPU program is, as data: object code, and what its caller must know.

Nothing here needs LLVM, so that an artifact can be read from the disk cache without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from tilewright.ir.sizes import evaluate

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from tilewright.ir.dtypes import DType
    from tilewright.ir.expr import Size, Var

WORKSPACE_ALIGNMENT = 64


class TensorSpec(Struct, frozen=True):
    """Shape (sizes may be open) and dtype of an argument or a result."""

    shape: tuple[Size, ...]
    dtype: DType


class CpuArtifact(Struct, frozen=True, eq=False):
    """Object code and what its caller must know.

    `workspace` is in bytes; `parallel` says whether any loop runs on the thread pool. `packed` is
    storage that the code fills from the constants, once, and reads at each call.
    """

    code: bytes
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    constants: tuple[np.ndarray, ...]
    symbols: tuple[Var, ...]
    workspace: Size
    parallel: bool = True
    packed: tuple[TensorSpec, ...] = ()


def workspace_bytes(artifact: CpuArtifact, symbols: Mapping[Var, int]) -> int:
    """Bytes to allocate for these sizes, so that an aligned workspace fits in."""
    return evaluate(artifact.workspace, symbols) + WORKSPACE_ALIGNMENT
