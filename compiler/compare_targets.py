"""Which operation of a kernel's graph is the first at which two targets part.

In: a kernel, its arguments, two targets. Out: one `Comparison` per node of the graph, producers
before consumers, and one per result. For the nodes each is made an output, so that what runs is
fused less than the kernel itself; a difference that only fusion causes shows in the results.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from tilewright.compiler.arguments import contiguous, describe
from tilewright.compiler.driver import compile_traced
from tilewright.compiler.interface import OutputInfo
from tilewright.compiler.runtime import runtime
from tilewright.ir.graph import Constant, Input, Loop, While

if TYPE_CHECKING:
    from tilewright.compiler.api import Kernel
    from tilewright.compiler.trace.run import Traced
    from tilewright.ir.graph import Tensor

DEFAULT_TOLERANCE = 1e-5
# Elements that are small beside the largest one of their tensor are what cancellation left over:
# their difference counts in this part of the largest.
_SMALL = 0.01


class Comparison(Struct, frozen=True):
    """One tensor as computed by two targets.

    `difference` is the largest one of an element, relative to the element; `index` is where, and
    `values` are the two values there.
    """

    tensor: Tensor
    difference: float
    index: tuple[int, ...]
    values: tuple[Any, Any]
    agree: bool


class TargetDifference(Struct, frozen=True):
    """What `compare_targets` found: `nodes` in the graph's order, and the kernel's `results`."""

    nodes: tuple[Comparison, ...]
    results: tuple[Comparison, ...]

    @property
    def first(self) -> Comparison | None:
        """The first node at which the targets part."""
        return next((c for c in self.nodes if not c.agree), None)

    @property
    def agree(self) -> bool:
        """Whether the targets agree everywhere."""
        return all(c.agree for c in (*self.nodes, *self.results))


def compare_targets(
    kernel: Kernel,
    arguments: Mapping[str, Any],
    targets: tuple[str, str],
    tolerance: float = DEFAULT_TOLERANCE,
) -> TargetDifference:
    """Run `kernel` on both targets, every operation of it, and compare."""
    traced = kernel.compile(**arguments, target="cpu").specialization.traced
    inputs = [
        contiguous(describe(arguments[name], name)[1], traced.specs[name], name)
        for name in traced.input_names
    ]

    def compared(whole: Traced) -> tuple[Comparison, ...]:
        one, other = (
            compile_traced(whole, target, kernel.options, runtime()).run(inputs)
            for target in targets
        )
        return tuple(
            compare(*three, tolerance)
            for three in zip(whole.graph.outputs, one, other, strict=True)
        )

    return TargetDifference(compared(_with_every_node(traced)), compared(traced))


def _with_every_node(traced: Traced) -> Traced:
    """The same function with every operation as an output."""
    nodes = [n for n in traced.graph.nodes() if not isinstance(n, (Input, Constant, Loop, While))]
    infos = tuple(OutputInfo(node.dtype.numpy, "array") for node in nodes)
    return replace(traced, graph=replace(traced.graph, outputs=tuple(nodes)), outputs=infos)


def compare(tensor: Tensor, one: np.ndarray, other: np.ndarray, tolerance: float) -> Comparison:
    """Integers must be equal; floats may differ by `tolerance`, NaN and inf must be at the same
    places."""
    if not one.size:
        return Comparison(tensor, 0.0, (), (None, None), True)
    differences = _differences(one, other)
    at = tuple(map(int, np.unravel_index(int(np.argmax(differences)), one.shape)))
    worst = float(differences[at])
    allowed = max(tolerance, 4 * _epsilon(one.dtype)) if one.dtype.kind == "f" else 0.0
    return Comparison(tensor, worst, at, (one[at], other[at]), worst <= allowed)


def _differences(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    a, b = one.astype(np.float64), other.astype(np.float64)
    same = (one == other) | (np.isnan(a) & np.isnan(b))
    size = np.maximum(np.abs(a), np.abs(b))
    largest = np.max(size, where=np.isfinite(size), initial=0.0)
    with np.errstate(all="ignore"):
        ratio = np.abs(a - b) / np.maximum(size, _SMALL * largest)
    ratio = np.nan_to_num(ratio, nan=np.inf, posinf=np.inf)
    if one.dtype.kind != "f":
        ratio = np.maximum(ratio, np.finfo(np.float64).tiny)  # int64 can differ by less than shows
    return np.where(same, 0.0, ratio)


def _epsilon(dtype: np.dtype) -> float:
    return float(np.finfo(dtype).eps)


__all__ = ["DEFAULT_TOLERANCE", "Comparison", "TargetDifference", "compare", "compare_targets"]
