"""What a measured time depends on besides the kernel: the device, and who made the code."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from msgspec import Struct

from tilewright.compiler.cache.artifacts import host_identity
from tilewright.compiler.cache.store import new_digest
from tilewright.compiler.runtime import runtime

_MODEL: Final = "model name"


class TunedDevice(Struct, frozen=True):
    """A device by a name that people know and that tells it from others; `software` is a processor
    that plays a GPU, whose times say nothing about any."""

    name: str
    software: bool = False


def device_of(target: str) -> TunedDevice:
    """The device that kernels of a target run on in this process. Opens it."""
    if target == "wgsl":
        info = runtime().webgpu.info
        return TunedDevice(info.summary, info.is_software)
    if target == "glsl":
        facts = runtime().webgl.facts
        halves = ", half-float textures" if facts.half_float else ""
        return TunedDevice(f"{facts.renderer}, {facts.version}{halves}", facts.is_software)
    return _processor()


@lru_cache(maxsize=1)
def _processor() -> TunedDevice:
    """Its model and a digest of all that the system says of it, then how many threads it runs."""
    words = host_identity()
    lines = [line for line in words.splitlines() if line.startswith(_MODEL)]
    model = lines[0].partition(":")[2].strip() if lines else words.splitlines()[1]
    digest = new_digest()
    digest.update(words.encode("utf-8", "surrogatepass"))
    return TunedDevice(f"{model} {digest.hexdigest()[:8]}, {runtime().pool.num_threads} threads")
