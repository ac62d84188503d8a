"""The README's examples run as they stand, and give what NumPy gives."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

README = Path(__file__).parent.parent / "README.md"


@pytest.fixture(scope="module")
def examples() -> dict[str, object]:
    """The names that the README's Python blocks define; blocks for devices are left out."""
    text = README.read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) >= 5
    names: dict[str, object] = {}
    for block in blocks:
        code = "\n".join(line for line in block.splitlines() if '"wgsl"' not in line)
        exec(compile(code.replace("print(compiled", "str(compiled"), str(README), "exec"), names)
        if 'target="wgsl"' in block:
            break
        names.setdefault("compiled", names["softmax"].compile(np.ones((2, 3), np.float32)))  # type: ignore[attr-defined]
    return names


def test_softmax(examples):
    softmax, x = examples["softmax"], examples["x"]
    np.testing.assert_allclose(softmax(x), softmax.python(x), rtol=2e-6)


def test_normalise(examples):
    image = np.random.default_rng(0).integers(0, 256, (37, 53, 3), np.uint8)
    normalise = examples["normalise"]
    expected = normalise.python(image)
    result = normalise(image)
    assert result.dtype == expected.dtype
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6)


def test_blur(examples):
    rng = np.random.default_rng(1)
    image, weights = rng.random((40, 50), np.float32), rng.random((3, 3), np.float32)
    blur3 = examples["blur3"]
    np.testing.assert_allclose(blur3(image, weights), blur3.python(image, weights), rtol=1e-5)


def test_one_compiled_kernel_serves_every_size(examples):
    unit_vectors = examples["unit_vectors"]
    for count in (5, 1, 0, 64, 1000):
        points = np.random.default_rng(count).random((count, 3), np.float32) + 1
        expected = unit_vectors.python(points)
        np.testing.assert_allclose(unit_vectors(points), expected, rtol=1e-6)
    assert len(unit_vectors.specializations) == 1


def test_the_line_for_other_systems():
    line = re.search(r'python -c "(.*?)"\n', README.read_text())
    assert line is not None
    exec(line.group(1), {})
