"""What a target cannot do, for any kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tilewright.ir.errors import UnsupportedError

if TYPE_CHECKING:
    from tilewright.compiler.targets import BuildOptions


def no_device_memory(target: str) -> UnsupportedError:
    """The error of an upload to a target that works in the host's memory."""
    return UnsupportedError(
        f"target {target!r} has no device memory",
        help="device arrays are for the targets 'wgsl' and 'glsl'; elsewhere pass NumPy arrays",
    )


def refuse_reproducible(target: str, options: BuildOptions) -> None:
    """GPU drivers may reorder and contract float arithmetic, so equal bits cannot be promised."""
    if options.numerics == "reproducible":
        raise UnsupportedError(
            f"target {target!r} cannot give reproducible results",
            help="use the targets 'cpu' and 'wasm', or numerics='accurate'",
        )
