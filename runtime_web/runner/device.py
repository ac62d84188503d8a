"""The device of one target in a browser, for as long as the process wants it.

A lost device (its browser was killed, the page crashed, the driver was reset) opens again at the
next request; programs load again by themselves, arrays are gone.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar

from tilewright.ir.errors import DeviceError
from tilewright.runtime_web.runner.launch import Browser
from tilewright.runtime_web.runner.options import BrowserOptions
from tilewright.runtime_web.runner.program import LoadedBrowserProgram
from tilewright.runtime_web.runner.session import GpuTarget, Opener, Session

if TYPE_CHECKING:
    from types import TracebackType

    from numpy.typing import NDArray

    from tilewright.ir.artifact import BufferSpec, GpuProgram
    from tilewright.ir.transfer import Words
    from tilewright.runtime_web.runner.device_array import BrowserArray

T = TypeVar("T")
Facts = TypeVar("Facts")


class BrowserDevice(ABC, Generic[Facts]):
    """An open device; may be used from any thread."""

    target: ClassVar[GpuTarget]
    array_class: ClassVar[type[BrowserArray]]
    has_clock: ClassVar[bool] = True
    """Whether to ask the device for its times; browsers without its clock say so."""

    def __init__(self, options: BrowserOptions | None = None, opener: Opener = Browser) -> None:
        self.options = options or BrowserOptions()
        self._opener = opener
        self._lock = threading.Lock()
        self._closed = False
        self._session: Session | None = None
        self._facts: Facts
        self._current_session()

    # What the targets say.

    @property
    @abstractmethod
    def name(self) -> str:
        """What renders."""

    @abstractmethod
    def check(self, program: GpuProgram) -> None:
        """Raise if the program cannot run here."""

    @abstractmethod
    def fit(self, array: BrowserArray, spec: BufferSpec, name: str) -> BrowserArray:
        """The array, as a program binds it where it expects `spec`; an error if it cannot be."""

    @abstractmethod
    def _describe(self, session: Session) -> Facts:
        """The facts of a new session, whose page has opened its device."""

    # What programs and arrays are made with.

    @property
    def runner(self) -> str:
        """What runs the shaders: name and version of the browser."""
        return self.run(lambda session: session.browser)

    def load(
        self, program: GpuProgram, constants: Sequence[NDArray[Any]] = (), names: Sequence[str] = ()
    ) -> LoadedBrowserProgram:
        """The program, ready to be called; `names` are what errors call its inputs."""
        return LoadedBrowserProgram(self, program, constants, names)

    def hold(self, words: Words, spec: BufferSpec) -> BrowserArray:
        """An array of these words, which lie as `spec` says."""

        def job(session: Session) -> BrowserArray:
            reply = session.request("upload", [words], spec=spec)
            return self.array(session, reply.answer["array"], spec)

        return self.run(job)

    def array(self, session: Session, number: int, spec: BufferSpec) -> BrowserArray:
        """The array that the page of `session` holds as `number`."""
        return self.array_class(self, session, number, spec)

    def synchronize(self) -> None:
        """Wait until all the work submitted so far is done."""
        self.run(lambda session: session.request("synchronize"))

    def run(self, job: Callable[[Session], T]) -> T:
        """Call `job` with the current session on its thread and wait for its result."""
        session = self._current_session()
        try:
            return session.run(lambda: job(session))
        finally:
            if session.lost:  # and not merely an array of an earlier one
                self._forget(session)

    # Its life.

    def lose(self) -> None:
        """Lose the device, as a driver's reset does; the next request gets a new one."""
        with self._lock:
            session = self._session
        if session is not None:
            session.request("lose")
            self._forget(session)

    def logs(self, sources: Sequence[str], pipelines: bool = True) -> list[list[str]]:
        """What the browser's compiler says of each shader; nothing if all is well. Pipelines of
        WebGPU are made too, unless they need not be: large ones take software seconds."""
        texts = list(sources)
        reply = self.run(lambda s: s.request("logs", sources=texts, pipelines=pipelines))
        return list(reply.answer["logs"])

    def statistics(self) -> dict[str, int]:
        """How much of the device is in use, in the page's words: for whoever looks for leaks."""
        return self.run(lambda session: session.request("statistics").answer)

    def close(self) -> None:
        """End the browser for good, and wait until it is gone."""
        with self._lock:
            self._closed = True
            session, self._session = self._session, None
        if session is not None:
            session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _current_session(self) -> Session:
        with self._lock:
            if self._closed:
                raise DeviceError("the device is closed")
            if self._session is None:
                session = Session(self.target, self.options, self._opener)
                try:
                    self._facts = self._describe(session)
                except BaseException:
                    session.end()
                    raise
                self._session = session
            return self._session

    def _forget(self, session: Session) -> None:
        with self._lock:
            if self._session is session:
                self._session = None
        session.end()
