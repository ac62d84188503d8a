"""A compiled CPU program -> bytes, in the layout that `artifact` describes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import json

from tilewright.codegen_cpu.artifact import LENGTH, aligned
from tilewright.ir.dtypes import DType, from_numpy
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Apply, Const, Var, post_order

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

    from tilewright.codegen_cpu.artifact import CpuArtifact, EncodedSize, TensorSpec
    from tilewright.ir.expr import Expr, Size


def encode(artifact: CpuArtifact) -> bytes:
    """The artifact as bytes."""
    sizes = SizeWriter(artifact.symbols)
    description = {
        "code": len(artifact.code),
        "inputs": [_encode_spec(spec, sizes.add) for spec in artifact.inputs],
        "outputs": [_encode_spec(spec, sizes.add) for spec in artifact.outputs],
        "constants": [[_dtype_of(c).short, list(c.shape)] for c in artifact.constants],
        "symbols": len(artifact.symbols),
        "workspace": sizes.add(artifact.workspace),
        "parallel": artifact.parallel,
        "packed": [_encode_spec(spec, sizes.add) for spec in artifact.packed],
        "polls": artifact.polls,
        "nodes": sizes.nodes,
    }
    text = json.encode(description)
    blocks = [LENGTH.pack(len(text)) + text, artifact.code]
    blocks += [constant.tobytes() for constant in artifact.constants]
    return b"".join(block.ljust(aligned(len(block)), b"\0") for block in blocks)


class SizeWriter:
    """Collects the expressions of sizes in one table, `nodes`."""

    def __init__(self, symbols: Sequence[Var]) -> None:
        self.nodes: list[list[object]] = []
        self._symbols = {symbol: number for number, symbol in enumerate(symbols)}
        self._numbers: dict[Expr, int] = {}

    def add(self, size: Size) -> EncodedSize:
        """The size as it is written: a number, or a reference to the table."""
        if isinstance(size, int):
            return size
        for node in post_order([size]):
            if node not in self._numbers:
                self.nodes.append(self._row(node))
                self._numbers[node] = len(self.nodes) - 1
        return [self._numbers[size]]

    def _row(self, node: Expr) -> list[object]:
        match node:
            case Var() if node in self._symbols:
                return ["var", self._symbols[node]]
            case Const(value=int(value)):
                return ["const", node.dtype.short, int(value)]
            case Apply():
                operands = [self._numbers[operand] for operand in node.operands]
                return [node.op.name, node.dtype.short, *operands]
            case _:
                raise IRError(f"{node!r} in a size is neither arithmetic nor an open dimension")


def _encode_spec(
    spec: TensorSpec, add: Callable[[Size], EncodedSize]
) -> tuple[str, list[EncodedSize]]:
    return spec.dtype.short, [add(size) for size in spec.shape]


def _dtype_of(constant: np.ndarray) -> DType:
    found = from_numpy(constant.dtype)
    if found is None:
        raise IRError(f"a constant of dtype {constant.dtype} cannot be kept")
    return found
