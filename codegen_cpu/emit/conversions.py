"""Vectors of floats to integers, saturating, NaN to 0, in instructions that exist for vectors.

LLVM takes ``llvm.fptosi.sat`` on a vector apart into its lanes. Here lanes are first brought into
the range of the integer, so that the plain conversion is defined for all of them.
"""

from __future__ import annotations

import numpy as np

from tilewright.codegen_cpu.emit.function import FunctionText
from tilewright.codegen_cpu.emit.types import Types, literal, vector
from tilewright.ir.dtypes import DType


class FloatToInteger:
    """One conversion of `lanes` values of `source` to `target`, placed at `depth`."""

    def __init__(
        self,
        function: FunctionText,
        types: Types,
        source: DType,
        target: DType,
        lanes: int,
        depth: int,
    ) -> None:
        self.function = function
        self.source = source
        self.target = target
        self.depth = depth
        self.floats = types.value(source, lanes)
        self.element = types.scalar(source)
        self.flags = vector("i1", lanes)
        self.integers = types.value(target, lanes)
        self.bits = int(types.scalar(target)[1:])
        self.lanes = lanes

    def convert(self, text: str) -> str:
        """`text` as integers."""
        least, most = self._bound(self.target.min), self._bound(self.target.max)
        inside = self._limited(text, "ogt", least)  # a NaN becomes the least: 0 if unsigned
        inside = self._limited(inside, "olt", most)
        made = self._converted(inside)
        if int(most) < self.target.max:
            above = self._assign(f"fcmp ogt {self.floats} {text}, {self._splat(most)}")
            ones = f"splat (i{self.bits} {self.target.max})"
            made = self._select(above, self.integers, ones, made)
        if self.target.is_signed:
            number = self._assign(f"fcmp ord {self.floats} {text}, zeroinitializer")
            made = self._select(number, self.integers, made, "zeroinitializer")
        return made

    def _bound(self, value: int) -> float:
        """The float nearest to `value` that is not beyond it."""
        real = self.source.numpy.type
        bound = real(value)
        return float(np.nextafter(bound, real(0)) if abs(int(bound)) > abs(value) else bound)

    def _converted(self, inside: str) -> str:
        """The plain conversion: small integers by way of 32 bits."""
        signed = self.target.is_signed or self.bits < 32
        name = "fptosi" if signed else "fptoui"
        if self.bits >= 32:
            return self._assign(f"{name} {self.floats} {inside} to {self.integers}")
        words = vector("i32", self.lanes)
        wide = self._assign(f"{name} {self.floats} {inside} to {words}")
        return self._assign(f"trunc {words} {wide} to {self.integers}")

    def _limited(self, text: str, compare: str, bound: float) -> str:
        limit = self._splat(bound)
        kept = self._assign(f"fcmp {compare} {self.floats} {text}, {limit}")
        return self._select(kept, self.floats, text, limit)

    def _select(self, flag: str, kind: str, yes: str, no: str) -> str:
        return self._assign(f"select {self.flags} {flag}, {kind} {yes}, {kind} {no}")

    def _splat(self, value: float) -> str:
        return f"splat ({self.element} {literal(value, self.source)})"

    def _assign(self, right: str) -> str:
        return self.function.assign(right, self.depth)
