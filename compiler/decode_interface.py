"""JSON -> an `Interface`: what `encode_interface` wrote."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.codegen_cpu.artifact import read_dtype, read_nodes, read_size
from tilewright.compiler.interface import (
    DataCheck,
    Interface,
    Known,
    Leaf,
    Mapping,
    OutputInfo,
    Sequence,
    SizeCheck,
    Structure,
)
from tilewright.ir.signature import ArgumentSpec, ArraySpec, ScalarSpec, StaticSpec

if TYPE_CHECKING:
    from tilewright.ir.expr import Expr, Size, Var
    from tilewright.ir.location import Location


class Fixed:
    """Stands for a value that lies inside of the code; its `repr` is that of the value."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def decode_interface(encoded: dict[str, Any], symbols: tuple[Var, ...] | None = None) -> Interface:
    """The interface of a description; open dimensions are `symbols`, or else new ones."""
    if symbols is None:
        from tilewright.ir.expr import Var

        symbols = tuple(Var(name, least=least) for name, least in encoded["symbols"])
    if len(symbols) != len(encoded["symbols"]):
        raise ValueError("the interface has other open dimensions")
    nodes = read_nodes(encoded["nodes"], symbols)

    def shapes(given: list[list[object]]) -> tuple[tuple[Size, ...], ...]:
        return tuple(tuple(read_size(size, nodes) for size in shape) for shape in given)

    return Interface(
        specs={name: _decode_spec(spec, nodes) for name, *spec in encoded["specs"]},
        input_names=tuple(encoded["inputs"]),
        input_shapes=shapes(encoded["input_shapes"]),
        output_shapes=shapes(encoded["output_shapes"]),
        outputs=tuple(OutputInfo(np.dtype(dtype), kind) for dtype, kind in encoded["outputs"]),
        structure=_decode_structure(encoded["structure"]),
        checks=tuple(
            DataCheck(read_size(size, nodes), axis, wraps, loc and _decode_location(loc), *kind)
            for size, axis, wraps, loc, *kind in encoded["checks"]
        ),
        symbols=symbols,
        specialized=frozenset(encoded["specialized"]),
        sizes=tuple(
            SizeCheck(read_size(size, nodes), message, loc and _decode_location(loc))
            for size, message, loc in encoded["sizes"]
        ),
    )


def _decode_location(encoded: list[Any]) -> Location:
    from tilewright.ir.location import Location  # for kernels that check data only

    return Location(*encoded)


def _decode_spec(spec: list[Any], nodes: list[Expr]) -> ArgumentSpec:
    match spec:
        case ["array", str(short), list(shape)]:
            dtype = read_dtype(short)
            sizes: Any = (read_size(size, nodes) for size in shape)  # numbers and symbols
            return ArraySpec(dtype, tuple(sizes))
        case ["scalar", str(kind), *fits]:
            return ScalarSpec(kind, tuple(map(read_dtype, fits)))
        case ["static", *value]:
            return StaticSpec(decode_value(value))
    raise ValueError(f"{spec!r} is not an argument")


def decode_value(encoded: list[Any]) -> object:
    """The value of `encode_value`; a `Fixed` for one that was not plain data."""
    match encoded:
        case ["plain", value]:
            return value
        case ["float", str(text)]:
            return float.fromhex(text)
        case ["bytes", str(text)]:
            return bytes.fromhex(text)
        case ["tuple", *items]:
            return tuple(map(decode_value, items))
        case ["fixed", str(text)]:
            return Fixed(text)
    raise ValueError(f"{encoded!r} is not a value")


def _decode_structure(encoded: Any) -> Structure:
    match encoded:
        case int(output):
            return Leaf(output)
        case ["tuple" | "list" as name, *items]:
            kind = tuple if name == "tuple" else list
            return Sequence(kind, tuple(map(_decode_structure, items)))
        case ["named", str(name), list(fields), *items]:
            # The class itself may not be importable here; one with the same fields will do.
            return Sequence(namedtuple(name, fields), tuple(map(_decode_structure, items)))
        case ["dict" | "ordered" as name, list(keys), *items]:
            found = tuple(map(decode_value, keys))
            kind_of_dict = dict if name == "dict" else OrderedDict
            return Mapping(found, tuple(map(_decode_structure, items)), kind_of_dict)
        case ["known", *value]:
            return Known(decode_value(value))
    raise ValueError(f"{encoded!r} is not the structure of a result")
