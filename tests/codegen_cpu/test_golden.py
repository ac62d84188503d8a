"""The LLVM IR of a handful of kernels on every family of machines, as golden files.

Names of values and blocks are numbered anew in order of appearance, so that only what the code
does shows. `pytest tests/codegen_cpu/test_golden.py --update-golden` makes the files anew. There
are no elementary functions here: their texts change whenever a polynomial is improved.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.conftest import Golden
from tests.ir.lower.traced_programs import numbers, program_of
from tilewright.codegen_cpu import backend
from tilewright.codegen_cpu.target import cpu_target

_TARGETS = {
    "avx512": "x86-64-v4",
    "avx2": "x86-64-v3",
    "sse": "x86-64-v2",
    "neon": "aarch64-neon",
    "wasm": "wasm32-simd128",
}


def relu(x, bias):
    return np.maximum(x * 2 + bias, 0)


def row_sums(x):
    return x.sum(axis=1)


def centred(x):
    return x - x.max(axis=1, keepdims=True)


def linear(x, weights):
    return x @ weights


def pick_rows(table, rows):
    return table[rows]


def red_of_bytes(image):
    return image[:, :, 0] * np.float32(0.5)


def doubled(x):
    return np.repeat(x, 2, axis=1)


def places_of_the_least(x):
    return x.argmin(axis=1)


def looked_up(table, image):
    return table[image]


def many(x):
    return x * 2 + 1


def turned(x):
    return x[:, ::-1] - 1


def running(x):
    return np.cumsum(x, axis=1)


_KERNELS: dict[str, tuple[Callable[..., Any], list[np.ndarray]]] = {
    "relu": (relu, [numbers(4, 37), numbers(37)]),
    "row_sums": (row_sums, [numbers(3, 100)]),
    "centred": (centred, [numbers(2, 50)]),
    "linear": (linear, [numbers(2, 5), numbers(5, 16)]),
    "pick_rows": (pick_rows, [numbers(9, 5), np.array([8, 0, 3], np.int32)]),
    "red_of_bytes": (red_of_bytes, [np.zeros((4, 24, 3), np.uint8)]),
}
_OF_MEMORY: dict[str, tuple[Callable[..., Any], list[np.ndarray]]] = {
    "doubled": (doubled, [numbers(3, 24)]),
    "places_of_the_least": (places_of_the_least, [numbers(19, 6)]),
    "looked_up": (looked_up, [np.zeros(200, np.uint8), np.zeros(40, np.uint8)]),
    "many": (many, [np.broadcast_to(np.float32(0), (1 << 20,))]),
    "turned": (turned, [numbers(3, 21)]),
    "running": (running, [numbers(5, 9)]),
}
"""Ways to read and write that differ most between the widest and the narrowest vectors."""
_CASES = [
    *((name, machine) for name in _KERNELS for machine in _TARGETS),
    *((name, "avx512") for name in _OF_MEMORY),
    *((name, "wasm") for name in _OF_MEMORY if name != "places_of_the_least"),  # 900 lines
]
_VALUE = re.compile(r"%v\d+")
_BLOCK = re.compile(r"(?<=%)([a-z]{3,})\d+\b|^([a-z]{3,})\d+(?=:)", re.MULTILINE)


def _kernels_of(text: str) -> str:
    """The functions of the kernels, without the module around them."""
    functions = re.findall(r"^define [^\n]*@k\d[^\n]*\{\n.*?^\}$", text, re.MULTILINE | re.DOTALL)
    return "\n\n".join(_numbered(function) for function in functions)


def _numbered(function: str) -> str:
    values: dict[str, str] = {}
    blocks: dict[str, str] = {}
    function = _VALUE.sub(lambda m: values.setdefault(m[0], f"%{len(values)}"), function)
    header, body = function.split("\n", 1)

    def block(match: re.Match[str]) -> str:
        return blocks.setdefault(match[0], f"{match[1] or match[2]}.{len(blocks)}")

    return f"{header}\n{_BLOCK.sub(block, body)}"


@pytest.mark.parametrize(("name", "machine"), _CASES)
def test_golden(golden: Golden, name: str, machine: str) -> None:
    function, arrays = {**_KERNELS, **_OF_MEMORY}[name]
    target = cpu_target(_TARGETS[machine])
    lowered = backend.lower(program_of(function, arrays), target)
    golden(f"cpu/{machine}/{name}", _kernels_of(backend.emit(lowered, target)))


def test_names_are_numbered_in_order_of_appearance() -> None:
    head = "define void @k0(ptr %b0) {\nentry:\n"
    body = "  %v7 = load i32, ptr %b0\n  br label %loop9\nloop9:\n}"
    wanted = "  %0 = load i32, ptr %b0\n  br label %loop.0\nloop.0:\n}"
    assert _kernels_of(f"{head}{body}\ndefine i32 @tw_main() {{\n}}") == head + wanted
