"""Modules as wholes: what they call they define or declare, once, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tests.ir.lower.traced_programs import program_of
from tilewright.codegen_cpu import backend
from tilewright.codegen_cpu.target import cpu_target

X = np.linspace(-3, 3, 300, dtype=np.float32).reshape(20, 15)
BOUND = np.arange(90, dtype=np.float32).reshape(15, 6)
LARGE = np.zeros((512, 512), np.float32)
FUNCTIONS: dict[str, tuple[Callable[..., Any], tuple[np.ndarray, ...]]] = {
    "one kernel": (lambda x: x * 2, (X,)),
    "functions": (lambda x: np.sin(x) + np.exp(x) ** np.abs(x), (X,)),
    "two kernels": (lambda x: (np.sort(x, axis=1), x.sum(0)), (X,)),
    "a loop": (lambda x: tw.loop(4, lambda i, s: (s * 2 + i,), x), (X,)),
    "an endless one": (
        lambda x: tw.while_loop(lambda s: s.max() < 9, lambda s: s * 2 + 1, x),
        (X,),
    ),
    "constants": (lambda x: x @ BOUND, (X,)),
    "tasks": (lambda x: np.exp(x) @ x.T, (LARGE,)),
    "a moved result": (lambda x: (x.reshape(-1), x.T[::-1]), (X,)),
}
TARGETS = ("x86-64-v4", "x86-64-v3", "aarch64-neon", "wasm32-simd128")


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_all_that_is_called_is_there(name: str, target: str) -> None:
    machine = cpu_target(target)
    lowered = backend.lower(program_of(*FUNCTIONS[name]), machine)
    text = backend.emit(lowered, machine)
    defined = re.findall(r"^define .*?@([\w.]+)\(", text, re.MULTILINE)
    declared = re.findall(r"^declare .*?@([\w.]+)\(", text, re.MULTILINE)
    called = {*re.findall(r" call .*?@([\w.]+)\(", text), *re.findall(r"ptr @([\w.]+)", text)}
    assert len({*defined, *declared}) == len(defined) + len(declared)
    last = text.rpartition("}\n")[2].split("\n\n")
    assert last == sorted(last), "the same text in every process"
    entries = {"tw_main", "tw_init"} if lowered.program.init else {"tw_main"}
    assert {n for n in defined if n.startswith("tw_")} - {"tw_dispatch", "tw_poll"} == entries
    assert called == {*defined, *declared} - entries
    assert text.startswith(f'target triple = "{machine.triple}"\n')


def test_constants_are_packed_before_the_first_call() -> None:
    machine = cpu_target("x86-64-v3")
    weights = np.random.default_rng(0).random((700, 300), np.float32)
    bound = program_of(lambda x: x @ weights.T, (np.zeros((300, 300), np.float32),))
    lowered = backend.lower(bound, machine)
    assert lowered.program.init
    assert "define i32 @tw_init(" in backend.emit(lowered, machine)


def test_equal_kernels_are_emitted_once() -> None:
    machine = cpu_target("x86-64-v3")
    lowered = backend.lower(
        program_of(lambda x, y: (np.sort(x, axis=1), np.sort(y, axis=1)), (X, X.copy())), machine
    )
    text = backend.emit(lowered, machine)
    assert len(re.findall(r"^  call void @k\d+\(", text, re.MULTILINE)) == 2
    assert len(re.findall(r"^define internal void @k\d+\(", text, re.MULTILINE)) == 1
