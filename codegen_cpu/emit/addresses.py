"""Addresses of loads and stores: an access under the current bindings -> pointer, stride, offsets.

Lanes lie a fixed stride apart, or each at an offset of its own. Offsets of lanes are computed in
32 bits wherever what they are made of is known to fit: vectors of them hold twice as many.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from msgspec import Struct

from tilewright.codegen_cpu.emit.rare import BranchEmitter
from tilewright.codegen_cpu.emit.types import vector
from tilewright.ir import ops
from tilewright.ir.analysis.affine import Linear
from tilewright.ir.analysis.ranges import interval
from tilewright.ir.dtypes import I32, INDEX, U8, DType
from tilewright.ir.emit.environment import Lanes, Value
from tilewright.ir.expr import Apply, Expr, Var, post_order
from tilewright.ir.kernel import Buffer

_WIDEST_PICK = 4
"""Elements from the first to the last lane, relative to lanes: a few registers."""


class Offsets(Struct, frozen=True):
    """An element offset for each lane: a vector of `element`s, none below `least` or above `most`
    (if known). `byte` is the uint8 that the offset is, where it is nothing else."""

    text: str
    element: str
    least: int | None
    most: int | None
    byte: Value | None


class Access(Struct, frozen=True):
    """Where lanes lie: at ``pointer + stride * lane``, at the literals ``pointer + picked[lane]``,
    or at ``pointer + offsets[lane]``.

    `pointer` is `constant` elements beyond `base`, which known at `depth`; `base_least` is the
    least offset that `base` can have in its buffer, if that is known.
    """

    pointer: str
    depth: int
    lanes: int
    stride: int
    offsets: Offsets | None
    base: str
    constant: int
    base_least: int | None
    picked: tuple[int, ...] = ()


class AddressEmitter(BranchEmitter):
    """Expressions, and where in memory an access of a buffer is."""

    pointers: dict[Buffer, str]

    def access(self, buffer: Buffer, indices: tuple[Expr, ...]) -> Access:
        """The place of an access under the current bindings."""
        form = self.environment.offset(buffer, indices)
        element = self.types.memory(buffer.dtype)
        constant, stride, lanes = form.constant, 0, 1
        uniform: list[tuple[Value, int]] = []
        varying: dict[Expr, int] = {}
        steady: dict[Expr, int] = {}
        for atom, factor in form.terms.items():
            binding = self.environment.bindings.get(atom)
            if isinstance(binding, Lanes):
                constant += factor * binding.start
                stride += factor
                lanes = binding.count
                continue
            value = self.evaluate(atom)
            if value.known is not None:
                constant += factor * value.known
            elif value.lanes == 1:
                uniform.append((value, factor))
                steady[atom] = factor
            else:
                varying[atom] = factor
                lanes = value.lanes
        base, depth = self._pointer(buffer.root, element, uniform)
        offsets = None
        picked = self._picked(varying, stride, lanes)
        if picked:
            constant += min(picked)
            picked = tuple(p - min(picked) for p in picked)
            stride = 0
            if not any(picked):
                picked, lanes = (), 1
        elif varying:
            offsets, inner = self._offsets(Linear(varying, 0), stride, lanes)
            stride, depth = 0, max(depth, inner)
        elif not stride:
            lanes = 1
        pointer = self.shifted(base, depth, element, constant)
        least = interval(Linear(steady, 0).expression())[0]
        return Access(pointer, depth, lanes, stride, offsets, base, constant, least, picked)

    def _picked(self, varying: dict[Expr, int], stride: int, lanes: int) -> tuple[int, ...]:
        """Offsets of lanes that are literals and lie close together; none where they do not."""
        total = stride * np.arange(lanes)
        for atom, factor in varying.items():
            values = self._literals_of(atom)
            if values is None:
                return ()
            total = total + factor * values
        span = int(total.max() - total.min()) + 1 if varying else 0
        return tuple(map(int, total)) if 0 < span <= _WIDEST_PICK * lanes else ()

    def _literals_of(self, atom: Expr) -> np.ndarray | None:
        """The value of an index in each lane, where it depends on nothing else than lanes."""
        facts = self.environment.facts(atom)
        values: dict[Var, Any] = {}
        for variable in facts.variables:
            match self.environment.bindings.get(variable):
                case Lanes(start, count):
                    values[variable] = np.arange(start, start + count)
                case int() as known:
                    values[variable] = np.int64(known)
                case _:
                    return None
        if facts.roots or facts.volatile or not _is_index_arithmetic(atom):
            return None
        from tilewright.ir.interpret.values import evaluate, reads_nothing

        return np.asarray(evaluate((atom,), values, reads_nothing)[0])

    def _pointer(
        self, root: Buffer, element: str, terms: list[tuple[Value, int]]
    ) -> tuple[str, int]:
        """``root + sum(terms)``: terms are added scope by scope, so that outer parts are shared."""
        pointer, depth = self.pointers[root], 0
        for value, factor in sorted(terms, key=lambda term: term[0].depth):
            depth = value.depth
            step = self._scaled(value, factor, depth)
            pointer = self.function.once(
                ("gep", pointer, step, element),
                f"getelementptr {element}, ptr {pointer}, {self.types.index} {step}",
                depth,
            )
        return pointer, depth

    def _scaled(self, value: Value, factor: int, depth: int) -> str:
        if factor == 1:
            return value.text
        right = f"mul {self.types.index} {value.text}, {factor}"
        return self.function.once(("mul", value.text, factor), right, depth)

    def shifted(self, pointer: str, depth: int, element: str, constant: int) -> str:
        """``pointer + constant`` elements."""
        if not constant:
            return pointer
        right = f"getelementptr {element}, ptr {pointer}, {self.types.index} {constant}"
        return self.function.once(("shift", pointer, constant, element), right, depth)

    # Lanes at offsets of their own.

    def _offsets(self, form: Linear, stride: int, lanes: int) -> tuple[Offsets, int]:
        """``form + stride * lane``, and the scope in which it is known."""
        least, most = interval(form.expression())
        ramp = [stride * lane for lane in range(lanes)]
        narrow = _fits(least, most, ramp)
        element = "i32" if narrow else self.types.index
        total, depth = "", 0
        for atom, factor in form.terms.items():
            value = self._narrow(atom) if narrow else self.evaluate(atom)
            depth = max(depth, value.depth)
            total = self._plus(total, value, factor, element, depth)
        if stride:
            shown = ", ".join(f"{element} {step}" for step in ramp)
            kind = vector(element, lanes)
            key = ("ramp", total, stride, element)
            total = self.function.once(key, f"add {kind} {total}, <{shown}>", depth)
        lowest = None if least is None else least + min(ramp)
        highest = None if most is None else most + max(ramp)
        return Offsets(total, element, lowest, highest, self._byte(form, stride)), depth

    def _byte(self, form: Linear, stride: int) -> Value | None:
        (atom, factor), *rest = form.terms.items()
        source = _before_widening(atom)
        alone = not rest and factor == 1 and not stride
        return self.evaluate(source) if alone and source.dtype is U8 else None

    def _plus(self, total: str, value: Value, factor: int, element: str, depth: int) -> str:
        """``total + factor * value``."""
        kind, step = vector(element, value.lanes), value.text
        if factor != 1:
            right = f"mul {kind} {step}, splat ({element} {factor})"
            step = self.function.once(("lanes*", step, factor, element), right, depth)
        if not total:
            return step
        return self.function.once(("lanes+", total, step), f"add {kind} {total}, {step}", depth)

    def _narrow(self, atom: Expr) -> Value:
        """An index that fits into 32 bits, in 32 bits."""
        source = _before_widening(atom)
        value = self.evaluate(source)
        kind = vector("i32", value.lanes)
        dtype = source.dtype
        if self.types.scalar(dtype) == "i32":
            return value
        old = self.types.value(dtype, value.lanes)
        step = "trunc" if dtype.kind == "x" else "sext" if dtype.kind == "i" else "zext"
        right = f"{step} {old} {value.text} to {kind}"
        text = self.function.once(("narrow", value.text), right, value.depth)
        return Value(text, value.lanes, value.depth)


def _is_index_arithmetic(atom: Expr) -> bool:
    return all(node.dtype is INDEX for node in post_order((atom,)))


def _before_widening(atom: Expr) -> Expr:
    """The integer of at most 32 bits that an index was converted from, or the index itself."""
    if isinstance(atom, Apply) and atom.op is ops.CAST and _is_narrow(atom.operands[0].dtype):
        return atom.operands[0]
    return atom


def _is_narrow(dtype: DType) -> bool:
    return dtype.kind in "iu" and (dtype.bits < 32 or dtype is I32)


def _fits(least: int | None, most: int | None, ramp: list[int]) -> bool:
    if least is None or most is None:
        return False
    return I32.min <= least + min(ramp) and most + max(ramp) <= I32.max
