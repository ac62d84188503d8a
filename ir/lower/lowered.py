"""What lowering a step gives when a kernel alone is not enough."""

from __future__ import annotations

from tilewright.ir.dataclass import dataclass
from tilewright.ir.kernel import Buffer, Kernel


@dataclass(frozen=True, eq=False, slots=True)
class Lowered:
    """A kernel, and the global buffers that it needs besides those of the step.

    The caller adds `temporaries` to `Program.temporaries`. Their contents matter to this launch
    only, so that the memory plan may give their place to others before and after it.
    """

    kernel: Kernel
    temporaries: tuple[Buffer, ...] = ()
