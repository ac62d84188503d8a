"""A GPU program and its constants <-> JSON and blobs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec import to_builtins

from tilewright.ir.artifact import (
    BufferSpec,
    CopyBuffer,
    GpuProgram,
    Repeat,
    ShaderLaunch,
    Step,
    TextureLayout,
)


def encode_program(
    program: GpuProgram, constants: Sequence[np.ndarray]
) -> tuple[dict[str, Any], list[bytes]]:
    """The program as JSON, and the elements of its constants."""
    shapes = [[constant.dtype.str, constant.shape] for constant in constants]
    blobs = [np.ascontiguousarray(constant).tobytes() for constant in constants]
    return {**describe_program(program), "constants": shapes}, blobs


def describe_program(program: GpuProgram) -> dict[str, Any]:
    """The program as JSON, for saved kernels and for the browser (`runtime_web/program.js`)."""
    return {
        "target": program.target,
        "buffers": [to_builtins(buffer) for buffer in program.buffers],
        "inputs": program.inputs,
        "outputs": program.outputs,
        "steps": [_encode_step(step) for step in program.steps],
    }


def decode_program(
    encoded: dict[str, Any], blobs: Sequence[bytes]
) -> tuple[GpuProgram, tuple[np.ndarray, ...]]:
    """The program, and its constants as read-only arrays."""
    program = GpuProgram(
        encoded["target"],
        tuple(_decode_buffer(buffer) for buffer in encoded["buffers"]),
        tuple(encoded["inputs"]),
        tuple(encoded["outputs"]),
        tuple(_decode_step(step) for step in encoded["steps"]),
    )
    constants = tuple(
        np.frombuffer(blob, dtype).reshape(shape)
        for blob, (dtype, shape) in zip(blobs, encoded["constants"], strict=True)
    )
    return program, constants


def _encode_step(step: Step) -> dict[str, Any]:
    match step:
        case ShaderLaunch():
            return {"launch": to_builtins(step)}
        case CopyBuffer():
            return {"copy": [step.source, step.destination]}
        case Repeat():
            return {"repeat": step.count, "steps": [_encode_step(inner) for inner in step.steps]}


def _decode_step(encoded: dict[str, Any]) -> Step:
    match encoded:
        case {"launch": dict(fields)}:
            return ShaderLaunch(**_with_tuples(fields))
        case {"copy": [int(source), int(destination)]}:
            return CopyBuffer(source, destination)
        case {"repeat": int(count), "steps": [*steps]}:
            return Repeat(count, tuple(map(_decode_step, steps)))
    raise ValueError(f"{encoded!r} is not a step")


def _decode_buffer(encoded: dict[str, Any]) -> BufferSpec:
    texture = encoded.pop("texture")
    layout = TextureLayout(**texture) if texture else None
    return BufferSpec(**_with_tuples(encoded), texture=layout)


def _with_tuples(fields: dict[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
