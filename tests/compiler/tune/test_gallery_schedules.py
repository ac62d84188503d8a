"""Random schedules of some kernels of the gallery; `gallery_schedules.py` tries thousands."""

from __future__ import annotations

import random

import numpy as np
import pytest

from benchmarks.gallery import Entry, entries
from tests.bad_inputs.calls import HEAVY
from tests.compiler.tune.gallery_schedules import chosen_entries, tried
from tests.compiler.tune.gallery_subjects import GallerySubject, small_inputs
from tilewright.compiler.targets import NAMES
from tilewright.compiler.tune.candidates import Candidates
from tilewright.ir.errors import UnsupportedError

TARGETS = [pytest.param(n, marks=() if n == "cpu" else getattr(pytest.mark, n)) for n in NAMES]
CHOSEN = entries() if HEAVY else chosen_entries()
COUNT = 60 if HEAVY else 3


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("entry", CHOSEN, ids=lambda entry: entry.name)
def test_random_schedules_are_right(entry: Entry, target: str) -> None:
    try:
        subject = GallerySubject(entry, target)
    except UnsupportedError as error:
        pytest.skip(str(error))
    found = tried(subject, COUNT, random.Random(entry.name))
    assert not found.wrong
    assert found.tried == (COUNT if subject.nests else 0)


def test_wrong_results_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    subject = GallerySubject(chosen_entries()[0], "cpu")
    right = Candidates.check

    def slightly_wrong(self: Candidates, made: object) -> list[np.ndarray]:
        return [np.asarray(array) * 1.001 for array in right(self, made)]  # type: ignore[arg-type]

    monkeypatch.setattr(Candidates, "check", slightly_wrong)
    assert "times the entry's tolerance" in subject.wrong_under({})


def test_small_inputs_are_small() -> None:
    sizes = [sum(a.size for a in small_inputs(entry)) for entry in chosen_entries()]
    assert max(sizes) < 300_000
