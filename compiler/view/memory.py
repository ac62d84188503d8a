"""Buffers and lifetimes: in, a compiled kernel; out, rows for a chart over its launches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import TYPE_CHECKING

from msgspec import Struct

from tilewright.compiler.bench.device_report import bytes_text
from tilewright.ir.analysis.effects import effects
from tilewright.ir.artifact import CopyBuffer, GpuProgram, repeated
from tilewright.ir.kernel import Buffer
from tilewright.ir.passes.plan_memory import plan_memory
from tilewright.ir.program import Program, leaves
from tilewright.ir.transfer import WORD_BYTES, word_count

if TYPE_CHECKING:
    from tilewright.compiler.view.model import View


class Row(Struct, frozen=True):
    """A buffer, needed from launch `first` to launch `last`; `place` is where in the arena."""

    name: str
    role: str
    type: str
    size: str
    first: int
    last: int
    place: str = ""


def memory_rows(view: View) -> tuple[list[Row], int]:
    """The buffers that launches use, and the number of launches and copies."""
    program = getattr(view.specialization.artifact, "program", None)
    if isinstance(program, GpuProgram):
        return _gpu_rows(view, program)
    stage = view.specialization.stage("kernel")
    return _cpu_rows(view, stage) if isinstance(stage, Program) else ([], 0)


def _gpu_rows(view: View, program: GpuProgram) -> tuple[list[Row], int]:
    steps = [step for step, _ in repeated(program.steps)]
    used = [
        {s.source, s.destination} if isinstance(s, CopyBuffer) else {*s.bindings, *s.outputs}
        for s in steps
    ]
    names = dict(zip(program.inputs, view.specialization.interface.input_names, strict=True))
    rows = []
    for index, spec in enumerate(program.buffers):
        positions = [k for k, buffers in enumerate(used) if index in buffers]
        if not positions:
            continue
        first, last = _kept(spec.role, positions, len(steps))
        shape = ", ".join(map(str, spec.shape))
        packed = f", {spec.packed} to a word" if spec.packed > 1 else ""
        texture = spec.texture
        place = f"texture of {texture.width} × {texture.height} texels" if texture else ""
        rows.append(
            Row(
                names.get(index, f"{spec.role} {index}"),
                spec.role,
                f"{spec.dtype}[{shape}]{packed}",
                bytes_text(word_count(spec) * WORD_BYTES),
                first,
                last,
                place,
            )
        )
    return rows, len(steps)


def _cpu_rows(view: View, program: Program) -> tuple[list[Row], int]:
    steps = leaves((*program.init, *program.steps))
    used = [{buffer for buffer, _ in effects(step)} for step in steps]
    offsets = plan_memory(program).offsets
    names = dict(zip(program.inputs, view.specialization.interface.input_names, strict=False))
    rows = []
    for role, buffer in _roles(program):
        positions = [k for k, buffers in enumerate(used) if buffer.root in buffers]
        if not positions:
            continue
        first, last = _kept(role, positions, len(steps))
        shape = ", ".join(map(str, buffer.shape))
        place = f"at byte {offsets[buffer]} of the arena" if buffer in offsets else ""
        rows.append(
            Row(
                names.get(buffer, buffer.name),
                role,
                f"{buffer.dtype.short}[{shape}]",
                _size(buffer),
                first,
                last,
                place,
            )
        )
    return rows, len(steps)


def _roles(program: Program) -> Iterator[tuple[str, Buffer]]:
    yield from (("input", b) for b in program.inputs)
    yield from (("constant", b) for b, _ in program.constants)
    yield from (("output", b) for b in program.outputs)
    packed = set(program.packed)
    for buffer in dict.fromkeys((*program.temporaries, *program.packed)):
        yield ("packed" if buffer in packed else "temporary"), buffer


def _kept(role: str, positions: Sequence[int], count: int) -> tuple[int, int]:
    """What is given is there from the start, and results stay to the end."""
    first = 0 if role in ("input", "constant") else positions[0]
    last = count - 1 if role in ("output", "constant", "packed") else positions[-1]
    return first, last


def _size(buffer: Buffer) -> str:
    if not all(isinstance(n, int) for n in buffer.shape):
        return ""
    return bytes_text(prod(int(str(n)) for n in buffer.shape) * buffer.dtype.itemsize)
