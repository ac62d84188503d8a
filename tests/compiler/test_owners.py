"""Which step of a program a launch came from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tests.compiler.view.pages import view_of
from tilewright.compiler.owners import Owners
from tilewright.compiler.view.model import View
from tilewright.ir.program import Program


def labels(view: View) -> list[str]:
    program = view.specialization.stage("program")
    assert isinstance(program, Program)
    owners = Owners(program)
    names = [launch.name for launch in view.launches]
    lowered = [launch.kernel for launch in view.launches if launch.kernel is not None]
    return [owners.labels_of(step) for step in owners.of(lowered, names)]


def network(x, w):
    for _ in range(3):
        x = np.tanh(x @ w)
    return x


def product_of_transposed(a, b):
    return a @ b.T


def filters(x):
    y = np.sqrt(x[1:-1] + x[2:] + x[:-2])
    return np.exp(y[1:-1] * y[2:] * y[:-2])


def sorted_sums(x):
    return np.sort(x, axis=1).sum(axis=0)


CASES: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
    (network, (tw.f32[64, 64], tw.f32[64, 64])),
    (product_of_transposed, (tw.f32[256, 256], tw.f32[256, 256])),
    (filters, (tw.f32[600, 2000],)),
    (sorted_sums, (tw.f32[64, 300],)),
]


@pytest.mark.parametrize("target", ["cpu", "wasm", "wgsl", "glsl"])
@pytest.mark.parametrize(("function", "specs"), CASES)
def test_every_launch_has_one(function: Callable[..., Any], specs: Any, target: str) -> None:
    assert all(labels(view_of(function, *specs, target=target)))


def test_parts_of_a_split_reduction() -> None:
    view = view_of(lambda x: np.exp(x.sum(axis=1)), tw.f32[4, 4096], target="glsl")
    names = [launch.name for launch in view.launches]
    assert len(names) > 1
    assert all("np.add.reduce" in label for label in labels(view))


def test_equal_kernels_show_the_function_that_they_share() -> None:
    view = view_of(network, tw.f32[64, 64], tw.f32[64, 64])
    texts = {launch.text.split("{", 1)[1] for launch in view.launches}
    codes = {launch.code for launch in view.launches}
    assert all(launch.code.startswith("define ") for launch in view.launches)
    assert len(codes) < len(view.launches)
    assert len(texts) >= len(codes)
