"""A file that `Compiled.save` wrote -> the compiled kernel. Needs no compiler."""

from __future__ import annotations

import inspect
import os
import zlib
from typing import TYPE_CHECKING, NoReturn

from tilewright.compiler.arguments import Binder
from tilewright.compiler.compiled import Compiled
from tilewright.compiler.decode_interface import decode_interface
from tilewright.compiler.runtime import runtime
from tilewright.compiler.saved.container import UNREADABLE, Content, unpack
from tilewright.compiler.specialization import Specialization
from tilewright.compiler.targets import BuildOptions, open_target
from tilewright.ir.errors import IRError, SavedKernelError, UnsupportedError

if TYPE_CHECKING:
    from tilewright.compiler.runtime import Runtime


def load(path: str | os.PathLike[str]) -> Compiled:
    """The kernel that `Compiled.save` wrote to `path`: it is called in the same way.

    Only load files that you trust: those for the CPU hold machine code. A file that is damaged, of
    another version or of another kind is a `SavedKernelError`, one for another processor a
    `DeviceError`.
    """
    name = os.fspath(path)
    with open(name, "rb") as file:
        return from_bytes(file.read(), os.fsdecode(name))


def from_bytes(data: bytes, name: str) -> Compiled:
    """The kernel in the bytes of a file; messages call it `name`."""
    content = unpack(data, name)
    try:
        return _compiled(content, runtime())
    except (*UNREADABLE, IRError, zlib.error) as error:
        raise SavedKernelError(
            f"{name!r} holds something else than a kernel of this version ({error})",
            help="save the kernel again with this version of Tilewright",
        ) from error


def _compiled(content: Content, runtime: Runtime) -> Compiled:
    description = content.description
    source, *blobs = content.blobs
    target = open_target(description["target"], runtime)
    interface = decode_interface(description["interface"])
    title = description["name"]
    made = Specialization(
        interface=interface,
        target=target,
        artifact=target.unpack(description["artifact"], blobs, interface.symbols),
        options=BuildOptions(numerics=description["numerics"]),
        trace=_no_stages,
        text=zlib.decompress(source).decode("utf-8", "surrogatepass"),
    )
    parameters = [
        inspect.Parameter(name, list(inspect._ParameterKind)[kind])
        for name, kind in description["parameters"]
    ]
    return Compiled(title, made, Binder.of_signature(inspect.Signature(parameters)))


def _no_stages() -> NoReturn:
    raise UnsupportedError(
        "a kernel that was loaded from a file has no stages",
        help="its generated code is .source; compile the function to see the stages",
    )
