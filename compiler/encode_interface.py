"""An `Interface` -> JSON; `decode_interface` reads it.

Sizes stand as in `codegen_cpu/artifact.py`: a number, or the number of a node in a table. Values
that a kernel was specialised for are kept where they are plain data, since calls compare with them.
What is not plain (captured functions, bound arrays) is ``["fixed", text]``: it is inside of the
code.
"""

from __future__ import annotations

from collections.abc import Sequence as Items
from typing import TYPE_CHECKING, Any

from tilewright.codegen_cpu.encode_artifact import SizeWriter
from tilewright.compiler.interface import Known, Leaf, Mapping, Sequence, Structure
from tilewright.ir.errors import UnsupportedError
from tilewright.ir.signature import ArgumentSpec, ArraySpec, ScalarSpec, StaticSpec

if TYPE_CHECKING:
    from tilewright.codegen_cpu.artifact import EncodedSize
    from tilewright.compiler.interface import Interface
    from tilewright.ir.expr import Size
    from tilewright.ir.location import Location


def encode_interface(interface: Interface) -> dict[str, Any]:
    """The interface as JSON."""
    sizes = SizeWriter(interface.symbols)

    def shapes(given: Items[tuple[Size, ...]]) -> list[list[EncodedSize]]:
        return [[sizes.add(size) for size in shape] for shape in given]

    return {
        "symbols": [[symbol.name, symbol.least] for symbol in interface.symbols],
        "specs": [[n, *_encode_spec(s, sizes)] for n, s in interface.specs.items()],
        "inputs": list(interface.input_names),
        "input_shapes": shapes(interface.input_shapes),
        "output_shapes": shapes(interface.output_shapes),
        "outputs": [[info.dtype.str, info.kind] for info in interface.outputs],
        "structure": _encode_structure(interface.structure),
        "checks": [
            [sizes.add(c.size), c.axis, c.wraps, c.loc and _encode_location(c.loc), c.kind]
            for c in interface.checks
        ],
        "specialized": sorted(interface.specialized),
        "sizes": [
            [sizes.add(c.size), c.message, c.loc and _encode_location(c.loc)]
            for c in interface.sizes
        ],
        "nodes": sizes.nodes,
    }


def _encode_location(loc: Location) -> list[Any]:
    columns = (loc.column, loc.end_line, loc.end_column)
    return [loc.file, loc.line, *columns, loc.function]


def _encode_spec(spec: ArgumentSpec, sizes: SizeWriter) -> list[Any]:
    match spec:
        case ArraySpec(dtype, shape):
            return ["array", dtype.short, [sizes.add(size) for size in shape]]
        case ScalarSpec(kind, fits):
            return ["scalar", kind, *(dtype.short for dtype in fits)]
        case StaticSpec(value):
            return ["static", *encode_value(value)]


def encode_value(value: object) -> list[Any]:
    """A value as a list that begins with its kind. Floats as text: JSON has no infinities."""
    if value is None or type(value) in (bool, int, str):
        return ["plain", value]
    if type(value) is float:
        return ["float", value.hex()]
    if type(value) is bytes:
        return ["bytes", value.hex()]
    if type(value) is tuple:
        return ["tuple", *map(encode_value, value)]
    return ["fixed", repr(value)[:200]]


def _encode_structure(structure: Structure) -> Any:
    match structure:
        case Leaf(output):
            return output
        case Sequence(kind, items):
            inner = [_encode_structure(i) for i in items]
            if kind in (tuple, list):
                return [kind.__name__, *inner]
            if hasattr(kind, "_fields"):
                return ["named", kind.__name__, list(kind._fields), *inner]
        case Mapping(keys, items, kind):
            plain = [encode_value(key) for key in keys]
            if all(key[0] != "fixed" for key in plain):
                name = "dict" if kind is dict else "ordered"
                return [name, plain, *map(_encode_structure, items)]
        case Known(value):
            if encode_value(value)[0] != "fixed":
                return ["known", *encode_value(value)]
    raise UnsupportedError(
        f"a kernel that returns {structure} cannot be saved",
        help="return arrays, or tuples, lists and dicts of them with plain keys",
    )
