"""What is made of whole kernels, without a clock: launches, calls, code size, other machines."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tests.codegen_cpu.kernel_runner import Compiled
from tests.ir.lower.traced_programs import numbers, program_of
from tilewright.codegen_cpu import backend
from tilewright.codegen_cpu.jit import assembly
from tilewright.codegen_cpu.target import cpu_target
from tilewright.ir.dtypes import F32
from tilewright.ir.expr import Size, Var
from tilewright.ir.kernel import Buffer
from tilewright.ir.program import Nest
from tilewright.ir.schedule import Schedule

LEVELS = ("x86-64-v2", "x86-64-v3", "x86-64-v4")
ELEMENTARY = [
    "exp",
    "exp2",
    "expm1",
    "log",
    "log2",
    "log1p",
    "sin",
    "cos",
    "tan",
    "tanh",
    "sinh",
    "cosh",
    "arctan",
    "arcsin",
    "cbrt",
]


def softmax(x: Any) -> Any:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def layer_norm(x: Any) -> Any:
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred / np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + 1e-5)


def linear_relu(x: Any, w: Any, b: Any) -> Any:
    return np.maximum(x @ w + b, 0)


def mean_and_max(x: Any) -> Any:
    return x.mean(axis=1), x.max(axis=1)


def llvm_of(function: Any, arrays: Any, target: str) -> str:
    machine = cpu_target(target)
    return backend.emit(backend.lower(program_of(function, arrays), machine), machine)


@pytest.mark.parametrize(
    ("function", "arrays"),
    [
        (softmax, (numbers(64, 1000),)),
        (layer_norm, (numbers(64, 768),)),
        (linear_relu, (numbers(64, 64), numbers(64, 64), numbers(64))),
        (mean_and_max, (numbers(64, 1000),)),
    ],
    ids=["softmax", "layer_norm", "linear_relu", "mean_and_max"],
)
def test_one_launch(function: Any, arrays: Any) -> None:
    assert len(program_of(function, arrays).steps) == 1


@pytest.mark.parametrize("target", [*LEVELS, "aarch64-neon", "wasm32-simd128"])
@pytest.mark.parametrize("name", ELEMENTARY)
def test_elementary_functions_call_no_library(name: str, target: str) -> None:
    text = llvm_of(lambda x: getattr(np, name)(x), (numbers(1000),), target)
    declared = re.findall(r"^declare [^@]*@([\w.]+)", text, re.MULTILINE)
    assert all(f.startswith("llvm.") for f in declared)
    made = re.compile(rf"^llvm\.({'|'.join(ELEMENTARY)}|pow)\.")
    assert not [f for f in declared if made.match(f)]


@pytest.mark.parametrize("target", [t for t in LEVELS if cpu_target(t).runs_here])
@pytest.mark.parametrize("function", [softmax, layer_norm], ids=["softmax", "layer_norm"])
def test_every_level_that_runs_here_is_right(function: Any, target: str) -> None:
    x = np.random.default_rng(1).normal(size=(13, 301)).astype(np.float32)
    machine = cpu_target(target)
    lowered = backend.lower(program_of(function, (x,)), machine)
    got = np.empty_like(x)
    Compiled(lowered.program, machine).run([x], [got])
    np.testing.assert_allclose(got, function(x.astype(np.float64)), rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("target", [*LEVELS, "aarch64-neon"])
def test_the_inner_loop_of_a_product_spills_no_vectors(target: str) -> None:
    machine = cpu_target(target)
    text = assembly(llvm_of(lambda a, b: a @ b, (numbers(256, 256),) * 2, target), machine)
    assert len(text.splitlines()) > 20
    if machine.architecture == "x86_64":
        loops = re.findall(r"^(\.L\w+):\n((?:\t.*\n)*?\tj\w+\t\1\n)", text, re.MULTILINE)
        hot = max((code for _, code in loops), key=lambda c: len(re.findall(r"mul|fmadd", c)))
        assert re.search(r"fmadd|mulps", hot)
        assert not re.search(r"\tv?mov[au]ps\t(%[xyz]mm\d+, .*\(%rsp\)|.*\(%rsp\), %[xyz]mm)", hot)


def test_the_code_of_softmax_stays_small() -> None:
    machine = cpu_target("x86-64-v3")
    text = assembly(llvm_of(softmax, (numbers(64, 1000),), "x86-64-v3"), machine)
    assert len(text.splitlines()) < 800


def smoothed(image: Any) -> Any:
    """Two filters, of which the second reads rows that the first one has stored."""
    first = tw.compute(
        image.shape,
        lambda y, x: tw.sum(lambda k: tw.at(image, (y, x + k - 1), boundary="reflect"), 3),
    )
    return tw.compute(
        image.shape,
        lambda y, x: tw.sum(lambda k: tw.at(first, (y + k - 1, x), boundary="reflect"), 3),
    )


@pytest.mark.parametrize("target", ["host", *(t for t in LEVELS if cpu_target(t).runs_here)])
def test_large_images_are_filtered_in_bands(target: str) -> None:
    """The image between the filters is never stored whole, and only tasks need stack for it."""
    image = numbers(1031, 600)
    machine = cpu_target(target)
    lowered = backend.lower(program_of(smoothed, (image,)), machine)
    assert lowered.workspace == 0
    assert len(lowered.program.steps) == 1
    text = backend.emit(lowered, machine)
    main = re.search(r"^define internal void @k0\(.*?^}", text, re.MULTILINE | re.DOTALL)
    assert main
    assert "x float]" not in main[0]
    assert "x float]" in text
    got = np.empty_like(image)
    Compiled(lowered.program, machine).run([image], [got])
    np.testing.assert_array_equal(got, smoothed(image))


def test_wasm_has_no_stack_for_bands() -> None:
    program = program_of(smoothed, (numbers(1031, 600),))
    assert len(backend.lower(program, cpu_target("wasm32-simd128")).program.steps) == 2


@pytest.mark.parametrize(
    ("shape", "fields"),
    [
        ((3,), False),
        ((9, 1), False),
        ((9, 2), True),
        ((9, backend.MOST_FIELDS), True),
        ((9, backend.MOST_FIELDS + 1), False),
        ((9, Var("n")), False),
    ],
    ids=str,
)
def test_records_are_few_elements_side_by_side(shape: tuple[Size, ...], fields: bool) -> None:
    assert backend._has_fields(Buffer("x", shape, F32)) == fields


@pytest.mark.parametrize(
    ("target", "size", "long"),
    [("host", 1 << 20, True), ("host", 100, False), ("wasm32-simd128", 1 << 20, False)],
)
def test_code_with_tasks_says_so(target: str, size: int, long: bool) -> None:
    """It is given the thread pool, and lets other Python threads run meanwhile."""
    program = program_of(lambda x: x * 2 + 1, (np.broadcast_to(np.float32(0), (size,)),))
    assert backend.build(program, cpu_target(target)).parallel == long


@pytest.mark.parametrize(("target", "packed"), [("x86-64-v3", True), ("wasm32-simd128", False)])
def test_constants_are_packed_once_where_modules_have_two_entries(
    target: str, packed: bool
) -> None:
    weights = np.random.default_rng(0).random((700, 300), np.float32)
    program = program_of(lambda x: x @ weights.T, (np.zeros((300, 300), np.float32),))
    lowered = backend.lower(program, cpu_target(target)).program
    assert (bool(lowered.init), bool(lowered.packed)) == (packed, packed)


def test_all_stages_can_be_observed() -> None:
    program = program_of(lambda x: x * 2, (numbers(40),))
    (nest,) = program.steps
    assert isinstance(nest, Nest)
    seen: dict[str, object] = {}
    chosen = {nest.name: Schedule(vector=0, width=4, tile=(8,))}
    backend.build(program, cpu_target("x86-64-v2"), chosen, seen.__setitem__)
    assert list(seen) == ["kernel", "schedule", "llvm"]
    assert seen["schedule"] == ((nest.name, chosen[nest.name]),)
    assert "<4 x float>" in str(seen["llvm"])
