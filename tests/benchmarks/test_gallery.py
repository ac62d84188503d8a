"""Every kernel of the gallery is right in plain NumPy, and so are its baseline and its inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.gallery import Entry, Tolerance, entries
from benchmarks.gallery.entry import TOLERANCES, as_tuple
from benchmarks.gallery.photograph import photograph

ENTRIES = entries()
each_entry = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
IMAGE_ENTRIES = [
    entry
    for entry in ENTRIES
    if entry.family == "preprocessing" and entry.kernel.__code__.co_varnames[:1] == ("image",)
]


def layouts(result: Any) -> list[tuple[Any, ...]]:
    return [(array.shape, array.dtype) for array in as_tuple(result)]


@each_entry
def test_kernel_and_baseline_agree_with_the_reference(entry: Entry) -> None:
    inputs = entry.inputs()
    before = [array.copy() for array in inputs]
    by_kernel, by_baseline = entry.kernel(*inputs), entry.baseline(*inputs)
    assert entry.excess_on(inputs, by_kernel) <= 1
    assert entry.excess_on(inputs, by_baseline) <= 1
    assert layouts(by_kernel) == layouts(by_baseline)
    for array, copy in zip(inputs, before, strict=True):
        np.testing.assert_array_equal(array, copy)


@each_entry
def test_inputs_are_frozen_and_plain(entry: Entry) -> None:
    first, second = entry.inputs(), entry.inputs()
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.dtype in (np.float32, np.uint8)
        assert a.flags.c_contiguous


@each_entry
def test_a_wrong_result_is_found(entry: Entry) -> None:
    inputs = entry.inputs()
    right = [np.array(array) for array in as_tuple(entry.baseline(*inputs))]
    spot = np.unravel_index(right[0].size // 2, right[0].shape)
    right[0][spot] += np.asarray(max(3, 0.01 * np.max(np.abs(right[0])))).astype(right[0].dtype)
    assert entry.excess_on(inputs, tuple(right)) > 1


@pytest.mark.parametrize("entry", IMAGE_ENTRIES, ids=lambda entry: entry.name)
@pytest.mark.parametrize("name", ["background", "ai-face", "ai-upper"])
def test_preprocessing_of_real_photographs(entry: Entry, name: str, shared: Path) -> None:
    image_module = pytest.importorskip("PIL.Image")
    picture = np.array(image_module.open(shared / "images" / f"{name}.jpg").convert("RGB"))
    inputs = (picture, *entry.inputs()[1:])
    assert entry.excess_on(inputs, entry.kernel(*inputs)) <= 1


def test_the_list_is_large_and_its_names_are_unique() -> None:
    names = [entry.name for entry in ENTRIES]
    assert len(names) >= 40
    assert len(set(names)) == len(names)
    assert len({entry.family for entry in ENTRIES}) == 7
    assert all(entry.tolerance in TOLERANCES for entry in ENTRIES)
    assert all(entry.title != entry.name for entry in ENTRIES)


def test_the_photograph_has_the_statistics_of_one() -> None:
    image = photograph()
    assert image.shape == (1080, 1920, 3)
    assert 40 < image.std() < 90
    assert np.unique(image).size > 240
    levels = image[..., 0].astype(int)
    steps = np.abs(levels[:, 4:] - levels[:, :-4])  # enlarging spreads an edge over four pixels
    assert np.median(steps) < 12  # smooth in most places
    assert np.mean(steps > 60) > 0.005  # with hard edges in some


class TestTolerance:
    reference = np.array([1000.0, 0.0, np.nan, np.inf])

    def test_equal_values_pass_with_no_tolerance(self) -> None:
        assert Tolerance().excess(self.reference.astype(np.float32), self.reference) == 0

    def test_errors_are_counted_in_what_is_allowed(self) -> None:
        got = self.reference + np.array([0.5, 0.25, 0, 0])
        assert Tolerance(scaled=1e-3).excess(got, self.reference) == pytest.approx(0.5)
        assert Tolerance(absolute=2).excess(got, self.reference) == pytest.approx(0.25)
        assert Tolerance(relative=1e-3).excess(got[:1], self.reference[:1]) == pytest.approx(0.5)

    @pytest.mark.parametrize("spot", range(4))
    def test_no_tolerance_covers_nan_or_infinity_for_a_number(self, spot: int) -> None:
        got = self.reference.copy()
        got[spot] = 1.0 if spot > 1 else np.nan
        assert Tolerance(relative=1, scaled=1).excess(got, self.reference) == np.inf

    def test_another_shape_is_wrong(self) -> None:
        assert Tolerance(scaled=1).excess(np.ones((2, 1)), np.ones(2)) == np.inf
