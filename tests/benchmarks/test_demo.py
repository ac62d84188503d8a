"""`make demo`: what it shows exists, its pictures are right, and a wrong result ends it with 1."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from benchmarks import demo
from benchmarks.gallery import entries
from benchmarks.numexpr_kernels import NUMEXPR
from tilewright.compiler.bench.measure import Effort
from tilewright.compiler.bench.run import Result, run_subject

BY_NAME = {entry.name: entry for entry in entries()}
QUICK = Effort(rounds=1, seconds=0)


def test_what_is_shown_exists_and_comes_from_every_family() -> None:
    assert len(set(demo.SHOWN)) == 12
    families = {BY_NAME[name].family for name in demo.SHOWN}
    assert families == {entry.family for entry in entries()}


def test_pictures(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    excesses = demo.write_pictures(BY_NAME, tmp_path)
    assert max(excesses.values()) <= 1
    for name in excesses:
        with image.open(tmp_path / f"{name}.png") as picture:
            width, height = picture.size
        assert height >= 224
        assert width > 960


def test_it_ends_with_0_when_all_is_right(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _make_quick(monkeypatch, tmp_path)
    assert demo.main() == 0
    printed = capsys.readouterr().out
    assert "softmax" in printed
    assert "geometric mean" in printed


def test_it_ends_with_1_when_a_kernel_is_wrong(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _make_quick(monkeypatch, tmp_path)

    def wrong(*arguments: Any) -> Result:
        return replace(run_subject(*arguments), excess=2.0)

    monkeypatch.setattr(demo, "run_subject", wrong)
    assert demo.main() == 1
    assert "softmax is wrong" in capsys.readouterr().out


def _make_quick(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr(demo, "SHOWN", ("softmax",))
    monkeypatch.setattr(demo, "PICTURES", ())
    monkeypatch.setattr(demo, "OUTPUT", folder)
    monkeypatch.setattr(demo.measure_entry, "__defaults__", (QUICK,))


@pytest.mark.parametrize(
    ("image", "white", "brightest"),
    [
        (np.full((4, 6), 0.5, np.float32), 1, 128),
        (np.full((3, 4, 6), 2.0, np.float32), 1, 255),
        (np.full((4, 6, 3), 200.0, np.float32), 255, 200),
        (np.full((4, 6), 7, np.uint8), 1, 7),
    ],
)
def test_images_as_bytes(image: np.ndarray, white: float, brightest: int) -> None:
    shown = demo.as_bytes(image, white)
    assert shown.shape == (4, 6, 3)
    assert shown.dtype == np.uint8
    assert shown.max() == brightest


@pytest.mark.parametrize("name", NUMEXPR)
def test_numexpr_computes_the_same(name: str) -> None:
    pytest.importorskip("numexpr")
    entry = BY_NAME[name]
    assert entry.excess(NUMEXPR[name](*entry.inputs())) <= 1
