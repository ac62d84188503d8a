"""Records that are read again and again are copied field by field; results stay what they were."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from tests.ir.lower.traced_programs import numbers, program_of
from tilewright.ir import build
from tilewright.ir.dtypes import F32
from tilewright.ir.expr import Load, Var
from tilewright.ir.interpret.program import interpret_program
from tilewright.ir.kernel import Buffer
from tilewright.ir.lower.pack_interleaved import pack_interleaved
from tilewright.ir.program import Nest, Stage, nests

MANY, FEW = numbers(40, 3), numbers(4, 3, seed=1)


def overlaps(a: Any, b: Any) -> Any:
    """Two fields of each record, and one that depends on the point."""
    return np.maximum(a[:, None, 0], b[None, :, 0]) - np.minimum(a[:, None, 2], b[None, :, 1])


def distances(a: Any, b: Any) -> Any:
    return np.abs(a[:, None, :] - b[None, :, :]).sum(axis=-1)


def turned(a: Any, b: Any) -> Any:
    """The records that lie along the result are those of `a`."""
    return (a[None, :, 0] + b[:, None, 1]) * a[None, :, 2]


def elsewhere(a: Any, b: Any) -> Any:
    """Records at other places than the point's own."""
    return a[::-1][None, :, 0] + b[:, None, 1]


@pytest.mark.parametrize(
    ("function", "arrays", "copies"),
    [
        (overlaps, (MANY, MANY), 1),
        (distances, (MANY, MANY), 1),
        (distances, (FEW, MANY), 0),
        (turned, (MANY, MANY), 1),
        (elsewhere, (MANY, MANY), 0),
        (lambda a, b: a[:, 0] * b[:, 1], (MANY, MANY), 0),
        (overlaps, (numbers(90, 40), numbers(90, 40)), 0),
    ],
)
def test_fields_apart(function: Callable[..., Any], arrays: Any, copies: int) -> None:
    program = program_of(function, arrays)
    steps: list[Nest] = []
    made = 0
    temporaries = list(program.temporaries)
    for nest in nests(program.steps):
        changed, before, buffers = pack_interleaved(nest, 8)
        steps += [*before, changed]
        temporaries += buffers
        made += len(before)
    assert made == copies
    changed_program = replace(program, steps=tuple(steps), temporaries=tuple(temporaries))
    found = interpret_program(changed_program, list(arrays))[0]
    np.testing.assert_array_equal(found, function(*arrays))


def copies_of(source: Buffer, most_fields: int = 8) -> int:
    """How many copies are made for ``out[i, j] = source[j, 0] - source[j, 1] + i``."""
    records = source.shape[-2]
    i, j = Var("i", 40), Var("j", records)
    front = (build.index(0),) * (len(source.shape) - 2)
    first, second = (Load(source, (*front, j, build.index(k))) for k in (0, 1))
    value = build.add(build.sub(first, second), build.cast(i, F32))
    target = Buffer("o", (40, records), F32)
    nest = Nest("n", (i, j), (Stage((), (), None, value, target, (i, j)),), ())
    changed, copies, buffers = pack_interleaved(nest, most_fields)
    assert len(copies) == len(buffers)
    assert (changed.stages[0].value is value) == (not copies)
    return len(copies)


def test_which_records_are_copied() -> None:
    """Those of plain memory, of a few fields, that are read at least eight times."""
    plain = Buffer("s", (30, 4), F32)
    assert copies_of(plain) == 1
    assert copies_of(plain, most_fields=4) == 1
    assert copies_of(plain, most_fields=3) == 0
    assert copies_of(Buffer("s", (30, 2), F32)) == 1
    assert copies_of(Buffer("s", (30, 5), F32)) == 1
    assert copies_of(Buffer("s", (30, 6), F32)) == 0
    assert copies_of(Buffer("s", (1, 30, 4), F32)) == 1
    assert copies_of(Buffer("s", (2, 30, 4), F32)) == 0
    assert copies_of(Buffer("s", (30, 4), F32, base=Buffer("b", (120,), F32))) == 0
    assert copies_of(Buffer("s", (30, 4), F32, strides=(4, 1))) == 0
    assert copies_of(Buffer("s", (30, 4), F32, "scratch")) == 0
    assert copies_of(Buffer("s", (30, Var("N")), F32)) == 0
