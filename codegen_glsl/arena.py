"""Textures and framebuffers of one OpenGL context, reused by layout.

`TextureArena.acquire` hands out a `Lease`; the texture returns to the arena when the last reference
to the lease is dropped, on whatever thread that happens. All else runs on the context's thread.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING

from tilewright.codegen_glsl.texture import LANES, STORAGES, texture_bytes
from tilewright.ir.errors import DeviceError, LimitError

if TYPE_CHECKING:
    import moderngl

    from tilewright.ir.artifact import TextureLayout

_MAX_FRAMEBUFFERS = 512
_GL_DTYPES = {"float32": "f4", "int32": "i4", "uint32": "u4"}
_HALF = "f2"
HALF_FLOAT_HELP = (
    "tw.choose_device(half_float=True) keeps floats in 16 bits, or run this kernel on target 'cpu'"
)


def gl_dtype(layout: TextureLayout) -> str:
    """How moderngl spells the dtype of one component as the host sees it."""
    return _GL_DTYPES[STORAGES[layout.format]]


class Lease:
    """The right to use one texture, until the lease is dropped."""

    __slots__ = ("_returned", "handle", "layout")

    def __init__(
        self,
        handle: moderngl.Texture,
        layout: TextureLayout,
        returned: deque[tuple[TextureLayout, moderngl.Texture]],
    ) -> None:
        self.handle = handle
        self.layout = layout
        self._returned = returned

    def __del__(self) -> None:
        # May run on any thread, in the middle of anything: only an atomic append is safe here.
        self._returned.append((self.layout, self.handle))


class TextureArena:
    """All textures of a context: those in use, and idle ones of each layout.

    With `half_float` floats are kept in 16 bits each.
    """

    def __init__(
        self,
        context: moderngl.Context,
        memory_bytes: int,
        idle_bytes: int,
        half_float: bool = False,
    ) -> None:
        self._context = context
        self._half_float = half_float
        self._memory_bytes = memory_bytes
        self._idle_limit = idle_bytes
        self._returned: deque[tuple[TextureLayout, moderngl.Texture]] = deque()
        self._idle: OrderedDict[TextureLayout, list[moderngl.Texture]] = OrderedDict()
        self._idle_bytes = 0
        self._framebuffers: OrderedDict[tuple[int, ...], moderngl.Framebuffer] = OrderedDict()
        self.allocated_bytes = 0
        self.textures = 0
        # Bound in place of a framebuffer that is freed: moderngl binds the last one again after a
        # read, which is an error once that is gone.
        self._home = context.simple_framebuffer((1, 1))

    def acquire(self, layout: TextureLayout) -> Lease:
        """A texture with undefined contents; `LimitError`, before allocation, if too large."""
        self.collect()
        idle = self._idle.get(layout)
        if idle:
            self._idle_bytes -= self._bytes(layout)
            self._idle.move_to_end(layout)
            return Lease(idle.pop(), layout, self._returned)
        return Lease(self._allocate(layout), layout, self._returned)

    def framebuffer(self, targets: tuple[Lease, ...]) -> moderngl.Framebuffer:
        """The framebuffer that draws to (and reads from) these textures."""
        key = tuple(target.handle.glo for target in targets)
        found = self._framebuffers.get(key)
        if found is not None:
            self._framebuffers.move_to_end(key)
            return found
        if len(self._framebuffers) >= _MAX_FRAMEBUFFERS:
            self._free_framebuffer(next(iter(self._framebuffers)))
        try:
            made = self._context.framebuffer([target.handle for target in targets])
        except Exception as error:  # moderngl.Error, which derives from nothing narrower
            formats = ", ".join(self._format(target.layout) for target in targets)
            raise DeviceError(
                f"the driver cannot draw to textures of {formats}: {error}",
                help=None if self._half_float else HALF_FLOAT_HELP,
            ) from None
        self._framebuffers[key] = made
        return made

    def stored_dtype(self, layout: TextureLayout) -> str:
        """How moderngl spells the dtype of one component as the device keeps it."""
        return _HALF if self._is_half(layout) else gl_dtype(layout)

    def _is_half(self, layout: TextureLayout) -> bool:
        return self._half_float and STORAGES[layout.format] == "float32"

    def _format(self, layout: TextureLayout) -> str:
        return "rgba16f" if self._is_half(layout) else layout.format

    def _bytes(self, layout: TextureLayout) -> int:
        return texture_bytes(layout) // (2 if self._is_half(layout) else 1)

    def collect(self) -> None:
        """Take back the textures whose leases were dropped, and free what is too much."""
        while self._returned:
            layout, handle = self._returned.popleft()
            self._idle.setdefault(layout, []).append(handle)
            self._idle_bytes += self._bytes(layout)
        self._trim(self._idle_limit)

    def _allocate(self, layout: TextureLayout) -> moderngl.Texture:
        wanted = self._bytes(layout)
        if self.allocated_bytes + wanted > self._memory_bytes:
            self._trim(0)
        if self.allocated_bytes + wanted > self._memory_bytes:
            raise LimitError(
                f"a texture of {layout.width} x {layout.height} texels needs {wanted} bytes; "
                f"{self.allocated_bytes} of {self._memory_bytes} bytes are in use",
                help="drop device arrays that are no longer needed, or raise memory_bytes",
            )
        size = (layout.width, layout.height)
        handle = self._context.texture(size, LANES, dtype=self.stored_dtype(layout))
        error = self._context.error
        if error != "GL_NO_ERROR":
            handle.release()
            raise DeviceError(
                f"the driver refused a texture of {size[0]} x {size[1]} {self._format(layout)} "
                f"texels: {error}"
            )
        # 32-bit textures cannot be filtered in WebGL; with any other filter they read as zero.
        handle.filter = (self._context.NEAREST, self._context.NEAREST)
        self.allocated_bytes += wanted
        self.textures += 1
        return handle

    def _trim(self, limit: int) -> None:
        """Free idle textures, those of the layouts longest unused first."""
        while self._idle_bytes > limit:
            layout, handles = next(iter(self._idle.items()))
            if not handles:
                del self._idle[layout]
                continue
            self._free(layout, handles.pop())
            self._idle_bytes -= self._bytes(layout)

    def _free(self, layout: TextureLayout, handle: moderngl.Texture) -> None:
        for key in [key for key in self._framebuffers if handle.glo in key]:
            self._free_framebuffer(key)
        handle.release()
        self.allocated_bytes -= self._bytes(layout)
        self.textures -= 1

    def _free_framebuffer(self, key: tuple[int, ...]) -> None:
        framebuffer = self._framebuffers.pop(key)
        if self._context.fbo is framebuffer:
            self._home.use()
        framebuffer.release()
