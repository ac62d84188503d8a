"""Leading positions that are literals become offsets, so that kernels of equal blocks are equal."""

from __future__ import annotations

import numpy as np
import pytest

import tilewright as tw
from tilewright.ir.interpret.kernel import interpret_kernel
from tilewright.ir.lower.drop_fixed_positions import drop_fixed_positions
from tilewright.ir.parser import parse_kernel
from tilewright.ir.printer import print_kernel
from tilewright.ir.text.style import CANONICAL

SHAPES = {"a": (3, 2, 4), "b": (4,), "y": (2, 4)}


def kernel_text(body: str) -> str:
    parameters = ", ".join(f"{n}: f32[{', '.join(map(str, s))}]" for n, s in SHAPES.items())
    return f"kernel k({parameters}) {{ for serial i < 4 {{ {body} }} }}"


@pytest.mark.parametrize(
    ("body", "dropped", "offsets"),
    [
        ("y[1, i] = a[2, 1, i] + b[i]", "y[i] = a[i] + b[i]", (20, 0, 4)),
        ("y[0, i] = a[0, 0, i]", "y[i] = a[i]", (0, 0, 0)),
        # All accesses have to agree; here on the first axis, and on none.
        ("y[1, i] = a[2, 1, i] * a[2, 0, i]", "y[i] = a[1, i] * a[0, i]", (16, 0, 4)),
        ("y[1, i] = a[2, 1, i] * a[0, 1, i]", "y[i] = a[2, 1, i] * a[0, 1, i]", (0, 0, 4)),
        ("y[1, i] = y[1, i] + y[0, i]", "y[1, i] = y[1, i] + y[0, i]", (0, 0, 0)),
        # A literal behind another index stays.
        ("y[1, i] = a[min(i, 2), 1, 3]", "y[i] = a[min(i, 2), 1, 3]", (0, 0, 4)),
        # An index that is itself read.
        ("y[1, i] = a[2, 1, index(b[3])]", "y[i] = a[index(b[])]", (20, 3, 4)),
    ],
)
def test_what_is_dropped(body: str, dropped: str, offsets: tuple[int, ...]) -> None:
    kernel = parse_kernel(kernel_text(body))
    smaller, found = drop_fixed_positions(kernel)
    assert found == offsets
    assert dropped in print_kernel(smaller)
    arrays = {n: np.arange(np.prod(s), dtype=np.float32).reshape(s) % 4 for n, s in SHAPES.items()}
    whole = {n: a.copy() for n, a in arrays.items()}
    interpret_kernel(kernel, dict(zip(kernel.parameters, whole.values(), strict=True)))
    parts = {n: a.copy() for n, a in arrays.items()}
    views = [
        parts[n].reshape(-1)[offset : offset + int(np.prod(p.shape))].reshape(p.shape)  # type: ignore[arg-type]
        for n, p, offset in zip(SHAPES, smaller.parameters, found, strict=True)
    ]
    interpret_kernel(smaller, dict(zip(smaller.parameters, views, strict=True)))
    for name in SHAPES:
        np.testing.assert_array_equal(whole[name], parts[name])


def test_equal_blocks_become_equal_kernels() -> None:
    texts = {
        print_kernel(drop_fixed_positions(parse_kernel(kernel_text(body)))[0], CANONICAL)
        for body in ("y[0, i] = a[0, 0, i]", "y[1, i] = a[2, 1, i]", "y[0, i] = a[1, 1, i]")
    }
    assert len(texts) == 1


@pytest.mark.parametrize("shape", ["f32[N, 4]", "f32[2, 4] strides (8, 2)"])
def test_open_and_strided_buffers_stay(shape: str) -> None:
    symbols = "<N>" if "N" in shape else ""
    kernel = parse_kernel(
        f"kernel k{symbols}(a: {shape}, y: f32[4]) {{ for serial i < 4 {{ y[i] = a[1, i] }} }}"
    )
    assert drop_fixed_positions(kernel) == (kernel, (0, 0))


def test_views_of_a_buffer_keep_it_whole() -> None:
    kernel = parse_kernel(
        "kernel k(a: f32[2, 4], y: f32[4]) { v: f32[8] of a"
        " for serial i < 4 { y[i] = a[1, i] + v[i] } }"
    )
    assert drop_fixed_positions(kernel)[1] == (0, 0)


def test_blocks_of_a_network_compute_what_numpy_does() -> None:
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((5, 2, 8, 8)).astype(np.float32)
    shifts = rng.standard_normal((5, 2)).astype(np.float32)

    def network(x, weights, shifts):
        kept = np.zeros((5, 4, 8), np.float32)
        for k in range(5):
            x = np.tanh(x @ weights[k, 0] + shifts[k, 1]) - x @ weights[k, 1] * shifts[k, 0]
            x = x / (1 + np.abs(x).max())
            kept[k] = x
        return kept

    x = rng.standard_normal((4, 8)).astype(np.float32)
    np.testing.assert_allclose(
        tw.kernel(network)(x, weights, shifts), network(x, weights, shifts), rtol=1e-4, atol=1e-5
    )
