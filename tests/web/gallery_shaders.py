"""The shaders of every kernel of the gallery, as text: what browsers' compilers are given."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence

import tilewright as tw
from benchmarks.gallery import entries
from tilewright.ir.artifact import Repeat, ShaderLaunch, Step


@functools.cache
def gallery_shaders(target: str) -> dict[str, str]:
    """Each distinct shader of "wgsl" or "glsl", by the kernel and launch that it belongs to."""
    found: dict[str, str] = {}
    for entry in entries():
        compiled = tw.kernel(entry.kernel).compile(*entry.inputs(), target=target)
        for number, launch in enumerate(_launches(compiled.specialization.artifact.program.steps)):
            found.setdefault(launch.source, f"{entry.name} {number} ({launch.name})")
    return {name: source for source, name in found.items()}


def _launches(steps: Sequence[Step]) -> Iterator[ShaderLaunch]:
    for step in steps:
        if isinstance(step, ShaderLaunch):
            yield step
        elif isinstance(step, Repeat):
            yield from _launches(step.steps)
