"""The rules of each IR level that no constructor can check alone.

A function returns nothing for IR that keeps the rules and raises `IRError` for the first breach,
with the place in the IR as a note. docs/ir.md lists the rules.
"""

from tilewright.ir.verify.bounds import unproven_accesses
from tilewright.ir.verify.graph import verify_graph
from tilewright.ir.verify.kernel import verify_kernel
from tilewright.ir.verify.program import verify_program

__all__ = ["unproven_accesses", "verify_graph", "verify_kernel", "verify_program"]
