"""What calls of a compiled kernel need to know about it: data, without the graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from tilewright.ir.sizes import bind_symbols, evaluate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

    from tilewright.compiler.structure import OutputInfo, Structure
    from tilewright.compiler.trace.run import Traced
    from tilewright.ir.expr import Size, Var
    from tilewright.ir.graph import CheckKind
    from tilewright.ir.location import Location
    from tilewright.ir.signature import ArgumentSpec


class DataCheck(Struct, frozen=True, eq=False):
    """The extremes of indices or other integers, which must lie in a range (`ir.graph.Check`)."""

    size: Size
    axis: int
    wraps: bool
    loc: Location | None
    kind: CheckKind = "index"

    def test(self, least: int, most: int, symbols: Mapping[Var, int]) -> None:
        """Raise an error if one of the extremes is outside; ``least > most`` means none."""
        size = evaluate(self.size, symbols)
        too_small = least < (-size if self.wraps else 0)
        if least <= most and (too_small or most >= size):
            from tilewright.compiler.check_errors import failed_check

            raise failed_check(self, least if too_small else most, size)


class Interface(Struct, frozen=True, eq=False):
    """Arguments and results of a compiled kernel.

    `specs` are all arguments, `input_names` those that are passed at run time, `input_shapes` their
    shapes. The artifact's outputs are those of `output_shapes` and `outputs`, then two for each of
    `checks`. Ints in `specialized` have become static.
    """

    specs: Mapping[str, ArgumentSpec]
    input_names: tuple[str, ...]
    input_shapes: tuple[tuple[Size, ...], ...]
    output_shapes: tuple[tuple[Size, ...], ...]
    outputs: tuple[OutputInfo, ...]
    structure: Structure
    checks: tuple[DataCheck, ...]
    symbols: tuple[Var, ...]
    specialized: frozenset[str]

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
        )

    def bind(self, inputs: Sequence[np.ndarray]) -> dict[Var, int]:
        """The open dimensions' values for these inputs."""
        return bind_symbols(
            self.input_shapes, [i.shape for i in inputs], list(map(repr, self.input_names))
        )

    def result_shapes(self, inputs: Sequence[np.ndarray]) -> list[tuple[int, ...]]:
        """The shapes of the results for these inputs."""
        symbols = self.bind(inputs)
        return [tuple(evaluate(s, symbols) for s in shape) for shape in self.output_shapes]
