"""Opens one target and says what it found. `tilewright targets` runs this as a process:
``python -m tilewright.compiler.cli.probe wgsl CHOICE`` prints a `TargetReport` as one line of JSON,
of the device that `CHOICE` says, a `DeviceChoice` as JSON.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable
from importlib.metadata import version

from msgspec import Struct, to_builtins
from msgspec.json import decode

from tilewright.compiler.device_choice import DeviceChoice
from tilewright.compiler.runtime import Runtime, runtime
from tilewright.ir.errors import DeviceError, RunnerWarning, TilewrightError


class TargetReport(Struct, frozen=True):
    """One target as found. `problem` and `help` are empty where it is usable."""

    name: str
    usable: bool
    device: str = ""
    facts: tuple[str, ...] = ()
    problem: str = ""
    help: str = ""


def probe(name: str) -> TargetReport:
    """Open the target called `name`."""
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", RunnerWarning)
            device, *facts = _PROBES[name](runtime())
    except TilewrightError as error:
        problem = "; ".join([error.message, *(note for note, _ in error.notes)])
        return TargetReport(name, False, problem=problem, help=error.help or "")
    return TargetReport(name, True, device, (*facts, *(str(w.message) for w in said)))


def _cpu(runtime: Runtime) -> tuple[str, ...]:
    from tilewright.codegen_cpu.target import host_target

    machine = host_target()
    caches = machine.caches
    sizes = ", ".join(
        f"{level} {size >> 10} KiB"
        for level, size in (("L1", caches.l1), ("L2", caches.l2), ("L3", caches.l3))
    )
    return (
        f"{machine.cpu} ({machine.architecture}), {machine.vector_bits}-bit vectors",
        runtime.pool.description,
        sizes,
    )


def _wasm(runtime: Runtime) -> tuple[str, ...]:
    try:
        import wasmtime
    except ImportError as error:
        raise DeviceError(
            f"WebAssembly runs through the Python package wasmtime: {error}",
            help="pip install wasmtime",
        ) from error
    wasmtime.Engine()
    return (f"wasmtime {version('wasmtime')}", "wasm32, 128-bit vectors, one thread")


def _wgsl(runtime: Runtime) -> tuple[str, ...]:
    info = runtime.webgpu.info
    features = ", ".join(sorted(info.features)) or "no optional features"
    return (
        info.summary,
        *_software(info.is_software),
        f"through {runtime.webgpu.runner}",
        features,
        f"buffers up to {info.limits.storage_binding_bytes >> 20} MiB,"
        f" {info.limits.workgroup_invocations} invocations per workgroup",
        *_subgroups(info.subgroup_sizes),
    )


def _subgroups(sizes: tuple[int, int] | None) -> tuple[str, ...]:
    return () if sizes is None else (f"subgroups of {sizes[0]} to {sizes[1]} invocations",)


def _glsl(runtime: Runtime) -> tuple[str, ...]:
    facts = runtime.webgl.facts
    return (
        facts.renderer,
        *_software(facts.is_software),
        f"{_API}{facts.version}, through {runtime.webgl.runner}".replace(f"{_API}WebGL", "WebGL"),
        f"textures up to {facts.max_texture_size}, {facts.max_draw_buffers} render targets",
        f"NaN {_kept(facts.keeps_nan)}, subnormals {_kept(facts.keeps_subnormals)}",
    )


def _software(is_software: bool) -> tuple[str, ...]:
    return ("a processor plays this GPU: slow",) if is_software else ()


_API = "OpenGL "  # browsers name theirs


def _kept(kept: bool) -> str:
    return "kept" if kept else "lost"


_PROBES: dict[str, Callable[[Runtime], tuple[str, ...]]] = {
    "cpu": _cpu,
    "wasm": _wasm,
    "wgsl": _wgsl,
    "glsl": _glsl,
}

if __name__ == "__main__":
    runtime().device_choice = decode(sys.argv[2], type=DeviceChoice)
    print(json.dumps(to_builtins(probe(sys.argv[1]))))
