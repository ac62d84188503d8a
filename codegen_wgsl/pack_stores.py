"""Stores of narrow elements -> stores of whole words, where one invocation makes all of a word.

In: a kernel, and the buffer of words that stands for each array which is to be packed. Out: the
kernel with neighbouring elements kept in registers until their word is written. A word is whole if
a loop that is written out, or statements next to each other, store all elements of it; at the end
of the array those that exist. Stores of which that cannot be said stay as they are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from msgspec import Struct

from tilewright.ir import build, ops
from tilewright.ir.analysis.affine import Linear, rejoined
from tilewright.ir.dtypes import BOOL, U8, U16, U32, DType
from tilewright.ir.expr import Apply, Expr, Load, Var, post_order
from tilewright.ir.kernel import (
    Buffer,
    For,
    If,
    Kernel,
    Stmt,
    Store,
    map_expressions,
    statements,
)
from tilewright.ir.lower.accesses import flat
from tilewright.ir.lower.finish_kernel import finish_kernel
from tilewright.ir.lower.simplify_indices import simplify_indices
from tilewright.ir.traverse import substitute, variables

WORD_BITS = 32
_BITS = {8: U8, 16: U16}
_WRITTEN_OUT = ("unroll", "vector")


def elements_per_word(dtype: DType) -> int:
    """How many elements of `dtype` a word holds; 1 for those that fill it, or more than one."""
    return WORD_BITS // dtype.bits if dtype.bits in _BITS else 1


def pack_stores(kernel: Kernel, words: Mapping[Buffer, Buffer]) -> Kernel:
    """`kernel` with the stores to the roots among `words` made word by word, where possible."""
    work = _Packer(words)
    body = work.block(simplify_indices(kernel.body), ())
    return finish_kernel(kernel.name, body, (*kernel.locals, *work.registers))


class _Run(Struct):
    """Neighbouring elements of a root, from `first` on: they wait in a register of that many.

    `conditions` stand around the stores of all of them.
    """

    root: Buffer
    first: Linear
    register: Buffer
    conditions: tuple[Expr, ...] = ()


class _Packer:
    """State of one kernel's rewriting. `lanes` are the variables of the vector loops around, each
    lane of which has registers of its own."""

    def __init__(self, words: Mapping[Buffer, Buffer]) -> None:
        self.words = words
        self.registers: list[Buffer] = []

    def block(self, body: Sequence[Stmt], lanes: tuple[Var, ...]) -> list[Stmt]:
        made = [new for stmt in body for new in self._statement(stmt, lanes)]
        return self._join(made, lanes)

    def _statement(self, stmt: Stmt, lanes: tuple[Var, ...]) -> list[Stmt]:
        match stmt:
            case For(kind="serial"):
                parted = self._parted(stmt)
                return [parted.with_body(self.block(parted.body, lanes))]
            case For():
                return self._loop(stmt, lanes)
            case If():
                yes, no = self.block(stmt.body, lanes), self.block(stmt.otherwise, lanes)
                return [If(stmt.condition, yes, no)]
            case _:
                return [stmt]

    # Loops that are written out.

    def _loop(self, loop: For, lanes: tuple[Var, ...]) -> list[Stmt]:
        inside = (*lanes, loop.var) if loop.kind == "vector" else lanes
        body = self.block(loop.body, inside)
        if loop.kind not in _WRITTEN_OUT or (loop.kind == "vector" and lanes):
            return [loop.with_body(body)]
        runs: list[_Run] = []
        body = self._gather(body, (loop,), lanes, (), runs)
        made: list[Stmt] = [loop.with_body(body)]
        for run in runs:
            stores = self._words(run, lanes)
            for condition in reversed(run.conditions):
                stores = [If(condition, stores)]
            made += stores
        return made

    def _gather(
        self,
        body: Sequence[Stmt],
        loops: tuple[For, ...],
        lanes: tuple[Var, ...],
        conditions: tuple[Expr, ...],
        runs: list[_Run],
    ) -> list[Stmt]:
        """The statements inside of `loops` with what fills words stored to registers; `runs` gets
        those. `conditions` are the branches between."""
        made: list[Stmt] = []
        for stmt in body:
            match stmt:
                case Store():
                    made.append(self._kept(stmt, loops, lanes, conditions, runs))
                case If() if _is_same_in(stmt.condition, loops):
                    around = (*conditions, stmt.condition)
                    otherwise = (*conditions, Apply(ops.NOT, (stmt.condition,)))
                    yes = self._gather(stmt.body, loops, lanes, around, runs)
                    no = self._gather(stmt.otherwise, loops, lanes, otherwise, runs)
                    made.append(If(stmt.condition, yes, no))
                case For(kind="unroll") if loops[-1].kind == "unroll":
                    inner = self._gather(stmt.body, (*loops, stmt), lanes, conditions, runs)
                    made.append(stmt.with_body(inner))
                case _:
                    made.append(stmt)
        return made

    def _kept(
        self,
        stmt: Store,
        loops: tuple[For, ...],
        lanes: tuple[Var, ...],
        conditions: tuple[Expr, ...],
        runs: list[_Run],
    ) -> Store:
        """`stmt` to a register, if the elements that it stores in all rounds of `loops` are whole
        words."""
        root = stmt.buffer.root
        if root not in self.words:
            return stmt
        form = rejoined(flat(stmt.buffer, stmt.indices))
        count = _neighbours(form, loops)
        own = {loop.var for loop in loops}
        first = Linear({a: c for a, c in form.terms.items() if a not in own}, form.constant)
        inside = not own.isdisjoint(variables(tuple(first.terms)))
        if not count or inside or not _is_whole(root, first, count):
            return stmt
        run = _Run(root, first, self._register(root, count, lanes), conditions)
        runs.append(run)
        place = Linear({v: form.coefficient(v) for v in own}, 0).expression()
        return _keep(run.register, (place, *lanes), stmt.value)

    def _register(self, root: Buffer, count: int, lanes: tuple[Var, ...]) -> Buffer:
        extents = [lane.extent for lane in lanes if lane.extent is not None]
        made = Buffer("narrow", (count, *extents), _BITS[root.dtype.bits], "register")
        self.registers.append(made)
        return made

    # Statements next to each other.

    def _join(self, body: list[Stmt], lanes: tuple[Var, ...]) -> list[Stmt]:
        """Stores in one block whose elements together are whole words."""
        found: dict[tuple[Buffer, frozenset[tuple[Expr, int]]], dict[int, int]] = {}
        for place, stmt in enumerate(body):
            if isinstance(stmt, Store) and stmt.buffer.root in self.words:
                form = rejoined(flat(stmt.buffer, stmt.indices))
                key = stmt.buffer.root, frozenset(form.terms.items())
                found.setdefault(key, {})[form.constant] = place
        after: dict[int, list[Stmt]] = {}
        made = list(body)
        for (root, terms), places in found.items():
            for first, count in _stretches(sorted(places)):
                start = Linear(dict(terms), first)
                if not _is_whole(root, start, count):
                    continue
                if count == 1:
                    made[places[first]] = self._single(root, start, made[places[first]])
                    continue
                run = _Run(root, start, self._register(root, count, lanes))
                for k in range(count):
                    store = made[places[first + k]]
                    assert isinstance(store, Store)
                    kept = _keep(run.register, (build.index(k), *lanes), store.value)
                    made[places[first + k]] = kept
                last = max(places[first + k] for k in range(count))
                after.setdefault(last, []).extend(self._words(run, lanes))
        return [new for place, stmt in enumerate(made) for new in (stmt, *after.get(place, ()))]

    def _single(self, root: Buffer, first: Linear, store: Stmt) -> Store:
        """The store of a word that has one element."""
        assert isinstance(store, Store)
        bits = _bits_of(store.value, _BITS[root.dtype.bits])
        return self._store(root, first, [bits])

    # Words.

    def _words(self, run: _Run, lanes: tuple[Var, ...]) -> list[Stmt]:
        """The stores of the words that a run fills."""
        each = elements_per_word(run.root.dtype)
        count = run.register.shape[0]
        assert isinstance(count, int)
        parts = [Load(run.register, (build.index(k), *lanes)) for k in range(count)]
        return [
            self._store(run.root, Linear(run.first.terms, run.first.constant + k), parts[k:][:each])
            for k in range(0, count, each)
        ]

    def _store(self, root: Buffer, first: Linear, parts: Sequence[Expr]) -> Store:
        """The store of the word that begins with the element at `first`."""
        each = elements_per_word(root.dtype)
        terms = {atom: factor // each for atom, factor in first.terms.items()}
        place = Linear(terms, first.constant // each).expression()
        return Store(self.words[root], (place,), _word(parts))

    # Loops in order.

    def _parted(self, loop: For) -> For:
        """A loop over neighbouring elements, with the rounds that make a word written out."""
        extent = loop.extent
        inside = (s for s in statements(loop.body) if isinstance(s, For))
        if not isinstance(extent, int) or any(isinstance(s.extent, Expr) for s in inside):
            return loop
        each = max((self._wants(s, loop.var) for s in loop.body), default=1)
        if each == 1 or extent % each:
            return loop
        outer, inner = Var(f"{loop.var.name}_w", extent // each), Var(loop.var.name, each)
        place = build.add(build.mul(outer, build.index(each)), inner)
        body = _substituted(loop.body, {loop.var: place})
        return For(outer, "serial", [For(inner, "unroll", body)])

    def _wants(self, stmt: Stmt, var: Var) -> int:
        """Rounds of the loop over `var` in which `stmt` fills a word."""
        if not isinstance(stmt, Store) or stmt.buffer.root not in self.words:
            return 1
        form = rejoined(flat(stmt.buffer, stmt.indices))
        each = elements_per_word(stmt.buffer.dtype)
        aligned = _is_whole(stmt.buffer.root, form.without(var), each)
        return each if form.coefficient(var) == 1 and aligned else 1


def _is_whole(root: Buffer, first: Linear, count: int) -> bool:
    """Whether `count` elements from `first` on are whole words, or end where the array does."""
    each = elements_per_word(root.dtype)
    if first.constant % each or any(factor % each for factor in first.terms.values()):
        return False
    if count % each == 0:
        return True
    size = math.prod(extent for extent in root.shape if isinstance(extent, int))
    return not first.terms and first.constant + count == size


def _neighbours(form: Linear, loops: Sequence[For]) -> int:
    """How many elements next to each other lie at `form` in the rounds of `loops`; 0 if they are
    apart."""
    count = 1
    for loop in sorted(loops, key=lambda loop: form.coefficient(loop.var)):
        if form.coefficient(loop.var) != count or not isinstance(loop.extent, int):
            return 0
        count *= loop.extent
    return count


def _is_same_in(condition: Expr, loops: Sequence[For]) -> bool:
    """Whether a condition is the same in all rounds, and after them."""
    nodes = set(post_order((condition,)))
    return nodes.isdisjoint({loop.var for loop in loops}) and not any(
        isinstance(n, Load) for n in nodes
    )


def _keep(register: Buffer, place: tuple[Expr, ...], value: Expr) -> Store:
    return Store(register, place, _bits_of(value, register.dtype))


def _bits_of(value: Expr, dtype: DType) -> Expr:
    return build.cast(value, dtype) if value.dtype is BOOL else build.bitcast(value, dtype)


def _word(parts: Sequence[Expr]) -> Expr:
    """Elements as a word, lowest bits first."""
    each = parts[0].dtype.bits
    word = build.cast(parts[0], U32)
    for k, part in enumerate(parts[1:], 1):
        moved = Apply(ops.SHL_RAW, (build.cast(part, U32), build.const(k * each, U32)))
        word = Apply(ops.OR, (word, moved))
    return word


def _stretches(constants: Sequence[int]) -> list[tuple[int, int]]:
    """Ascending numbers as (first, count) of those that follow each other."""
    found: list[tuple[int, int]] = []
    for number in constants:
        if found and sum(found[-1]) == number:
            found[-1] = found[-1][0], found[-1][1] + 1
        else:
            found.append((number, 1))
    return found


def _substituted(body: Sequence[Stmt], bindings: Mapping[Var, Expr]) -> tuple[Stmt, ...]:
    """The statements with variables replaced."""
    memo: dict[Expr, Expr] = {}
    return map_expressions(body, lambda e: substitute(e, bindings, memo=memo))
