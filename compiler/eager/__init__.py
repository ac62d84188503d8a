"""The index form in plain NumPy: what `tw.compute` and the rest do when no kernel is being traced.

In go NumPy arrays and index functions, out come NumPy arrays. This is the meaning that the compiled
kernels are tested against, so it follows NumPy wherever NumPy has an answer.
"""

from tilewright.compiler.eager.boundary import at
from tilewright.compiler.eager.compute import compute
from tilewright.compiler.eager.loops import loop, while_loop
from tilewright.compiler.eager.reductions import argmax, argmin, max, min, prod, sum

__all__ = [
    "argmax",
    "argmin",
    "at",
    "compute",
    "loop",
    "max",
    "min",
    "prod",
    "sum",
    "while_loop",
]
