"""Finding a WebGPU adapter and saying what it is.

In: what the caller accepts (`DeviceOptions`). Out: an open wgpu device and a `DeviceInfo`, or a
`DeviceError` that lists what was found and what to install.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from msgspec import Struct

from tilewright.ir.errors import DeviceError
from tilewright.ir.subgroups import LEAST_SUBGROUP, MOST_SUBGROUP

if TYPE_CHECKING:
    import wgpu

INSTALL_HELP = (
    "install a Vulkan driver (Debian, Ubuntu: mesa-vulkan-drivers, which also runs without a GPU; "
    'NVIDIA: the vendor\'s driver) and see it in `vulkaninfo --summary`, or use target="cpu"'
)
SUBGROUPS = "subgroup"
WANTED_FEATURES = ("shader-f16", SUBGROUPS, "timestamp-query")
SOFTWARE_ADAPTER = "CPU"
COMPUTE_BACKENDS = ("Vulkan", "Metal", "DX12")


class DeviceOptions(Struct, frozen=True):
    """Which adapter to open: the fastest, or the first whose summary contains `adapter`."""

    adapter: str = ""
    allow_software: bool = True


class DeviceLimits(Struct, frozen=True):
    """The limits that a schedule or a runner must obey."""

    workgroup_invocations: int
    workgroup_size: tuple[int, int, int]
    workgroup_storage: int
    workgroups_per_dimension: int
    storage_buffers: int
    storage_binding_bytes: int
    buffer_bytes: int
    uniform_alignment: int


class DeviceInfo(Struct, frozen=True):
    """What `tilewright targets` prints and what tuning records are keyed by.

    `subgroup_sizes` are the fewest and the most invocations of a subgroup; None where shaders
    cannot use subgroups.
    """

    name: str
    driver: str
    api: str
    kind: str
    features: frozenset[str]
    limits: DeviceLimits
    subgroup_sizes: tuple[int, int] | None = None

    @property
    def is_software(self) -> bool:
        return self.kind == SOFTWARE_ADAPTER

    @property
    def summary(self) -> str:
        return f"{self.name} ({self.kind}) via {self.api}, {self.driver}"


def import_wgpu() -> Any:
    """The wgpu package, which programs need to run, though not to be compiled."""
    try:
        wgpu = importlib.import_module("wgpu")
        _leave_out_opengl()
    except ImportError as error:
        raise DeviceError(
            f"the WebGPU target runs through the Python package wgpu, which failed to import: "
            f"{error}",
            help="pip install wgpu",
        ) from error
    return wgpu


def request_adapter(gpu: Any, options: DeviceOptions) -> wgpu.GPUAdapter:
    """The adapter that `options` ask for; `gpu` is `wgpu.gpu` or its like."""
    found = [] if options.adapter == "" else gpu.enumerate_adapters_sync()
    chosen = next((a for a in found if options.adapter in a.summary), None)
    if options.adapter == "":
        chosen = _fastest_adapter(gpu)
    if chosen is None:
        what = f" whose name contains {options.adapter!r}" if options.adapter else ""
        raise DeviceError(
            f"no WebGPU adapter{what} was found; adapters: {_listing(gpu)}", help=INSTALL_HELP
        )
    if chosen.info["adapter_type"] == SOFTWARE_ADAPTER and not options.allow_software:
        raise DeviceError(
            f"{chosen.summary} is a software adapter, and software was not allowed; "
            f"adapters: {_listing(gpu)}",
            help=INSTALL_HELP,
        )
    return cast("wgpu.GPUAdapter", chosen)


def request_device(adapter: wgpu.GPUAdapter) -> wgpu.GPUDevice:
    """A device with the adapter's own maxima (wgpu-py's default) and the features that we use."""
    features = [feature for feature in WANTED_FEATURES if feature in adapter.features]
    try:
        return adapter.request_device_sync(
            label="tilewright",
            required_features=cast("Any", features),
            required_limits=dict(adapter.limits),
        )
    except Exception as error:
        raise DeviceError(
            f"the WebGPU adapter {adapter.summary} refused to open: {error}", help=INSTALL_HELP
        ) from error


def describe(adapter: wgpu.GPUAdapter, device: wgpu.GPUDevice) -> DeviceInfo:
    """The facts about an open device, in our own words."""
    info: Mapping[str, Any] = adapter.info
    features = frozenset(f for f in WANTED_FEATURES if f in device.features)
    sizes = (info.get("stackgroup_min_size", 0), info.get("stackgroup_max_size", 0))
    return DeviceInfo(
        name=info["device"],
        driver=info["description"],
        api=info["backend_type"],
        kind=info["adapter_type"],
        features=features,
        limits=_limits(device.limits),
        subgroup_sizes=sizes if SUBGROUPS in features and usable_subgroups(sizes) else None,
    )


def usable_subgroups(sizes: tuple[int, int]) -> bool:
    """Whether subgroups of these sizes are as WGSL says, so that shaders may count on it."""
    return LEAST_SUBGROUP <= sizes[0] <= sizes[1] <= MOST_SUBGROUP


def _leave_out_opengl() -> None:
    """Keep wgpu from starting OpenGL as well, which takes 0.4 s and has no compute worth using.

    wgpu has one instance per process; where another library has made it already, that one serves.
    """
    extras = importlib.import_module("wgpu.backends.wgpu_native.extras")
    with contextlib.suppress(RuntimeError):
        extras.set_instance_extras(backends=COMPUTE_BACKENDS)


def _limits(limits: Mapping[str, int]) -> DeviceLimits:
    compute = "max-compute-"
    return DeviceLimits(
        workgroup_invocations=limits[compute + "invocations-per-workgroup"],
        workgroup_size=(
            limits[compute + "workgroup-size-x"],
            limits[compute + "workgroup-size-y"],
            limits[compute + "workgroup-size-z"],
        ),
        workgroup_storage=limits[compute + "workgroup-storage-size"],
        workgroups_per_dimension=limits[compute + "workgroups-per-dimension"],
        storage_buffers=limits["max-storage-buffers-per-shader-stage"],
        storage_binding_bytes=limits["max-storage-buffer-binding-size"],
        buffer_bytes=limits["max-buffer-size"],
        uniform_alignment=limits["min-uniform-buffer-offset-alignment"],
    )


def _fastest_adapter(gpu: Any) -> Any:
    try:
        return gpu.request_adapter_sync(power_preference="high-performance")
    except Exception:
        # wgpu-py has no class of its own for this, and it reports every cause as "not found".
        return None


def _listing(gpu: Any) -> str:
    return "; ".join(adapter.summary for adapter in gpu.enumerate_adapters_sync()) or "none"
