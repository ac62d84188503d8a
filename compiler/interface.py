"""What calls of a compiled kernel need to know about it: data, without the graph.

Arguments and results by number, and how the outputs make up what the function returned.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct

if TYPE_CHECKING:
    from collections import abc

    from tilewright.compiler.trace.run import Traced
    from tilewright.ir.expr import Size, Var
    from tilewright.ir.graph import CheckKind
    from tilewright.ir.location import Location
    from tilewright.ir.signature import ArgumentSpec


class Leaf(Struct, frozen=True):
    """One array: the graph's output of this number."""

    output: int


class Sequence(Struct, frozen=True):
    """A tuple or list (or named tuple) of results."""

    kind: type
    items: tuple[Structure, ...]


class Mapping(Struct, frozen=True):
    """A dict (or ordered dict) of results."""

    keys: tuple[Any, ...]
    items: tuple[Structure, ...]
    kind: type = dict


class Known(Struct, frozen=True):
    """A part of the result that is no array and was known while tracing: None, a bool, a string."""

    value: object


class Object(Struct, frozen=True):
    """An object of the user's dataclass `kind`, by its fields."""

    kind: type
    keys: tuple[str, ...]
    items: tuple[Structure, ...]


Structure = Leaf | Sequence | Mapping | Known | Object


class OutputInfo(Struct, frozen=True):
    """What NumPy would have returned for one output.

    `kind` is ``"array"``, ``"scalar"`` (a NumPy scalar: rank 0) or ``"python"`` (int or float).
    """

    dtype: np.dtype
    kind: str


class DataCheck(Struct, frozen=True, eq=False):
    """The extremes of indices or other integers, which must lie in a range (`ir.graph.Check`)."""

    size: Size
    axis: int
    wraps: bool
    loc: Location | None
    kind: CheckKind = "index"

    def test(self, least: int, most: int, symbols: abc.Mapping[Var, int]) -> None:
        """Raise an error if one of the extremes is outside; ``least > most`` means none."""
        from tilewright.ir.sizes import evaluate

        size = evaluate(self.size, symbols)
        too_small = least < (-size if self.wraps else 0)
        if least <= most and (too_small or most >= size):
            from tilewright.compiler.check_errors import failed_check

            raise failed_check(self, least if too_small else most, size)


class SizeCheck(Struct, frozen=True, eq=False):
    """A size over open dimensions that must not be 0: what is combined by something without an
    identity (a maximum) needs an element."""

    size: Size
    message: str
    loc: Location | None

    def test(self, symbols: abc.Mapping[Var, int]) -> None:
        """Raise an error if it is 0 for these open dimensions."""
        from tilewright.ir.sizes import evaluate

        if evaluate(self.size, symbols) == 0:
            from tilewright.ir.errors import ShapeError

            raise ShapeError(self.message, loc=self.loc)


class Interface(Struct, frozen=True, eq=False):
    """Arguments and results of a compiled kernel.

    `specs` are all arguments, `input_names` those that are passed at run time, `input_shapes` their
    shapes. The artifact's outputs are those of `output_shapes` and `outputs`, then two for each of
    `checks`. Ints in `specialized` have become static. `sizes` are tested before a call.
    """

    specs: abc.Mapping[str, ArgumentSpec]
    input_names: tuple[str, ...]
    input_shapes: tuple[tuple[Size, ...], ...]
    output_shapes: tuple[tuple[Size, ...], ...]
    outputs: tuple[OutputInfo, ...]
    structure: Structure
    checks: tuple[DataCheck, ...]
    symbols: tuple[Var, ...]
    specialized: frozenset[str]
    sizes: tuple[SizeCheck, ...] = ()

    @classmethod
    def of(cls, traced: Traced) -> Interface:
        """That of a traced function."""
        graph = traced.graph
        return cls(
            specs=traced.specs,
            input_names=traced.input_names,
            input_shapes=tuple(t.shape for t in graph.inputs),
            output_shapes=tuple(t.shape for t in graph.outputs),
            outputs=traced.outputs,
            structure=traced.structure,
            checks=tuple(DataCheck(c.size, c.axis, c.wraps, c.loc, c.kind) for c in graph.checks),
            symbols=graph.symbols,
            specialized=traced.specialized,
            sizes=traced.sizes,
        )

    def bind(self, inputs: abc.Sequence[np.ndarray]) -> dict[Var, int]:
        """The open dimensions' values for these inputs, if they may have them."""
        from tilewright.ir.sizes import bind_symbols

        symbols = bind_symbols(
            self.input_shapes, [i.shape for i in inputs], list(map(repr, self.input_names))
        )
        for check in self.sizes:
            check.test(symbols)
        return symbols

    def result_shapes(self, inputs: abc.Sequence[np.ndarray]) -> list[tuple[int, ...]]:
        """The shapes of the results for these inputs."""
        from tilewright.ir.sizes import evaluate

        symbols = self.bind(inputs)
        return [tuple(evaluate(s, symbols) for s in shape) for shape in self.output_shapes]


def leaves(structure: Structure) -> list[int]:
    """The numbers of the outputs in the order of the result; one that is returned twice is there
    twice."""
    match structure:
        case Leaf(number):
            return [number]
        case Known():
            return []
    return [number for item in structure.items for number in leaves(item)]


def rebuild(structure: Structure, outputs: list[Any]) -> Any:
    """The function's result from its outputs' values."""
    return rebuild_each(structure, [outputs[number] for number in leaves(structure)])


def rebuild_each(structure: Structure, values: list[Any]) -> Any:
    """The function's result from a value for each of its `leaves`."""
    return _rebuild(structure, iter(values))


def _rebuild(structure: Structure, values: Iterator[Any]) -> Any:
    match structure:
        case Leaf():
            return next(values)
        case Sequence(kind, items):
            made = [_rebuild(i, values) for i in items]
            return kind(*made) if hasattr(kind, "_fields") else kind(made)
        case Mapping(keys, items, kind):
            return kind(zip(keys, (_rebuild(i, values) for i in items), strict=True))
        case Known(value):
            return value
        case Object(kind, keys, items):
            rebuilt: Any = object.__new__(kind)
            for key, item in zip(keys, items, strict=True):
                object.__setattr__(rebuilt, key, _rebuild(item, values))
            return rebuilt
