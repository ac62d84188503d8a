"""Which programs an array of the device may be bound to, by how it lies there."""

from __future__ import annotations

from tilewright.ir.artifact import BufferSpec
from tilewright.ir.errors import DeviceError, UnsupportedError


def needs_packing(found: BufferSpec, wanted: BufferSpec) -> bool:
    """Whether elements that lie in a word each must be packed for a program's `wanted`."""
    return found.packed == 1 < wanted.packed


def check_layout(found: BufferSpec, wanted: BufferSpec, name: str) -> None:
    """Raise unless an array that lies as `found` can be bound for argument `name`."""
    mine, theirs = _layout(found), _layout(wanted)
    if mine != theirs:
        raise UnsupportedError(
            f"{name} lies on the device as {_say(mine)}, but the program reads {_say(theirs)}",
            help=f"pass {name}.numpy()",
        )


def on_another_device(name: str) -> DeviceError:
    """The error of an array that meets a program of another device."""
    return DeviceError(f"{name} is on another device", help=f"pass {name}.numpy()")


def _layout(spec: BufferSpec) -> tuple[str, str, int, tuple[int, ...]]:
    return spec.dtype, spec.storage, spec.packed, spec.shape


def _say(layout: tuple[str, str, int, tuple[int, ...]]) -> str:
    dtype, storage, packed, shape = layout
    how = f"{packed} per {storage}" if packed > 1 else storage
    return f"{dtype}{list(shape)} stored as {how}"
