"""What must not change a result: each seed tries one, besides running as it is.

In: a program. Out: findings of the same kinds as `compare.run_program` has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from msgspec.structs import replace

import tilewright as tw
from tests.fuzz.compare import (
    Finding,
    Outcome,
    bounds_of,
    compare_all,
    expected_results,
    inputs_of,
    outputs,
)
from tests.fuzz.generate import WIDTHS
from tests.fuzz.program import FuzzProgram, copies
from tests.fuzz.schedules import random_schedules
from tests.fuzz.values import random_argument
from tilewright.codegen_cpu.target import CacheSizes, host_target
from tilewright.compiler.api import Kernel
from tilewright.compiler.driver import StageRecord, build
from tilewright.compiler.interface import rebuild
from tilewright.compiler.runtime import runtime
from tilewright.compiler.target_cpu import CpuTargetDriver
from tilewright.compiler.targets import GPU_TARGETS, BuildOptions
from tilewright.ir.analysis.error_rules import TARGET_CLASSES
from tilewright.ir.dtypes import from_numpy
from tilewright.ir.signature import ArraySpec

SMALL_CACHES = CacheSizes(l1=256, l2=1024, l3=8192)

Mode = Callable[[FuzzProgram, Outcome, Sequence[str]], bool]


def run_mode(program: FuzzProgram, outcome: Outcome, targets: Sequence[str] = ()) -> None:
    """The mode of the program's seed, if it has one; counted if there was something to compare.

    `targets` may be used beside those that run everywhere."""
    number = program.seed // len(WIDTHS) % (2 * len(MODES))
    if number >= len(MODES):
        return
    name, mode = list(MODES.items())[number]
    try:
        if mode(program, outcome, targets):
            outcome.modes.append(name)
    except Exception as error:
        kind = f"{type(error).__name__} in mode {name}"
        outcome.findings.append(Finding("cpu", kind, repr(error)))


def other_schedules(program: FuzzProgram, outcome: Outcome, targets: Sequence[str]) -> bool:
    """Random legal schedules keep the bounds."""
    gpus = [t for t in targets if t in GPU_TARGETS and not program.wide]
    choices = ("cpu", "wasm", *gpus)
    target = choices[program.seed // 2 % len(choices)]
    schedules = random_schedules(program, target, program.seed)
    if not schedules:
        return False
    kernel = Kernel(program.function(), options=BuildOptions(schedules=schedules)).on(target)
    results = outputs(kernel, program)
    bounds = bounds_of(kernel, program, TARGET_CLASSES[target])
    compare_all(target, results, bounds, outcome, f"under {schedules}: ")
    return True


def same_bits(program: FuzzProgram, outcome: Outcome, targets: Sequence[str]) -> bool:
    """Reproducible results: the CPU under random schedules, and wasm."""
    schedules = random_schedules(program, "cpu", program.seed)
    found = []
    for target, given in (("cpu", schedules), ("wasm", None)):
        options = BuildOptions("reproducible", schedules=given)
        found.append(outputs(Kernel(program.function(), options=options).on(target), program))
    for number, (one, other) in enumerate(zip(*found, strict=True)):
        if one.tobytes() != other.tobytes() and not _same(one, other):
            at = f"output {number}: {one!r}\n{other!r}\n{schedules}"
            outcome.findings.append(Finding("wasm", "not reproducible", at))
    return True


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    """The same bits, up to which NaN it is."""
    if one.dtype.kind != "f":
        return False
    odd = np.isnan(one) & np.isnan(other)
    return bool(np.all(odd | ((one == other) & (np.signbit(one) == np.signbit(other)))))


def open_sizes(program: FuzzProgram, outcome: Outcome, targets: Sequence[str]) -> bool:
    """Every size larger than 1 is open; called with these sizes, then with others."""
    declared, symbols = _open_specs(program.arguments)
    if not declared:
        return False
    target = ("cpu", "wasm")[program.seed // 2 % 2]
    kernel = Kernel(program.function(), declared=declared).on(target)
    try:
        results = outputs(kernel, program)
    except tw.TilewrightError:
        return False  # a size in its source holds for this size only
    compare_all(target, results, bounds_of(kernel, program, TARGET_CLASSES[target]), outcome)
    other = _resized(program, symbols)
    if other is None:
        return True
    try:
        results = outputs(kernel, other)
    except tw.TilewrightError:
        return True
    bounds = bounds_of(kernel, other, TARGET_CLASSES[target])
    compare_all(target, results, bounds, outcome, f"other sizes {symbols}: ")
    return True


def _open_specs(arguments: Mapping[str, Any]) -> tuple[dict[str, Any], dict[int, Any]]:
    symbols: dict[int, Any] = {}
    declared = {}
    for name, array in arguments.items():
        if isinstance(array, np.ndarray) and array.ndim:
            for n in array.shape:
                if n > 1:
                    symbols.setdefault(n, tw.dim(f"N{n}"))
            shape = tuple(symbols.get(n, n) for n in array.shape)
            dtype = from_numpy(array.dtype)
            assert dtype is not None
            declared[name] = ArraySpec(dtype, shape)
    return (declared, symbols) if symbols else ({}, {})


def _resized(program: FuzzProgram, symbols: Mapping[int, Any]) -> FuzzProgram | None:
    """The program with arrays of other sizes, if NumPy still computes it."""
    rng = np.random.default_rng(program.seed)
    sizes = {n: int(rng.choice([2, 3, 5, 9, 19, 40])) for n in symbols}
    arguments: dict[str, Any] = {}
    for name, value in program.arguments.items():
        arguments[name] = value
        if isinstance(value, np.ndarray) and value.ndim:
            shape = tuple(sizes.get(n, n) for n in value.shape)
            arguments[name] = random_argument(rng, value.dtype.name, shape)
    other = FuzzProgram(program.seed, arguments, program.statements, program.returned)
    if any(np.size(a) > 20_000 for a in arguments.values()):
        return None
    try:
        expected_results(other)
    except Exception:  # whatever NumPy says about sizes that do not fit
        return None
    return other


def into_given_arrays(program: FuzzProgram, outcome: Outcome, targets: Sequence[str]) -> bool:
    """`out=` with strides, and overlapping an argument where one has the type of a result."""
    kernel = Kernel(program.function())
    plain = outputs(kernel, program)
    arguments = copies(program.arguments)
    given = [_target_for(r, arguments.values(), program.seed + k) for k, r in enumerate(plain)]
    if len({id(g) for g in given}) < len(given):
        return False
    with np.errstate(all="ignore"):
        kernel(*arguments.values(), out=tuple(given))
    for number, (one, other) in enumerate(zip(plain, given, strict=True)):
        if one.tobytes() != other.tobytes():
            text = f"output {number}: {one!r}\n{other!r}"
            outcome.findings.append(Finding("cpu", "another result in out=", text))
    return True


def _target_for(result: np.ndarray, arguments: Any, seed: int) -> np.ndarray:
    for array in arguments:
        fits = isinstance(array, np.ndarray) and array.dtype == result.dtype
        if fits and array.shape == result.shape and array.flags.writeable and seed % 2:
            return np.asarray(array)
    room = np.zeros([2 * n for n in result.shape], result.dtype)
    parts: list[Any] = [
        slice(n - 1, None, -1) if n and k % 2 else slice(n, None)
        for k, n in enumerate(result.shape)
    ]
    return np.asarray(room[(*parts, ...)])


def one_array_twice(program: FuzzProgram, outcome: Outcome, targets: Sequence[str]) -> bool:
    """Arguments of one type and shape become one array, or overlapping parts of one."""
    arguments = dict(program.arguments)
    names = [n for n, a in arguments.items() if isinstance(a, np.ndarray) and a.ndim]
    for one in names:
        for other in names[names.index(one) + 1 :]:
            first, second = arguments[one], arguments[other]
            if first.dtype == second.dtype and first.shape == second.shape:
                memory = np.concatenate([first[:1], first])
                arguments[one], arguments[other] = memory[1:], memory[:-1]
                shared = FuzzProgram(program.seed, arguments, program.statements, program.returned)
                kernel = Kernel(program.function())
                results = outputs(kernel, shared)
                bounds = bounds_of(kernel, shared, TARGET_CLASSES["cpu"])
                compare_all("cpu", results, bounds, outcome, "overlapping arguments: ")
                return True
    return False


def small_caches(program: FuzzProgram, outcome: Outcome, targets: Sequence[str]) -> bool:
    """Where caches hold next to nothing, small arrays are worked on in parts as large ones are."""
    kernel = Kernel(program.function())
    outputs(kernel, program)
    traced = kernel.specializations[-1].traced
    driver: Any = CpuTargetDriver(runtime())
    driver.machine = replace(host_target(), caches=SMALL_CACHES)
    artifact = build(traced, driver, BuildOptions(), StageRecord({}, {}))
    results = driver.load(artifact, traced.input_names)(inputs_of(traced, program))
    bounds = bounds_of(kernel, program, TARGET_CLASSES["cpu"])
    found = [np.asarray(r) for r in rebuild(traced.structure, results)]
    compare_all("cpu", found, bounds, outcome, "with small caches: ")
    return True


MODES: dict[str, Mode] = {
    "other schedules": other_schedules,
    "reproducible": same_bits,
    "open sizes": open_sizes,
    "out=": into_given_arrays,
    "overlapping arguments": one_array_twice,
    "small caches": small_caches,
}
