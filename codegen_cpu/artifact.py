"""What a compiled CPU program is, as data: object code, and what its caller must know; as bytes:

    length  4 bytes, little-endian, of the description
    description, in JSON
    code, then the elements of each constant; each begins at a multiple of 64 bytes

The description holds, by name:

    code       bytes of object code
    inputs     [dtype, [size …]] of each
    outputs    likewise
    constants  [dtype, [length …]] of each
    symbols    how many open dimensions there are; they are known by their numbers
    workspace  size
    parallel   whether any loop runs on the thread pool
    packed     as inputs: storage that the code fills once
    nodes      the expressions that sizes refer to, operands first: ["var", number],
               ["const", dtype, value] or [operation, dtype, node number …]

where a size is a number, or [number of a node]. A table of nodes, because sizes share parts and
may be long chains: nested lists would repeat the former and overflow the stack on the latter.

Nothing here needs LLVM, so that an artifact can be read from the disk cache without it.
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from msgspec import Struct, json

from tilewright.ir.dtypes import DType, from_numpy, from_short
from tilewright.ir.errors import IRError
from tilewright.ir.sizes import evaluate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tilewright.ir.expr import Expr, Size, Var

WORKSPACE_ALIGNMENT: Final = 64
_LENGTH: Final = struct.Struct("<I")
_ALIGNMENT: Final = 64

EncodedSize = int | list[int]


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
    """Bytes to allocate for these sizes, so that an aligned workspace fits in.

    Of an empty temporary one row may be read, as of an empty array: see `readable_bytes`.
    """
    at_least_one = {symbol: max(1, size) for symbol, size in symbols.items()}
    return evaluate(artifact.workspace, at_least_one) + WORKSPACE_ALIGNMENT


def readable_bytes(array: np.ndarray) -> int:
    """How much of an array a kernel may read.

    Where no element is, an alternative that is not taken reads at position 0 of the empty axis all
    the same, and what it reads is not used.
    """
    if array.size:
        return array.nbytes
    return int(math.prod(max(1, size) for size in array.shape)) * array.itemsize


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
        "nodes": sizes.nodes,
    }
    text = json.encode(description)
    blocks = [_LENGTH.pack(len(text)) + text, artifact.code]
    blocks += [constant.tobytes() for constant in artifact.constants]
    return b"".join(block.ljust(_aligned(len(block)), b"\0") for block in blocks)


def decode(data: bytes, symbols: Sequence[Var]) -> CpuArtifact | None:
    """The artifact in `data`, whose open dimensions are `symbols` in their order.

    None if `data` is anything else. Constants are read-only views of `data`.
    """
    try:
        return _decode(data, tuple(symbols))
    except (ArithmeticError, LookupError, TypeError, ValueError, RecursionError):
        return None  # UnicodeDecodeError and msgspec's DecodeError are ValueErrors
    except (struct.error, IRError):
        return None


def _decode(data: bytes, symbols: tuple[Var, ...]) -> CpuArtifact:
    (length,) = _LENGTH.unpack_from(data)
    description = json.decode(data[_LENGTH.size : _LENGTH.size + length])
    if description["symbols"] != len(symbols):
        raise ValueError("the artifact has other symbols")
    nodes = read_nodes(description["nodes"], symbols)
    start = _aligned(_LENGTH.size + length)
    code = data[start : start + description["code"]]
    start += _aligned(len(code))
    constants = []
    for short, shape in description["constants"]:
        constant = np.ndarray(shape, read_dtype(short).numpy, data, start)
        start += _aligned(constant.nbytes)
        constants.append(constant)
    if len(code) != description["code"] or start != len(data):
        raise ValueError("the artifact is incomplete")
    return CpuArtifact(
        code,
        tuple(_decode_spec(spec, nodes) for spec in description["inputs"]),
        tuple(_decode_spec(spec, nodes) for spec in description["outputs"]),
        tuple(constants),
        symbols,
        read_size(description["workspace"], nodes),
        bool(description["parallel"]),
        tuple(_decode_spec(spec, nodes) for spec in description["packed"]),
    )


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
        from tilewright.ir.expr import post_order

        for node in post_order([size]):
            if node not in self._numbers:
                self.nodes.append(self._row(node))
                self._numbers[node] = len(self.nodes) - 1
        return [self._numbers[size]]

    def _row(self, node: Expr) -> list[object]:
        from tilewright.ir.expr import Apply, Const, Var

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


def read_nodes(rows: list[list[Any]], symbols: tuple[Var, ...]) -> list[Expr]:
    """The expressions of a `SizeWriter`'s table."""
    nodes: list[Expr] = []
    if not rows:
        return nodes
    from tilewright.ir.expr import Apply, Const  # only open dimensions need operations
    from tilewright.ir.ops import OPS

    for kind, *rest in rows:
        match kind, rest:
            case "var", [int(number)]:
                nodes.append(symbols[number])
            case "const", [str(short), int(value)]:
                nodes.append(Const(value, read_dtype(short)))
            case _:
                short, *operands = rest
                op = OPS[kind]
                given = read_dtype(short) if op.result == "given" else None
                nodes.append(Apply(op, tuple(nodes[number] for number in operands), given))
    return nodes


def _encode_spec(
    spec: TensorSpec, add: Callable[[Size], EncodedSize]
) -> tuple[str, list[EncodedSize]]:
    return spec.dtype.short, [add(size) for size in spec.shape]


def _decode_spec(spec: list[Any], nodes: list[Expr]) -> TensorSpec:
    short, shape = spec
    return TensorSpec(tuple(read_size(size, nodes) for size in shape), read_dtype(short))


def read_size(size: object, nodes: list[Expr]) -> Size:
    """The size that `SizeWriter.add` wrote."""
    match size:
        case int():
            return size
        case [int(number)]:
            return nodes[number]
        case _:
            raise ValueError(f"{size!r} is not a size")


def read_dtype(short: str) -> DType:
    """The dtype of a short name."""
    found = from_short(short)
    if found is None:
        raise ValueError(f"{short!r} is not a dtype")
    return found


def _dtype_of(constant: np.ndarray) -> DType:
    found = from_numpy(constant.dtype)
    if found is None:
        raise IRError(f"a constant of dtype {constant.dtype} cannot be kept")
    return found


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT
