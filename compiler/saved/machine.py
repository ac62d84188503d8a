"""Whether this processor can run code that was saved for another one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tilewright.ir.errors import DeviceError

if TYPE_CHECKING:
    from tilewright.codegen_cpu.target import CpuTarget

_HELP = "save the kernel on a machine like this one, or for the target 'wasm', which runs anywhere"


def check_machine(described: dict[str, Any], here: CpuTarget) -> None:
    """Raise `DeviceError` unless `here` has the described processor's system and features."""
    if described["triple"] != here.triple:
        raise DeviceError(
            f"the kernel was saved for {described['triple']}, and this is {here.triple}", help=_HELP
        )
    missing = sorted(_enabled(described["features"]) - _enabled(here.features))
    if missing:
        raise DeviceError(
            f"the kernel was saved for a processor ({described['cpu']}) with features that this"
            f" one ({here.cpu}) lacks: {', '.join(missing)}",
            help=_HELP,
        )


def _enabled(features: str) -> set[str]:
    """The names of ``+a,-b,+c`` that are switched on."""
    return {name[1:] for name in features.split(",") if name.startswith("+")}
