"""The subscripts of einsum as letters, one per axis."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.compiler.trace_oracle import check
from tilewright.compiler.trace.einsum_text import from_lists, parse
from tilewright.ir.errors import ShapeError

RNG = np.random.default_rng(2)


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape)


@pytest.mark.parametrize(
    ("text", "ranks", "inputs", "output"),
    [
        ("ij,jk->ik", (2, 2), ("ij", "jk"), "ik"),
        (" i j , j k ", (2, 2), ("ij", "jk"), "ik"),
        ("kj,ji", (2, 2), ("kj", "ji"), "ik"),
        ("ii", (2,), ("ii",), ""),
        ("ba", (2,), ("ba",), "ab"),
        ("i,i->", (1, 1), ("i", "i"), ""),
        ("Za->aZ", (2,), ("Za",), "aZ"),
        ("aZ", (2,), ("aZ",), "Za"),
    ],
)
def test_letters(text: str, ranks: tuple[int, ...], inputs: tuple[str, ...], output: str) -> None:
    assert parse(text, ranks) == (inputs, output)


@pytest.mark.parametrize(
    ("text", "ranks", "shape"),
    [
        ("...i,...i->...", (3, 3), 2),
        ("...i,...i", (3, 1), 2),
        ("i...,...i->...i", (2, 4), 4),
        ("...,...", (0, 2), 2),
        ("...ij->...ji", (2,), 2),
        ("a...b", (5,), 5),
    ],
)
def test_an_ellipsis_is_the_axes_that_have_no_letter(
    text: str, ranks: tuple[int, ...], shape: int
) -> None:
    inputs, output = parse(text, ranks)
    assert [len(term) for term in inputs] == list(ranks)
    assert len(output) == shape
    hidden = [set(term) - set(text) for term in inputs]
    assert max(hidden, key=len) >= set.union(*hidden)
    assert len(set(output)) == len(output)


@pytest.mark.parametrize(
    ("text", "ranks", "why"),
    [
        ("ij,jk->ik", (2,), "2 terms for 1 operands"),
        ("i", (1, 1), "1 terms for 2 operands"),
        ("i1->i", (2,), "'1' is not a letter"),
        ("i->é", (1,), "'é' is not a letter"),
        ("i......", (1,), "'.' is not a letter"),
        ("ij", (3,), "'ij' does not name the axes of an array of rank 3"),
        ("ijk", (2,), "'ijk' does not name the axes of an array of rank 2"),
        ("ij...", (1,), "'ij...' does not name the axes of an array of rank 1"),
        ("...i->i", (2,), "the result lacks the ellipsis of the operands"),
        ("ij->ii", (2,), "'i' appears twice in the result"),
        ("ij->k", (2,), "'k' of the result is in no operand"),
        ("...,abcdefghijklmnopqrstu", (32, 21), "too many axes"),
    ],
)
def test_what_is_no_subscript(text: str, ranks: tuple[int, ...], why: str) -> None:
    with pytest.raises(ShapeError) as caught:
        parse(text, ranks)
    assert str(caught.value).startswith(f"einsum subscripts {text!r}: {why}")


def test_as_many_axes_as_there_are_letters() -> None:
    inputs, output = parse("...,abcdefghijklmnopqrst", (32, 20))
    assert len(set("".join(inputs))) == 52
    assert len(output) == 52


def test_lists_of_numbers() -> None:
    x: Any = None
    assert from_lists([x, [0, 1], x, [1, 2]]) == "AB,BC"
    assert from_lists([x, [0, 1], x, [1, 2], [0, 2]]) == "AB,BC->AC"
    assert from_lists([x, [Ellipsis, 25], [25, Ellipsis]]) == "...Z->Z..."
    assert from_lists([x, [26, np.int8(51)]]) == "az"
    for wrong in (-1, 52):
        with pytest.raises(ShapeError, match=f"from 0 to 51, not {wrong}"):
            from_lists([x, [0, wrong]])


@pytest.mark.parametrize(
    ("text", "shapes"),
    [
        ("...i,...i->...", ((2, 3, 4), (4,))),
        ("...i,...ij", ((3, 4), (2, 3, 4, 5))),
        ("i...,...i->...i", ((4, 3), (2, 3, 4))),
        ("b...a,...->a...b", ((4, 2, 3, 5), (2, 3))),
        ("...ii->...i", ((2, 3, 3),)),
        ("ca,ab", ((2, 3), (3, 4))),
        ("i,j,k->kji", ((2,), (3,), (4,))),
        ("...,...", ((), (2, 3))),
        ("...ij->...", ((2, 3, 4),)),
    ],
)
def test_as_numpy(text: str, shapes: tuple[tuple[int, ...], ...]) -> None:
    arrays = [normal(*shape) if shape else np.array(2.5) for shape in shapes]
    function: Any = {
        1: lambda a: np.einsum(text, a),
        2: lambda a, b: np.einsum(text, a, b),
        3: lambda a, b, c: np.einsum(text, a, b, c),
    }[len(arrays)]
    check(function, *arrays, tolerance=1e-13)
