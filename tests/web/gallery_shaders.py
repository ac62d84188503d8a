"""The shaders of every kernel of the gallery, as text: what browsers' compilers are given."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import numpy as np

import tilewright as tw
from benchmarks.gallery import Entry, entries
from tilewright.compiler.runtime import runtime
from tilewright.compiler.targets import BuildOptions, open_target
from tilewright.compiler.tune.nests import tunable_nests
from tilewright.compiler.tune.subject import traced_call
from tilewright.ir.artifact import launches
from tilewright.ir.schedule import Schedule

ATTEMPTS = 10


@functools.cache
def gallery_shaders(target: str) -> dict[str, str]:
    """Each distinct shader of "wgsl" or "glsl", by the kernel and launch that it belongs to."""
    found: dict[str, str] = {}
    for entry in entries():
        compiled = tw.kernel(entry.kernel).compile(*entry.inputs(), target=target)
        for number, launch in enumerate(launches(compiled.specialization.artifact.program.steps)):
            found.setdefault(launch.source, f"{entry.name} {number} ({launch.name})")
    return {name: source for source, name in found.items()}


@functools.cache
def scheduled_shaders(target: str, seed: int) -> dict[str, str]:
    """The shaders of kernels of the gallery under schedules drawn from their spaces, where those
    differ from the shaders that they have without."""
    rng = np.random.default_rng(seed)
    usual = set(gallery_shaders(target).values())
    found: dict[str, str] = {}
    for entry in entries():
        schedules = _drawn(entry, target, rng)
        if not schedules:
            continue
        kernel = tw.kernel(schedule=schedules)(entry.kernel)
        compiled = kernel.compile(*entry.inputs(), target=target)
        for number, launch in enumerate(launches(compiled.specialization.artifact.program.steps)):
            if launch.source not in usual:
                found.setdefault(launch.source, f"{entry.name} {number} under {schedules}")
    return {name: source for source, name in found.items()}


def _drawn(entry: Entry, target: str, rng: np.random.Generator) -> Mapping[str, Schedule]:
    """A random schedule for each nest of a kernel that has several."""
    kernel = tw.kernel(target=target)(entry.kernel)
    names = entry.kernel.__code__.co_varnames
    traced, _ = traced_call(kernel, dict(zip(names, entry.inputs(), strict=False)))
    driver = open_target(target, runtime())
    drawn: dict[str, Schedule] = {}
    for nest in tunable_nests(traced, driver.name, BuildOptions()):
        for _ in range(ATTEMPTS):
            point = tuple(int(rng.integers(len(knob.values))) for knob in nest.space.knobs)
            schedule = nest.space.schedule(point)
            if schedule is not None:
                drawn[nest.name] = schedule
                break
    return drawn
