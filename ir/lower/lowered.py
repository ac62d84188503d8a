"""What lowering a step gives when a kernel alone is not enough."""

from __future__ import annotations

from msgspec import Struct

from tilewright.ir.kernel import Buffer, Kernel


class Lowered(Struct, frozen=True, eq=False):
    """A kernel, and the global buffers that it needs besides those of the step.

    The caller adds `temporaries` to `Program.temporaries`. Their contents matter to this launch
    only, so that the memory plan may give their place to others before and after it.
    """

    kernel: Kernel
    temporaries: tuple[Buffer, ...] = ()
