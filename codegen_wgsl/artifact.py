"""What compiling a program for WebGPU gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tilewright.ir.artifact import GpuProgram
    from tilewright.ir.schedule import Schedule


class WgslArtifact(Struct, frozen=True, eq=False):
    """A program, the constants to load it with, the schedule of each nest, and what the user
    should know about how it computes."""

    program: GpuProgram
    constants: tuple[NDArray[np.generic], ...]
    schedules: tuple[tuple[str, Schedule], ...]
    notes: tuple[str, ...]
