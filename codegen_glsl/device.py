"""A WebGL-class device on Linux: OpenGL through EGL, without a window.

`GlDevice` owns the context and its thread. It opens at once, or raises `DeviceError`; when the
context is lost, the next job gets a new one. Programs (`run.py`) and arrays (`device_array.py`)
refer to it.
"""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import Struct

from tilewright.codegen_glsl.context import GlContext, open_context
from tilewright.codegen_glsl.device_array import ArrayLostError, GlDeviceArray
from tilewright.codegen_glsl.probe import GlFacts, probe
from tilewright.codegen_glsl.run import LoadedGlProgram
from tilewright.codegen_glsl.worker import Worker
from tilewright.ir.errors import DeviceError, DeviceLostError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from numpy.typing import NDArray

    from tilewright.ir.artifact import GpuProgram

T = TypeVar("T")


class GlOptions(Struct, frozen=True):
    """How to open a device.

    `memory_bytes` bounds all textures together and `idle_bytes` those kept for reuse.
    A job that takes longer than `timeout_s` counts as a lost device. Without `allow_software` a
    processor that plays a GPU is refused. With `half_float` floats are kept in 16 bits, which
    devices without float render targets can do.
    """

    device_index: int = 0
    allow_software: bool = True
    memory_bytes: int = 2 << 30
    idle_bytes: int = 256 << 20
    timeout_s: float | None = None
    half_float: bool = False


class _Session:
    """One context and the thread that it lives on."""

    def __init__(self, options: GlOptions) -> None:
        self.worker = Worker("tilewright-gl")
        try:
            self.context, self.facts = self.worker.run(lambda: _open(options))
        except BaseException:
            self.worker.stop()
            raise
        # Also runs when the process ends, before the driver's libraries are torn down.
        self.end = weakref.finalize(self, self.worker.stop, self.context.release)


class GlDevice:
    """An open device; may be used from any thread."""

    def __init__(self, options: GlOptions | None = None) -> None:
        self.options = options or GlOptions()
        self._lock = threading.Lock()
        self._closed = False
        self._session: _Session | None = _Session(self.options)
        self.facts: GlFacts = self._session.facts

    def run(self, job: Callable[[GlContext], T]) -> T:
        """Call `job` with the current context on the device's thread and wait for its result."""
        session = self._current_session()
        try:
            return session.worker.run(lambda: job(session.context), self.options.timeout_s)
        except TimeoutError:
            self._forget(session)
            raise DeviceLostError(
                f"a job took longer than {self.options.timeout_s} s on {self.facts.renderer}; "
                "the device was given up"
            ) from None
        except ArrayLostError:
            raise
        except DeviceLostError:
            self._forget(session)
            raise

    @property
    def runner(self) -> str:
        """What runs the shaders."""
        return "EGL"

    def load(
        self, program: GpuProgram, constants: Sequence[NDArray[Any]] = (), names: Sequence[str] = ()
    ) -> LoadedGlProgram:
        """The program, ready to be called; `names` are what errors call its inputs."""
        return LoadedGlProgram(self, program, constants, names)

    def upload(self, array: NDArray[Any]) -> GlDeviceArray:
        """Copy a host array to the device, in the layout that kernels use by default."""
        return GlDeviceArray.upload(self, array)

    def synchronize(self) -> None:
        """Wait until all the work submitted so far is done."""
        self.run(GlContext.finish)

    def lose(self) -> None:
        """Destroy the context, as a driver's reset does; the next job gets a new one."""
        with self._lock:
            session, self._session = self._session, None
        if session is not None:
            session.end()

    def close(self) -> None:
        """Destroy the context for good."""
        self._closed = True
        self.lose()

    def __enter__(self) -> GlDevice:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _current_session(self) -> _Session:
        with self._lock:
            if self._closed:
                raise DeviceError("the device is closed")
            if self._session is None:
                self._session = _Session(self.options)
                self.facts = self._session.facts
            return self._session

    def _forget(self, session: _Session) -> None:
        with self._lock:
            if self._session is session:
                self._session = None
        session.end()


def _open(options: GlOptions) -> tuple[GlContext, GlFacts]:
    context = open_context(
        options.device_index, options.memory_bytes, options.idle_bytes, options.half_float
    )
    try:
        facts = probe(context, options.half_float)
        if facts.is_software and not options.allow_software:
            raise DeviceError(
                f"EGL device {options.device_index} is {facts.renderer}, which is software, and"
                " software was not allowed",
                help="install the driver of the GPU, or run this kernel on target 'cpu'",
            )
        return context, facts
    except BaseException:
        context.release()
        raise
