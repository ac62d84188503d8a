"""Statements of kernels: walks over them, what they read and write, and how they are rewritten."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tilewright.ir import build, ops
from tilewright.ir.dtypes import ALL, BOOL, F32, I32, INDEX
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Apply, Expr, LaneReduce, Load, Var
from tilewright.ir.interpret.kernel import Frame, Machine, Tape, inside, interpret_kernel, poison
from tilewright.ir.kernel import (
    Barrier,
    Buffer,
    For,
    If,
    Kernel,
    Stmt,
    Store,
    WhileLoop,
    children,
    expressions,
    loaded_buffers,
    map_expressions,
    statements,
    stored_roots,
)

A, B, C = (Buffer(name, (4, 6), F32) for name in "abc")
FLAT = Buffer("flat", (24,), F32, base=Buffer("half", (12, 2), F32, base=A))
REGISTER = Buffer("r", (4,), F32, "register")
PLACES = Buffer("p", (4,), I32)
FLAG = Buffer("flag", (), BOOL)
I, J, N = Var("i", 4), Var("j", 6), Var("N")  # noqa: E741
OPEN = Var("k", N)


def load(buffer: Buffer, *indices: Expr) -> Expr:
    return Load(buffer, indices)


FIRST = Store(REGISTER, (I,), load(A, I, build.index(0)))
SECOND = Store(B, (I, build.cast(load(PLACES, I), INDEX)), load(REGISTER, I))
THIRD = Store(FLAT, (J,), LaneReduce(ops.ADD, REGISTER))
BRANCH = If(load(FLAG), [SECOND, Barrier()], [THIRD])
INNER = For(OPEN, "serial", [BRANCH], extent=build.add(N, build.index(0)))
ROUNDS = WhileLoop(load(FLAG), [FIRST])
OUTER = For(I, "unroll", [FIRST, INNER, ROUNDS], 2)


def test_statements_stand_before_those_inside_of_them() -> None:
    found = list(statements([OUTER, SECOND]))
    inside_branch = [SECOND, BRANCH.body[1], THIRD]
    assert found == [OUTER, FIRST, INNER, BRANCH, *inside_branch, ROUNDS, FIRST, SECOND]
    assert children(BRANCH) == (*BRANCH.body, THIRD)
    assert children(OUTER) == OUTER.body
    assert children(ROUNDS) == (FIRST,)
    assert children(FIRST) == children(Barrier()) == ()


def test_expressions_of_a_statement_are_its_own() -> None:
    assert expressions(OUTER) == ()
    assert expressions(For(OPEN, "serial", [])) == (N,)
    assert expressions(SECOND) == (*SECOND.indices, SECOND.value)
    assert expressions(BRANCH) == (BRANCH.condition,)
    assert expressions(ROUNDS) == (ROUNDS.condition,)
    assert expressions(Barrier()) == ()


def test_what_is_read_and_written() -> None:
    assert loaded_buffers([OUTER]) == (A, FLAG, PLACES, REGISTER)
    assert stored_roots([OUTER]) == (B, A)
    assert stored_roots([FIRST]) == ()
    kernel = Kernel("k", (A, C, B, PLACES, FLAG), (), (REGISTER,), (OUTER,))
    assert kernel.written == (A, B)
    assert FLAT.root is A
    assert A.root is A


def test_every_expression_is_mapped_and_all_else_stays() -> None:
    seen: list[Expr] = []

    def change(node: Expr) -> Expr:
        seen.append(node)
        return node

    (made, last) = map_expressions([OUTER, Barrier()], change)
    assert isinstance(last, Barrier)
    walked = list(statements([OUTER]))
    assert sorted(map(id, seen)) == sorted(id(e) for s in walked for e in expressions(s))
    for old, new in zip(walked, statements([made]), strict=True):
        assert type(old) is type(new)
        assert expressions(old) == expressions(new)
        if isinstance(old, For) and isinstance(new, For):
            assert (old.var, old.kind, old.width, old.extent) == (
                *(new.var, new.kind, new.width, new.extent),
            )
        if isinstance(old, Store) and isinstance(new, Store):
            assert old.buffer is new.buffer
    shorter = OUTER.with_body([FIRST])
    assert (shorter.var, shorter.kind, shorter.width, shorter.body) == (I, "unroll", 2, (FIRST,))
    assert INNER.with_body([]).extent is INNER.extent
    assert INNER.with_body([], N).extent is N


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: For(N, "serial", []), "loop variable N has no extent"),
        (lambda: For(OPEN, "vector", []), "vector loop over k has an extent that is not static"),
        (lambda: For(OPEN, "unroll", []), "unroll loop over k has an extent that is not static"),
        (lambda: Store(A, (I,), load(A, I, J)), "1 indices write a of rank 2"),
        (lambda: Store(PLACES, (I,), load(A, I, J)), "float32 stored to p of int32"),
        (lambda: If(load(A, I, J), []), "a condition of dtype float32"),
        (lambda: WhileLoop(load(A, I, J), []), "a condition of dtype float32"),
    ],
)
def test_statements_that_mean_nothing(make: object, message: str) -> None:
    with pytest.raises(IRError, match=message):
        make()  # type: ignore[operator]


# The interpreter.


def test_index_arithmetic_is_numpys() -> None:
    machine, i, j = Machine(Kernel("k", (), (), (), ())), Var("i"), Var("j")
    total = (ops.ADD, ops.SUB, ops.MUL, ops.MIN, ops.MAX, ops.FLOORDIV, ops.MOD)
    for op in (*total, ops.QUO, ops.REM):
        tape = Tape((Apply(op, (i, j)),))
        for a, b in itertools.product(range(-3, 4), repeat=2):
            if op not in total and b == 0:
                continue
            (found,) = tape.run(machine, Frame({i: a, j: b}, {}))
            assert found == op.reference(np.int64(a), np.int64(b))
            assert type(found) is int


def test_memory_begins_as_what_nobody_would_expect() -> None:
    for dtype in ALL:
        value = poison(dtype)
        if dtype.is_float:
            assert np.isnan(value)
        else:
            assert value == (dtype.min if dtype.kind == "i" else dtype.max)


def test_accesses_stay_inside() -> None:
    for i, j in itertools.product(range(-2, 6), range(-2, 8)):
        if 0 <= i < 4 and 0 <= j < 6:
            assert inside(A, (4, 6), [i, j], "load of") == (i, j)
        else:
            with pytest.raises(IRError, match="load of a"):
                inside(A, (4, 6), [i, j], "load of")


@pytest.mark.parametrize("kind", ["serial", "parallel", "group", "fragment", "unroll", "vector"])
def test_what_tasks_keep_is_their_own(kind: str) -> None:
    """A register keeps its value from round to round of a loop in order, and of no other."""
    total = Buffer("t", (), F32, "register")
    out = Buffer("o", (3,), F32)
    k = Var("k", 3)
    step = Store(total, (), build.add(Load(total, ()), build.const(1, F32)))
    body: tuple[Stmt, ...] = (
        Store(total, (), build.const(0, F32)),
        For(k, kind, [step, Store(out, (k,), Load(total, ()))]),  # type: ignore[arg-type]
    )
    found = np.zeros(3, np.float32)
    interpret_kernel(Kernel("k", (out,), (), (total,), body), {out: found})
    if kind in ("parallel", "group", "fragment"):
        assert np.isnan(found).all()
    else:
        np.testing.assert_array_equal(found, [1, 2, 3])
