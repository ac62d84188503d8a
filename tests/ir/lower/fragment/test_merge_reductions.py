"""Reductions that become one launch, those that do not, and that what they compute stays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from tests.codegen_glsl.nests import at, mapped, reduced
from tilewright.ir import build as b
from tilewright.ir.dtypes import F32
from tilewright.ir.expr import Var
from tilewright.ir.interpret.program import interpret_program
from tilewright.ir.kernel import Buffer
from tilewright.ir.lower.fragment.grid import lower_to_fragments
from tilewright.ir.lower.fragment.merge_reductions import LITTLE, merge_reductions
from tilewright.ir.program import Copy, Nest, Program, Repeat, Stage, Step
from tilewright.ir.schedule import Schedule

ROWS, COLUMNS = 512, 64
assert ROWS * COLUMNS > LITTLE

X, W = Buffer("x", (ROWS, COLUMNS), F32), Buffer("w", (ROWS, COLUMNS), F32)
Y, Z, V = (Buffer(name, (ROWS,), F32) for name in "yzv")


def of_rows(target: Buffer, combiner: str, source: Buffer = X) -> Nest:
    return reduced(
        target,
        (COLUMNS,),
        combiner,
        lambda i, j: at(source, i, j),
        lambda total, i: b.mul(total, b.const(2, F32)),
        name=target.name,
    )


def in_place(target: Buffer, combiner: str) -> Nest:
    """Without a stage for the result, as the index form has it."""
    i, j = Var("i", ROWS), Var("j", COLUMNS)
    return Nest("n", (i,), (Stage((), (j,), combiner, at(X, i, j), target, (i,)),), ())


def merged(*steps: Step) -> tuple[Step, ...]:
    return merge_reductions(steps, 8)


@pytest.mark.parametrize(
    "steps",
    [
        (of_rows(Y, "min"), of_rows(Z, "max")),
        (in_place(Y, "min"), of_rows(Z, "add")),
        (of_rows(Y, "min"), in_place(Z, "add")),
        (of_rows(Y, "min"), of_rows(Z, "max"), of_rows(V, "add")),
    ],
    ids=["two", "first in place", "second in place", "three"],
)
def test_one_pass_makes_all(steps: Sequence[Nest]) -> None:
    (made,) = merged(*steps)
    assert isinstance(made, Nest)
    reductions = [bool(stage.reduce_axes) for stage in made.stages[: len(steps)]]
    assert all(reductions)
    outputs = tuple(step.stages[-1].target for step in steps)
    x = np.random.default_rng(0).integers(-9, 9, X.shape).astype(np.float32)  # type: ignore[arg-type]
    before = interpret_program(Program("p", (), (X,), outputs, (), (), tuple(steps)), [x])
    after = interpret_program(Program("p", (), (X,), outputs, (), (), (made,)), [x])
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)
    kernel = lower_to_fragments(made, Schedule(unroll=4), "k")
    assert set(kernel.written) == set(outputs)


def test_what_lies_between_may_stay_behind() -> None:
    other = mapped(V, lambda i: b.const(1, F32))
    first, second = merged(of_rows(Y, "min"), other, of_rows(Z, "max"))
    assert second is other
    assert isinstance(first, Nest)
    assert len(first.stages) == 4


def test_each_round_of_a_loop_is_merged() -> None:
    (loop,) = merged(Repeat(Var("t", 3), (of_rows(Y, "min"), of_rows(Z, "max"))))
    assert isinstance(loop, Repeat)
    assert len(loop.steps) == 1


def centred() -> Nest:
    """Needs what the first reduction made."""
    return reduced(Z, (COLUMNS,), "add", lambda i, j: b.sub(at(X, i, j), at(Y, i)))


def products() -> Nest:
    return reduced(Z, (COLUMNS,), "add", lambda i, j: b.mul(at(X, i, j), at(X, i, j)))


def of_columns() -> Nest:
    target = Buffer("c", (COLUMNS,), F32)
    return reduced(target, (ROWS,), "max", lambda j, i: at(X, i, j))


@pytest.mark.parametrize(
    "steps",
    [
        (of_rows(Y, "min"), centred()),
        (of_rows(Y, "min"), products()),
        (of_rows(Y, "min"), of_columns()),
        (of_rows(Y, "min"), of_rows(Z, "max", W)),
        (of_rows(Y, "min"), Copy(W, X), of_rows(Z, "max")),
        (of_rows(Y, "min"), mapped(Z, lambda i: at(Y, i)), of_rows(Z, "max")),
        (of_rows(Y, "min"), Copy(Z, V), of_rows(Z, "max")),
        (mapped(Y, lambda i: b.const(1, F32)), of_rows(Z, "max")),
    ],
    ids=[
        *("needs the other", "products", "other points", "other data"),
        *("data that change", "written twice", "read before", "a map"),
    ],
)
def test_what_stays_apart(steps: Sequence[Step]) -> None:
    assert merged(*steps) == tuple(steps)


def test_targets_and_inputs_have_limits() -> None:
    targets = [Buffer(f"y{k}", (ROWS,), F32) for k in range(5)]
    assert len(merged(*(of_rows(t, "max") for t in targets[:4]))) == 1
    assert len(merged(*(of_rows(t, "max") for t in targets))) == 2
    both = reduced(Z, (COLUMNS,), "max", lambda i, j: b.add(at(X, i, j), at(W, i, j)))
    assert len(merge_reductions((of_rows(Y, "min"), both), 1)) == 2
    assert len(merge_reductions((of_rows(Y, "min"), both), 2)) == 1


def test_little_data_need_not_be_the_same() -> None:
    one, other = Buffer("p", (64, 4), F32), Buffer("q", (64, 4), F32)
    steps = [
        reduced(
            Buffer(f"s{k}", (64,), F32), (4,), "max", lambda i, j, source=source: at(source, i, j)
        )
        for k, source in enumerate((one, other))
    ]
    assert len(merged(*steps)) == 1
