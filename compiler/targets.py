"""The targets by name, imported on demand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from tilewright.compiler.runtime import Runtime
    from tilewright.compiler.target import Target
    from tilewright.ir.schedule import Schedule

Observer = Callable[[str, object], None]
Executable = Callable[..., "list[np.ndarray]"]


NUMERICS = ("accurate", "reproducible", "fast")


class BuildOptions(Struct, frozen=True):
    """What a user may choose about a compilation.

    `numerics` is one of `NUMERICS`; `f64` is ``"error"`` or
    ``"f32"`` (demote on targets without float64); `schedules` overrides schedules by nest name.
    `portable`: for any device of the target, and not for that of this process.
    """

    numerics: str = "accurate"
    f64: str = "error"
    schedules: Mapping[str, Schedule] | None = None
    portable: bool = False


def shown_mode(options: BuildOptions) -> str:
    """What a kernel says of its numerics, if it is not the default."""
    return "" if options.numerics == NUMERICS[0] else f", numerics {options.numerics}"


_HOMES = {
    "cpu": ("tilewright.compiler.target_cpu", "CpuTargetDriver"),
    "wasm": ("tilewright.compiler.target_wasm", "WasmTargetDriver"),
    "wgsl": ("tilewright.compiler.target_wgsl", "WgslTargetDriver"),
    "glsl": ("tilewright.compiler.target_glsl", "GlslTargetDriver"),
}
NAMES: Sequence[str] = tuple(_HOMES)
# Their shaders hold all sizes: what is declared open is compiled for the sizes of each call.
GPU_TARGETS: Sequence[str] = ("wgsl", "glsl")


def check_target(name: str) -> str:
    """`name`, if it is a target."""
    if not isinstance(name, str) or name not in _HOMES:
        from tilewright.ir.errors import UnsupportedError

        raise UnsupportedError(
            f"there is no target {name!r}", help=f"the targets are {', '.join(NAMES)}"
        )
    return name


def has_open_dimensions(target: str) -> bool:
    """Whether one compiled kernel of the target serves every size of a dimension."""
    return target not in GPU_TARGETS


def open_target(name: str, runtime: Runtime) -> Target:
    """The target called `name`, on the runtime's devices."""
    module, attribute = _HOMES[check_target(name)]
    made: Target = getattr(import_module(module), attribute)(runtime)
    return made
