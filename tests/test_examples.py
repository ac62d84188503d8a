"""Every script in examples/ runs, as a user would run it, and prints what it should."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
# A pattern that the output must match.
EXPECTED = {
    "photo_preprocessing": r"\(720, 1280, 3\) -> \(3, 224, 224\) in [\d.]+ ms\nchannel means: \[",
    "mel_spectrogram": r"3 s: \(298, 40\), loudest band 13\nlargest difference.*: (\d\.\d+e-|0\.0)",
    "box_decoding": r"44 of 50 boxes stay\nclass 0, score 0\.94",
    "heatmap": r"largest error: 0\.\d+ pixels\n(.*\n)*WGSL: \d+ launches",
    "webgpu_chain": r"largest difference from NumPy: ([\d.]+e-0[6-9]|0\.0)\n",
    "index_form_filters": r"bilateral: as NumPy.*\ndilated: as NumPy",
}
DEVICES = {"webgpu_chain": pytest.mark.wgsl}


def run(name: str, *arguments: str) -> str:
    script = EXAMPLES / f"{name}.py"
    command = [sys.executable, str(script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_example_is_listed() -> None:
    assert sorted(EXPECTED) == sorted(p.stem for p in EXAMPLES.glob("*.py"))


@pytest.mark.parametrize("name", [pytest.param(n, marks=DEVICES.get(n, ())) for n in EXPECTED])
def test_example(name: str) -> None:
    assert re.search(EXPECTED[name], run(name))


def test_a_real_photograph(shared: Path) -> None:
    picture = next((shared / "images").glob("*.jpg"))
    assert "-> (3, 224, 224)" in run("photo_preprocessing", str(picture))
