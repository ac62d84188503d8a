"""What a compiled CPU program is, as data: object code, and what its caller must know.

`decode` reads it from bytes, which `encode_artifact` wrote:

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
    polls      whether loops look for signals: the code refers to ``tw_poll``
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

from tilewright.ir.dtypes import DType, from_short

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tilewright.ir.expr import Expr, Size, Var

WORKSPACE_ALIGNMENT: Final = 64
INTERRUPTED: Final = 1
"""What code returns whose poll said so (`poll`); results are not to be used. 0 is success."""
LENGTH: Final = struct.Struct("<I")
_ALIGNMENT: Final = 64

EncodedSize = int | list[int]


class TensorSpec(Struct, frozen=True):
    """Shape (sizes may be open) and dtype of an argument or a result."""

    shape: tuple[Size, ...]
    dtype: DType


class CpuArtifact(Struct, frozen=True, eq=False):
    """Object code and what its caller must know.

    `workspace` is in bytes; `parallel` says whether any loop runs on the thread pool. `packed` is
    storage that the code fills from the constants, once, and reads at each call. `polls` says
    whether loops look for signals (`poll`).
    """

    code: bytes
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    constants: tuple[np.ndarray, ...]
    symbols: tuple[Var, ...]
    workspace: Size
    parallel: bool = True
    packed: tuple[TensorSpec, ...] = ()
    polls: bool = False


def workspace_bytes(artifact: CpuArtifact, symbols: Mapping[Var, int]) -> int:
    """Bytes to allocate for these sizes, so that an aligned workspace fits in.

    Of an empty temporary one row may be read, as of an empty array: see `readable_bytes`.
    """
    from tilewright.ir.sizes import evaluate

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


def decode(data: bytes, symbols: Sequence[Var]) -> CpuArtifact | None:
    """The artifact in `data`, whose open dimensions are `symbols` in their order.

    None if `data` is anything else. Constants are read-only views of `data`.
    """
    try:
        return _decode(data, tuple(symbols))
    except (ArithmeticError, LookupError, TypeError, ValueError, RecursionError, struct.error):
        return None  # UnicodeDecodeError and msgspec's DecodeError are ValueErrors


def _decode(data: bytes, symbols: tuple[Var, ...]) -> CpuArtifact:
    (length,) = LENGTH.unpack_from(data)
    description = json.decode(data[LENGTH.size : LENGTH.size + length])
    if description["symbols"] != len(symbols):
        raise ValueError("the artifact has other symbols")
    nodes = read_nodes(description["nodes"], symbols)
    start = aligned(LENGTH.size + length)
    code = data[start : start + description["code"]]
    start += aligned(len(code))
    constants = []
    for short, shape in description["constants"]:
        constant = np.ndarray(shape, read_dtype(short).numpy, data, start)
        start += aligned(constant.nbytes)
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
        bool(description["polls"]),
    )


def read_nodes(rows: list[list[Any]], symbols: tuple[Var, ...]) -> list[Expr]:
    """The expressions of a `SizeWriter`'s table."""
    if not rows:
        return []
    from tilewright.ir.errors import IRError  # only open dimensions need operations

    try:
        return _read_nodes(rows, symbols)
    except IRError as error:
        raise ValueError(f"a size cannot be read: {error}") from error


def _read_nodes(rows: list[list[Any]], symbols: tuple[Var, ...]) -> list[Expr]:
    from tilewright.ir.expr import Apply, Const
    from tilewright.ir.ops import OPS

    nodes: list[Expr] = []
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


def aligned(size: int) -> int:
    """A multiple of the alignment of what an encoded artifact holds."""
    return -(-size // _ALIGNMENT) * _ALIGNMENT
