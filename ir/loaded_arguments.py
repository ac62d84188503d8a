"""What every runner needs of a GPU program before it can be called: its constants as words, and
names for its inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tilewright.ir.errors import IRError
from tilewright.ir.transfer import Words, pack

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tilewright.ir.artifact import GpuProgram


def packed_constants(program: GpuProgram, constants: Sequence[NDArray[Any]]) -> dict[int, Words]:
    """The words of each buffer with role "constant", by its index; `constants` are their values in
    the same order."""
    wanted = [k for k, spec in enumerate(program.buffers) if spec.role == "constant"]
    if len(wanted) != len(constants):
        raise IRError(f"{len(constants)} constants were given for {len(wanted)} buffers")
    return {
        index: pack(value, program.buffers[index], f"constant {number}")
        for number, (index, value) in enumerate(zip(wanted, constants, strict=True))
    }


def input_names(program: GpuProgram, names: Sequence[str]) -> tuple[str, ...]:
    """What errors call the inputs: `names`, or numbers where none are given."""
    return tuple(names) or tuple(f"argument {k}" for k in range(len(program.inputs)))
