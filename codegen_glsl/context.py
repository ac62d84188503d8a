"""One OpenGL context: opening it through EGL, and the few operations that running a program needs.

All of it runs on the thread that opened the context (`worker.py`). A context that was lost stays
lost; `device.py` opens another one.
"""

from __future__ import annotations

import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakValueDictionary

import numpy as np

from tilewright.codegen_glsl.arena import Lease, TextureArena, gl_dtype
from tilewright.codegen_glsl.probe import is_software
from tilewright.codegen_glsl.shader import Releasable, Shader
from tilewright.codegen_glsl.texture import LANES, STORAGES
from tilewright.ir.errors import DeviceError, DeviceLostError
from tilewright.ir.runtime_directory import runtime_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import moderngl
    from numpy.typing import NDArray

# Core OpenGL 3.3 with this extension compiles '#version 300 es' by the rules of GLSL ES. (EGL could
# open an OpenGL ES context, but moderngl's loader asks for desktop OpenGL only.)
_REQUIRED_VERSION = 330
_REQUIRED_EXTENSION = "GL_ARB_ES3_compatibility"
# The libraries by soname: names without a version exist only where development packages do.
_EGL = {"backend": "egl", "libgl": "libGL.so.1", "libegl": "libEGL.so.1"}
_INSTALL_MESA = (
    "install a driver, for example Mesa's (Debian: apt install libegl1 libgl1 libgl1-mesa-dri), "
    "or run this kernel on target 'cpu'"
)
_VENDORS = Path("/usr/share/glvnd/egl_vendor.d")
_LOST = ("GL_CONTEXT_LOST", "GL_UNKNOWN_ERROR")


class HostTimer:
    """A timer query by the host's clock: waits before and after what is issued inside of it."""

    def __init__(self, finish: Callable[[], None]) -> None:
        self._finish = finish
        self._begin = 0
        self.elapsed = 0
        """Nanoseconds."""

    def __enter__(self) -> None:
        self._finish()
        self._begin = time.perf_counter_ns()

    def __exit__(self, *_: object) -> None:
        self._finish()
        self.elapsed = time.perf_counter_ns() - self._begin


class GlContext:
    """A current OpenGL context with its textures and shaders."""

    def __init__(
        self, gl: moderngl.Context, memory_bytes: int, idle_bytes: int, half_float: bool = False
    ) -> None:
        self.gl = gl
        self.arena = TextureArena(gl, memory_bytes, idle_bytes, half_float)
        # Equal sources share a program while anything uses it; then the driver's copy goes too.
        self._shaders: WeakValueDictionary[str, Shader] = WeakValueDictionary()
        self._garbage: deque[Releasable] = deque()
        self._timers: list[moderngl.Query | HostTimer] = []
        gl.enable_only(gl.NOTHING)

    def shader(self, name: str, source: str) -> Shader:
        """The compiled form of `source`; `name` is for messages."""
        self.collect()
        found = self._shaders.get(source)
        if found is None:
            found = self._shaders[source] = Shader(self.gl, name, source, self._garbage)
        return found

    def collect(self) -> None:
        """Free what was dropped since the last time."""
        while self._garbage:
            self._garbage.popleft().release()
        self.arena.collect()

    def draw(
        self,
        shader: Shader,
        bindings: Sequence[Lease],
        targets: tuple[Lease, ...],
        uniforms: bytes = b"",
    ) -> None:
        """Run `shader` once for every texel of `targets`, which all have one size."""
        self.arena.framebuffer(targets).use()  # also sets the viewport to the framebuffer's size
        for unit, binding in enumerate(bindings):
            binding.handle.use(unit)
        shader.draw(uniforms)

    def copy(self, source: Lease, destination: Lease) -> None:
        """Copy one texture onto another of the same layout."""
        arena = self.arena
        self.gl.copy_framebuffer(arena.framebuffer((destination,)), arena.framebuffer((source,)))

    def upload(self, target: Lease, words: NDArray[np.generic]) -> None:
        """Write `words` to the first elements of a texture, and zeros to the rest of that row."""
        layout = target.layout
        if self.arena.stored_dtype(layout) != gl_dtype(layout):
            with np.errstate(over="ignore"):
                words = words.astype(np.float16)
        per_row = layout.width * LANES
        rows, rest = divmod(words.size, per_row)
        if rows:
            whole = np.ascontiguousarray(words[: rows * per_row])
            target.handle.write(cast("Any", whole), (0, 0, layout.width, rows))
        if rest:
            last = np.zeros(per_row, words.dtype)
            last[:rest] = words[rows * per_row :]
            target.handle.write(cast("Any", last), (0, rows, layout.width, 1))

    def download(self, source: Lease, count: int) -> NDArray[np.generic]:
        """The first `count` elements of a texture."""
        layout = source.layout
        words = np.empty(count, STORAGES[layout.format])
        per_row = layout.width * LANES
        rows, rest = divmod(count, per_row)
        # glReadPixels; glGetTexImage (Texture.read) is 10 to 40 times slower on llvmpipe.
        framebuffer = self.arena.framebuffer((source,))
        if rows:
            area = (0, 0, layout.width, rows)
            framebuffer.read_into(words, area, LANES, dtype=gl_dtype(layout))
        if rest:
            texels = -(-rest // LANES)
            last = np.empty(texels * LANES, words.dtype)
            framebuffer.read_into(last, (0, rows, texels, 1), LANES, dtype=gl_dtype(layout))
            words[rows * per_row :] = last[:rest]
        return words

    def finish(self) -> None:
        """Wait until everything that was issued is done."""
        self.gl.finish()

    def take_timer(self) -> moderngl.Query | HostTimer:
        """A query for the time of what is issued inside of it, to be given back when it was read:
        queries live as long as the context.

        Where a processor plays the GPU its clock is the host's. Mesa's llvmpipe begins a query anew
        with each part of a texture that it draws, and tells the time of the last one.
        """
        if self._timers:
            return self._timers.pop()
        if is_software(self.gl.info["GL_RENDERER"]):
            return HostTimer(self.finish)
        return self.gl.query(time=True)

    def give_timer(self, timer: moderngl.Query | HostTimer) -> None:
        """Keep a query for the next one who times."""
        self._timers.append(timer)

    def check(self) -> None:
        """Raise what the driver has reported since the last check."""
        error = self.gl.error
        if error in _LOST:
            raise DeviceLostError(f"the OpenGL context was lost ({error})")
        if error != "GL_NO_ERROR":
            raise DeviceError(f"the OpenGL driver {self.gl.info['GL_RENDERER']} reported {error}")

    def release(self) -> None:
        """Destroy the context with everything in it."""
        self.gl.release()


def open_context(
    device_index: int, memory_bytes: int, idle_bytes: int, half_float: bool = False
) -> GlContext:
    """Open a context that accepts GLSL ES 3.00, current on this thread."""
    try:
        import moderngl
    except ImportError as error:
        raise DeviceError(
            f"target 'glsl' runs through the package moderngl, which is missing ({error})",
            help="pip install moderngl",
        ) from None
    settings: dict[str, Any] = {**_EGL, "device_index": device_index}
    with runtime_directory():
        try:
            gl = moderngl.create_context(_REQUIRED_VERSION, standalone=True, **settings)
        except Exception as error:  # moderngl and glcontext raise plain Exception
            raise DeviceError(
                f"EGL gave no OpenGL {_REQUIRED_VERSION / 100:.1f} context on device "
                f"{device_index}: {error}; {_found_vendors()}",
                help=_INSTALL_MESA,
            ) from None
    if _REQUIRED_EXTENSION not in gl.extensions:
        found = f"{gl.info['GL_RENDERER']}, OpenGL {gl.info['GL_VERSION']}"
        gl.release()
        raise DeviceError(
            f"the driver does not accept GLSL ES 3.00: {_REQUIRED_EXTENSION} is missing; "
            f"found {found}",
            help=_INSTALL_MESA,
        )
    return GlContext(gl, memory_bytes, idle_bytes, half_float)


def _found_vendors() -> str:
    names = sorted(path.name for path in _VENDORS.glob("*.json"))
    return f"EGL vendors in {_VENDORS}: {', '.join(names) or 'none'}"
