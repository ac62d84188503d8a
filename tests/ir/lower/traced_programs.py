"""Programs from Python functions: for tests of what lies between fusion and machine code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tilewright.compiler.arguments import describe
from tilewright.compiler.trace.run import trace
from tilewright.ir.fuse.options import CPU, FusionOptions
from tilewright.ir.fuse.program_builder import build_program
from tilewright.ir.passes import run_passes
from tilewright.ir.program import Program


def program_of(
    function: Callable[..., Any], arrays: Sequence[np.ndarray], options: FusionOptions = CPU
) -> Program:
    """The fused program of `function` for arrays like these."""
    names = function.__code__.co_varnames
    specs = {n: describe(a, n)[0] for n, a in zip(names, arrays, strict=False)}
    return build_program(run_passes(trace(function, specs).graph), options, "program")


def numbers(*shape: int, dtype: Any = np.float32, seed: int = 0) -> np.ndarray:
    """Small integers: float32 sums of their products are exact in any order."""
    return np.random.default_rng(seed).integers(-4, 5, shape).astype(dtype)
