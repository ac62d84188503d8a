"""How a browser is opened."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class BrowserOptions(Struct, frozen=True):
    """`executable` is a Chromium, Chrome or Edge; the first that is found if empty.

    `adapter` says what may compute: "any" takes software where there is no GPU. `memory_bytes`
    bounds all arrays together and `idle_bytes` those kept for reuse. A request that takes longer
    than `timeout_s` counts as a lost device; opening takes at most `open_s`. `adapter_name` must be
    a part of what a WebGPU adapter says of itself; with `default_limits` its device keeps to those
    that every WebGPU device has. With `half_float` WebGL keeps floats in 16 bits.
    """

    executable: str = ""
    adapter: Literal["any", "hardware", "software"] = "any"
    memory_bytes: int = 2 << 30
    idle_bytes: int = 256 << 20
    timeout_s: float | None = None
    open_s: float = 30.0
    adapter_name: str = ""
    half_float: bool = False
    default_limits: bool = False
