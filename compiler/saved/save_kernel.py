"""A compiled kernel -> one file."""

from __future__ import annotations

import os
import zlib
from typing import TYPE_CHECKING, Any

from tilewright import __version__
from tilewright.compiler.encode_interface import encode_interface, encode_value
from tilewright.compiler.output_file import write_atomically
from tilewright.compiler.saved.container import pack
from tilewright.ir.errors import UnsupportedError
from tilewright.ir.signature import StaticSpec

if TYPE_CHECKING:
    from tilewright.compiler.arguments import Binder
    from tilewright.compiler.specialization import Specialization


def save(name: str, made: Specialization, binder: Binder, path: str | os.PathLike[str]) -> None:
    """Write `made` to the file at `path`, which is replaced at once or left as it was."""
    write_atomically(os.fspath(path), to_bytes(name, made, binder))


def to_bytes(name: str, made: Specialization, binder: Binder) -> bytes:
    """The content of the file: description, generated source (compressed), the target's blobs."""
    described, blobs = made.target.pack(made.artifact)
    description = {
        "kind": "kernel",
        "tilewright": __version__,
        "name": name,
        "target": made.target.name,
        "numerics": made.options.numerics,
        "parameters": _parameters(made, binder),
        "interface": encode_interface(made.interface),
        "artifact": described,
    }
    source = zlib.compress(made.source.encode("utf-8", "surrogatepass"))
    return pack(description, [source, *blobs])


def _parameters(made: Specialization, binder: Binder) -> list[list[Any]]:
    """Name and kind of each parameter that a call passes."""
    parameters = [p for p in binder.signature.parameters.values() if p.name in made.interface.specs]
    for parameter in parameters:
        spec = made.interface.specs[parameter.name]
        if isinstance(spec, StaticSpec) and encode_value(spec.value)[0] == "fixed":
            raise UnsupportedError(
                f"argument {parameter.name!r} is {spec}, which a file cannot hold",
                help=f"compile kernel.bind({parameter.name}=…) instead",
            )
    return [[p.name, int(p.kind)] for p in parameters]
