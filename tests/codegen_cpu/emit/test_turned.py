"""Rows that lie across lanes are loaded four elements at a time, up to their last one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.codegen_cpu.emit.test_gathers import NATIVE, TARGETS, any_values, check
from tilewright.codegen_cpu.emit.turned import first_of_four


def extremes(x: Any) -> Any:
    """Two stages read each row: it is turned."""
    return x.argmax(axis=1)


@pytest.mark.parametrize("length", [5, 6, 7, 8, 9, 12, 21])
@pytest.mark.parametrize("dtype", ["i4", "u4", "f4", "f8", "u1"])
@pytest.mark.parametrize("target", TARGETS)
def test_rows_of_every_length(target: str, dtype: str, length: int) -> None:
    """67 rows: lanes are left over at the end, after which there is nothing to load."""
    check(extremes, [any_values((67, length), dtype)], target)


@pytest.mark.parametrize("target", NATIVE)  # four lanes are enough
def test_elements_are_not_loaded_one_by_one(target: str) -> None:
    text = check(extremes, [any_values((64, 21), "f4")], target)
    assert text.count("load <4 x float>") >= 16


@pytest.mark.parametrize("target", TARGETS)
def test_rows_read_from_their_ends(target: str) -> None:
    x = any_values((67, 10), "f4")
    check(lambda x: x[:, ::-1].argmax(axis=1) + x[::-1, 1:9].argmin(axis=1), [x], target)


@pytest.mark.parametrize("target", TARGETS)
def test_what_is_stored_in_between_is_seen(target: str) -> None:
    def shifted(x):
        y = np.zeros((67, 8), np.float32)
        y[:, :] = x[:, 1:9]
        y[:, 4] = 7
        return y.argmax(axis=1) + y.argmin(axis=1)

    check(shifted, [any_values((67, 10), "f4")], target)


@pytest.mark.parametrize("first", [0, 3, 61, 120, 250])
def test_runs_are_found_wherever_they_begin(first: int) -> None:
    x = any_values((64, 300), "f4")
    text = check(lambda x: x[:, first : first + 21].argmax(axis=1), [x], "host")
    assert text.count("load <4 x float>") >= 16


@pytest.mark.parametrize(
    ("places", "starts"),
    [
        ((8, 9, 10, 11), [8, 8, 8, 8]),
        ((8, 9, 10, 11, 12), [8, 8, 8, 8, 9]),
        ((0, 1, 2, 3, 4, 5, 6), [0, 0, 0, 0, 3, 3, 3]),
        (tuple(range(3, 11)), [3, 3, 3, 3, 7, 7, 7, 7]),
    ],
)
def test_four_at_a_time_end_with_the_run(places: tuple[int, ...], starts: list[int]) -> None:
    assert [first_of_four(place, places) for place in places] == starts
