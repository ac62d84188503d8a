"""Largest errors of the elementary functions on every adapter, in ulp.

``python -m tests.adapters.elementary [ADAPTER …]`` prints the table of docs/numerics.md.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

import tilewright as tw
from tests.adapters.adapters import ADAPTERS, Adapter, Array, job
from tests.ir.elementary_cases import PROMISES, pairs, samples, ulps
from tilewright.ir import ops

COUNT = 1 << 16
TINY = 2.0**-126
FAR = 1e5  # of sines and cosines beyond, the absolute error counts
FAR_ERROR = 1e-6

FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "exp": lambda x: np.exp(x),
    "exp2": lambda x: np.exp2(x),
    "expm1": lambda x: np.expm1(x),
    "sigmoid": lambda x: tw.sigmoid(x),
    "log": lambda x: np.log(x),
    "log2": lambda x: np.log2(x),
    "log10": lambda x: np.log10(x),
    "log1p": lambda x: np.log1p(x),
    "sin": lambda x: np.sin(x),
    "cos": lambda x: np.cos(x),
    "tan": lambda x: np.tan(x),
    "asin": lambda x: np.arcsin(x),
    "acos": lambda x: np.arccos(x),
    "atan": lambda x: np.arctan(x),
    "atan2": lambda x, y: np.arctan2(x, y),
    "sinh": lambda x: np.sinh(x),
    "cosh": lambda x: np.cosh(x),
    "tanh": lambda x: np.tanh(x),
    "asinh": lambda x: np.arcsinh(x),
    "acosh": lambda x: np.arccosh(x),
    "atanh": lambda x: np.arctanh(x),
    "erf": lambda x: tw.erf(x),
    "erfc": lambda x: tw.erfc(x),
    "pow": lambda x, y: np.power(x, y),
    "cbrt": lambda x: np.cbrt(x),
    "rsqrt": lambda x: tw.rsqrt(x),
    "hypot": lambda x, y: np.hypot(x, y),
}


def operands(name: str) -> tuple[Array, ...]:
    """Subnormal numbers count as zeros, as an adapter may take them."""
    binary = ops.OPS[name].arity == 2
    given = pairs(name, np.float32, COUNT) if binary else (samples(name, np.float32, COUNT),)
    return tuple(np.where(np.abs(x) < TINY, np.copysign(np.float32(0), x), x) for x in given)


def error(name: str, given: tuple[Array, ...], got: Array) -> Array:
    """In ulp of the true value; where it is tiny or far, what is promised there counts as none."""
    with np.errstate(all="ignore"):
        true = np.asarray(ops.OPS[name].reference(*(x.astype(np.float64) for x in given)))
        wrong = np.where(np.abs(got - true) <= TINY, 0.0, ulps(got, true))
        if name in ("sin", "cos"):
            far = np.abs(given[0]) > FAR
            wrong = np.where(far & (np.abs(got - true) <= FAR_ERROR), 0.0, wrong)
    return wrong


def largest_errors(adapter: Adapter) -> dict[str, float]:
    """Of each function, in ulp."""
    given = {name: operands(name) for name in FUNCTIONS}
    jobs = [job(FUNCTIONS[name], arrays, adapter.target) for name, arrays in given.items()]
    results = adapter.run(jobs)
    return {
        name: float(error(name, arrays, result[0]).max())
        for (name, arrays), result in zip(given.items(), results, strict=True)
    }


def main(names: Sequence[str]) -> None:
    """Print a row for each function, a column for each adapter of these names, or of all."""
    chosen = names or list(ADAPTERS)
    columns = [largest_errors(ADAPTERS[name]) for name in chosen]
    print("| function | promised |", " | ".join(chosen), "|")
    print("|", " | ".join(["---"] * (2 + len(chosen))), "|")
    for function in FUNCTIONS:
        found = " | ".join(f"{errors[function]:.2f}" for errors in columns)
        print(f"| `{function}` | {PROMISES[function][1]} | {found} |")


if __name__ == "__main__":
    main(sys.argv[1:])
