"""What the compiler asks of a target. For type checkers only, as protocols are slow to make.

`targets` opens the targets that follow it; their classes are in `target_cpu`, `target_wasm`,
`target_wgsl` and `target_glsl`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np

    from tilewright.compiler.targets import BuildOptions, Executable, Observer
    from tilewright.ir.analysis.program_figures import ProgramFigures
    from tilewright.ir.expr import Var
    from tilewright.ir.fuse.options import FusionOptions
    from tilewright.ir.program import Nest, Program
    from tilewright.ir.schedule_space import ScheduleSpace


class Target(Protocol):
    """One target: turns programs into artifacts, and artifacts into something to call."""

    name: str
    stages: tuple[str, ...]
    cacheable: bool
    has_float64: bool

    @property
    def fusion(self) -> FusionOptions:
        """What fusion may do for this target."""

    def build(self, program: Program, options: BuildOptions, observe: Observer) -> Any:
        """The artifact of a program; `observe(stage, value)` sees what lies between."""

    def schedule_spaces(
        self, program: Program, options: BuildOptions
    ) -> Sequence[tuple[Nest, ScheduleSpace]]:
        """The nests whose schedule may be chosen, and the schedules to choose from."""

    def finish(self, made: Any) -> Any:
        """The artifact from what `build` made, or what the cache kept of it."""

    def pack(self, artifact: Any) -> tuple[dict[str, Any], list[bytes]]:
        """The artifact as JSON and blobs, for a file."""

    def unpack(
        self, described: dict[str, Any], blobs: Sequence[bytes], symbols: Sequence[Var]
    ) -> Any:
        """The artifact that `pack` described, with these open dimensions."""

    def load(self, artifact: Any, names: Sequence[str]) -> Executable:
        """``run(inputs, outputs=None) -> results`` on contiguous arrays; errors use `names`."""

    def upload(self, array: np.ndarray) -> Any:
        """A copy of the array on the target's device; `UnsupportedError` where there is none."""

    def figures(self, artifact: Any, stages: Mapping[str, object]) -> ProgramFigures:
        """What one call does, counted; sizes must be known."""

    def source(self, artifact: Any, stages: Mapping[str, object]) -> str:
        """The generated code as text."""
