"""`tw.testing`: checks that a kernel's results keep the promises of docs/numerics.md.

>>> import numpy as np, tilewright as tw
>>> @tw.kernel
... def norm(x):
...     return np.sqrt((x * x).sum(axis=1))
>>> report = tw.testing.check(norm, (np.ones((4, 9), np.float32),), targets=("cpu", "wasm"))
>>> report.worst["cpu"] <= 1.0
True

In: a kernel, arguments, targets. Out: a `Report`, or an AssertionError that names the element.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from tilewright.compiler.api import Kernel
from tilewright.compiler.arguments import contiguous_inputs
from tilewright.compiler.targets import NUMERICS, check_target
from tilewright.ir.analysis.error_bounds import bound_graph
from tilewright.ir.analysis.error_rules import TARGET_CLASSES, Bounded, target_class
from tilewright.ir.sizes import bind_symbols

if TYPE_CHECKING:
    from tilewright.compiler.specialization import Specialization


class Disagreement(Struct, frozen=True):
    """One element outside what its target promises."""

    target: str
    output: int
    index: tuple[int, ...]
    value: Any
    expected: Any
    allowed: float
    count: int

    def __str__(self) -> str:
        return (
            f"{self.target}: output {self.output}{list(self.index)} is {self.value!r}, expected"
            f" {self.expected!r} with an error of at most {self.allowed:.3g}"
            f" ({self.count} elements differ)"
        )


class Report(Struct, frozen=True):
    """What `check` found.

    `worst` is the largest error per target in units of the allowance: at most 1. `checked` counts
    the elements that were compared, `free` those for which no promise exists (a comparison that
    rounding decides, for example).
    """

    worst: Mapping[str, float]
    checked: Mapping[str, int]
    free: Mapping[str, int]


def check(
    kernel: Kernel | Callable[..., Any],
    args: Sequence[Any],
    targets: Sequence[str] = ("cpu",),
    *,
    numerics: str | None = None,
) -> Report:
    """Run `kernel` on each target and compare every element with a float64 reference.

    Integers, bools and moved values must be equal; floats must lie within the error that the
    operations of the kernel may make together. `numerics` overrides the kernel's mode. A target
    that cannot run here raises `DeviceError`.

    >>> report = check(lambda x: x * 2 + 1, (np.arange(5, dtype=np.float32),))
    >>> report.worst
    {'cpu': 0.0}
    """
    made = kernel if isinstance(kernel, Kernel) else Kernel(kernel)
    mode = numerics or made.options.numerics
    if mode not in NUMERICS:
        raise ValueError(f"numerics is {mode!r}; it may be {', '.join(map(repr, NUMERICS))}")
    made = made._variant(options=replace(made.options, numerics=mode))
    worst: dict[str, float] = {}
    checked: dict[str, int] = {}
    free: dict[str, int] = {}
    for target in targets:
        found, allowed = _run(made, args, check_target(target))
        worst[target] = 0.0
        checked[target] = free[target] = 0
        for number, (value, bounded) in enumerate(zip(found, allowed, strict=True)):
            wrong = compare(target, number, value, bounded)
            if wrong is not None:
                raise AssertionError(str(wrong))
            worst[target] = max(worst[target], worst_ratio(value, bounded))
            unknown = int(np.isinf(bounded.bound).sum())
            free[target] += unknown
            checked[target] += value.size - unknown
    return Report(worst, checked, free)


def _run(
    kernel: Kernel, args: Sequence[Any], target: str
) -> tuple[list[np.ndarray], list[Bounded]]:
    """The outputs on a target, and what they may be."""
    on_target = kernel.on(target)
    values, specs = on_target._describe(tuple(args), {})
    compiled: Specialization = on_target._specialization(values, specs)
    traced = compiled.traced
    inputs = contiguous_inputs(traced, values)
    graph = traced.graph
    symbols = bind_symbols(
        [t.shape for t in graph.inputs], [i.shape for i in inputs], traced.input_names
    )
    promised = target_class(target, kernel.options.numerics)
    allowed = bound_graph(graph, inputs, promised, symbols)
    return compiled.run(inputs), allowed


def _excess(found: np.ndarray, allowed: Bounded) -> tuple[np.ndarray, np.ndarray]:
    """The error of each element, and the bound on it; a NaN against a number errs infinitely."""
    bound = np.broadcast_to(allowed.bound, found.shape)
    expected = np.broadcast_to(allowed.value, found.shape)
    if found.dtype.kind != "f":
        return np.where(found == expected, 0.0, np.inf), bound
    with np.errstate(all="ignore"):
        wide = found.astype(np.float64)
        # A reference that is not representable stands for its rounding.
        same = (wide == expected) | (np.isnan(wide) & np.isnan(expected))
        same |= (bound == 0) & (found == expected.astype(found.dtype))
        error = np.where(same, 0.0, np.abs(wide - expected))
    return np.where(np.isnan(error), np.inf, error), bound


def _wrong_sign(found: np.ndarray, allowed: Bounded) -> np.ndarray:
    """Zeros that are exact and promised to have a sign, and have the other one."""
    if found.dtype.kind != "f":
        return np.zeros(found.shape, bool)
    zero = (found == 0) & (allowed.value == 0) & (allowed.bound == 0)
    signs = np.signbit(found) != np.signbit(allowed.value)
    return np.asarray(zero & signs & ~np.asarray(allowed.unsigned))


def worst_ratio(found: np.ndarray, allowed: Bounded) -> float:
    """The largest error in units of its allowance, over the elements that have one."""
    error, bound = _excess(found, allowed)
    with np.errstate(all="ignore"):
        ratio = np.where((error == 0) | np.isinf(bound), 0.0, error / bound)
    return float(ratio.max(initial=0.0))


def compare(target: str, output: int, found: np.ndarray, allowed: Bounded) -> Disagreement | None:
    """The element that is furthest outside its bound, if any is."""
    error, bound = _excess(found, allowed)
    wrong = ~((error <= bound) | np.isinf(bound))
    if TARGET_CLASSES[target].ieee:
        wrong |= _wrong_sign(found, allowed)
    if not wrong.any():
        return None
    at = tuple(map(int, np.argwhere(wrong)[0]))
    expected = np.broadcast_to(allowed.value, found.shape)[at]
    count = int(wrong.sum())
    return Disagreement(target, output, at, found[at], expected, float(bound[at]), count)


__all__ = ["Disagreement", "Report", "check"]
