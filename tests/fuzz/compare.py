"""One program on some targets: compared with the error bounds of its graph, and with NumPy.

The graph's reference is the oracle of the targets: exact for integers, bools and moves, within the
promised error for floats. NumPy itself is the oracle of the tracer: dtypes and shapes exactly,
values exactly where no rounding decides, floats loosely, since NumPy keeps other bounds.
"""

from __future__ import annotations

import traceback
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from msgspec.structs import replace

import tilewright as tw
from tests.fuzz.program import FuzzProgram, copies
from tilewright.compiler.api import Kernel
from tilewright.compiler.arguments import contiguous_inputs
from tilewright.compiler.interface import rebuild
from tilewright.compiler.targets import BuildOptions
from tilewright.compiler.testing import compare
from tilewright.compiler.trace.run import Traced
from tilewright.ir.analysis.error_bounds import bound_graph
from tilewright.ir.analysis.error_rules import GPU, TARGET_CLASSES, Bounded, TargetClass
from tilewright.ir.sizes import bind_symbols
from tilewright.ir.verify import verify_program

WITHOUT_WIDE = ("wgsl", "glsl")


@dataclass(frozen=True)
class Finding:
    """One disagreement: `kind` is stable while a program shrinks."""

    target: str
    kind: str
    detail: str


@dataclass
class Outcome:
    findings: list[Finding] = field(default_factory=list)
    compared: list[str] = field(default_factory=list)
    unsupported: list[str] = field(default_factory=list)
    modes: list[str] = field(default_factory=list)
    elements: Counter[str] = field(default_factory=Counter)
    """Per target how many were compared, and how many could be anything ("… free")."""


def run_program(
    program: FuzzProgram, targets: Sequence[str], options: BuildOptions | None = None
) -> Outcome:
    """Everything that is wrong with a program."""
    outcome = Outcome()
    kernel = Kernel(program.function(), options=options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for target in targets:
            if target in WITHOUT_WIDE and program.wide:
                outcome.unsupported.append(target)  # docs: 64-bit integers are held in 32 bits
                continue
            _on_target(_limited(kernel.on(target), program), program, outcome)
    return outcome


def _limited(kernel: Kernel, program: FuzzProgram) -> Kernel:
    """Every other program as it is compiled for any device, which differs on GPU targets."""
    if kernel.target not in WITHOUT_WIDE:
        return kernel
    return kernel._variant(options=replace(kernel.options, portable=program.seed % 2 == 0))


def expected_results(program: FuzzProgram) -> list[np.ndarray]:
    """What NumPy computes."""
    with np.errstate(all="ignore"):
        results = program.function()(*copies(program.arguments).values())
    return [np.asarray(r) for r in results]


def outputs(kernel: Kernel, program: FuzzProgram) -> list[np.ndarray]:
    """What the kernel computes."""
    return [np.asarray(r) for r in kernel(*program.arguments.values())]


def _on_target(kernel: Kernel, program: FuzzProgram, outcome: Outcome) -> None:
    target = kernel.target
    before = copies(program.arguments)
    try:
        results = outputs(kernel, program)
    except (tw.UnsupportedError, tw.LimitError) as error:
        if target in WITHOUT_WIDE:
            outcome.unsupported.append(target)
        else:
            outcome.findings.append(Finding(target, "UnsupportedError", str(error)))
        return
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{type(error).__name__} in {last.name}"
        outcome.findings.append(Finding(target, where, traceback.format_exc(limit=-6)))
        return
    outcome.compared.append(target)
    _verify(kernel, outcome)
    for name, old in before.items():
        if np.asarray(old).tobytes() != np.asarray(program.arguments[name]).tobytes():
            outcome.findings.append(Finding(target, "argument changed", name))
    bounds = bounds_of(kernel, program, TARGET_CLASSES[target])
    compare_all(target, results, bounds, outcome)
    if target == "cpu":
        loose = bounds_of(kernel, program, GPU)
        if program.undefined:
            loose = [Bounded(b.value, np.full(np.shape(b.value), np.inf)) for b in loose]
        for wrong_text in _against_numpy(results, expected_results(program), loose):
            outcome.findings.append(Finding("cpu", "not as NumPy", wrong_text))


def compare_all(
    target: str,
    results: Sequence[np.ndarray],
    bounds: Sequence[Bounded],
    outcome: Outcome,
    where: str = "",
) -> None:
    """Results against what they may be; `where` says under which circumstances."""
    for number, (found, allowed) in enumerate(zip(results, bounds, strict=True)):
        free = int(np.isinf(np.broadcast_to(allowed.bound, found.shape)).sum())
        outcome.elements.update({target: found.size - free, f"{target} free": free})
        wrong = compare(target, number, found, allowed)
        if wrong is not None:
            outcome.findings.append(Finding(target, "wrong value", f"{where}{wrong}"))


def _verify(kernel: Kernel, outcome: Outcome) -> None:
    """A program that writes behind its buffers may well give the right result."""
    try:
        verify_program(kernel.specializations[-1].stage("program"))  # type: ignore[arg-type]
    except tw.IRError as error:
        outcome.findings.append(Finding(kernel.target, "broken program", str(error)))


def inputs_of(traced: Traced, program: FuzzProgram) -> list[np.ndarray]:
    """What the traced program is run on."""
    by_name = dict(zip(traced.specs, program.arguments.values(), strict=True))
    return contiguous_inputs(traced, by_name)


def bounds_of(kernel: Kernel, program: FuzzProgram, promises: TargetClass) -> list[Bounded]:
    """One per result (the same tensor may be returned twice), for the kernel's last call."""
    traced = kernel.specializations[-1].traced
    names, inputs = traced.input_names, inputs_of(traced, program)
    symbols = bind_symbols([t.shape for t in traced.graph.inputs], [i.shape for i in inputs], names)
    return list(rebuild(traced.structure, bound_graph(traced.graph, inputs, promises, symbols)))


def _against_numpy(
    results: Sequence[np.ndarray], expected: Sequence[np.ndarray], bounds: Sequence[Bounded]
) -> list[str]:
    found = []
    for number, (got, want, allowed) in enumerate(zip(results, expected, bounds, strict=True)):
        if got.dtype != want.dtype or got.shape != want.shape:
            found.append(
                f"output {number} is {got.dtype}{got.shape}, in NumPy {want.dtype}{want.shape}"
            )
            continue
        wrong = _numpy_differs(got, want, allowed)
        if wrong.any():
            at = tuple(map(int, np.argwhere(wrong)[0]))
            found.append(
                f"output {number}{list(at)} is {got[at]!r}, in NumPy {want[at]!r}"
                f" ({int(wrong.sum())} differ)"
            )
    return found


def _numpy_differs(got: np.ndarray, want: np.ndarray, allowed: Bounded) -> np.ndarray:
    sure = np.isfinite(allowed.bound)
    if got.dtype.kind != "f":
        return np.asarray(sure & (got != want))
    with np.errstate(all="ignore"):
        wide, other = got.astype(np.float64), want.astype(np.float64)
        scale = np.max(np.abs(other), where=np.isfinite(other), initial=0.0)
        room = 8 * allowed.bound + 1e3 * np.finfo(got.dtype).eps * scale
        same = (wide == other) | (np.isnan(wide) & np.isnan(other))
        wrong = ~same & ~(np.abs(wide - other) <= room)
    if got.dtype == np.float16:  # NumPy rounds, and overflows, at other places
        wrong &= np.isfinite(wide) & np.isfinite(other)
    return np.asarray(sure & wrong)


__all__ = [
    "Finding",
    "Outcome",
    "bounds_of",
    "compare_all",
    "expected_results",
    "outputs",
    "run_program",
]
