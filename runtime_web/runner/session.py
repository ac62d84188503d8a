"""One open browser and the thread that it is used from.

In: requests from any thread. Out: the page's replies, its problems as our errors. A session that is
lost stays lost; `device.py` opens another one.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeVar

from tilewright.codegen_glsl.worker import Worker
from tilewright.ir.errors import DeviceError, DeviceLostError, IRError, LimitError
from tilewright.ir.text.numbered import numbered
from tilewright.runtime_web.runner.launch import INSTALL_HELP, has_gpu

if TYPE_CHECKING:
    from tilewright.ir.artifact import ShaderLaunch
    from tilewright.ir.transfer import Words
    from tilewright.runtime_web.runner.channel import Channel, Reply
    from tilewright.runtime_web.runner.options import BrowserOptions

T = TypeVar("T")
GpuTarget = Literal["glsl", "wgsl"]

_PATIENCE_S: Final = 10.0


class RunningBrowser(Protocol):
    """What a session asks of a browser, on its own thread."""

    version: str
    pid: int
    channel: Channel

    def close(self) -> None:
        """End the browser; it may have ended already."""

    def kill(self) -> None:
        """As `close`, for a browser that may not answer."""


Opener = Callable[["BrowserOptions", bool], RunningBrowser]
"""Starts a browser, which computes in software or not, and has it load the page of its channel."""


class Session:
    """A browser whose page has opened the device of one target; `facts` is what it says of it, and
    `lost` whether it has gone since."""

    def __init__(self, target: GpuTarget, options: BrowserOptions, opener: Opener) -> None:
        self._options = options
        self._dropped: deque[int] = deque()
        self.lost = False
        self._worker = Worker("tilewright-browser")
        try:
            self._browser, self.facts = self._worker.run(lambda: _open(target, options, opener))
        except BaseException:
            self._worker.stop()
            raise
        # Also runs when the process ends.
        self._end = weakref.finalize(self, _end, self._worker, self._browser)

    @property
    def pid(self) -> int:
        """The process of the browser."""
        return self._browser.pid

    @property
    def browser(self) -> str:
        """Name and version of the browser."""
        return self._browser.version

    def request(
        self,
        op: str,
        blobs: Sequence[Words] = (),
        launches: Sequence[ShaderLaunch] = (),
        **fields: Any,
    ) -> Reply:
        """The reply of the page; `launches` are those whose shaders a message may show."""
        return self.run(lambda: self._request(op, blobs, launches, fields))

    def run(self, job: Callable[[], T]) -> T:
        """Call `job` on the session's thread, so that its requests are not parted by others."""
        return self._worker.run(job)

    def drop(self, number: int) -> None:
        """Forget an array or a program of the page, with its next request. From any thread."""
        self._dropped.append(number)

    def end(self) -> None:
        """End the browser, whatever it is doing; does not wait for it."""
        self._worker.stop(self._browser.kill)

    def close(self) -> None:
        """End the browser and wait until it is gone."""
        self._end()

    def _request(
        self,
        op: str,
        blobs: Sequence[Words],
        launches: Sequence[ShaderLaunch],
        fields: dict[str, Any],
    ) -> Reply:
        dropped = [self._dropped.popleft() for _ in range(len(self._dropped))]
        header = {"op": op, "free": dropped, **fields}
        timeout_s = self._options.timeout_s
        try:
            reply = self._browser.channel.request(header, blobs, timeout_s)
            _raise_problem(reply.answer, self.browser, launches)
        except TimeoutError:
            self.lost = True
            raise DeviceLostError(
                f"a job took longer than {timeout_s} s in {self.browser}; the browser was given up"
            ) from None
        except DeviceLostError:
            self.lost = True
            raise
        return reply


def _open(
    target: GpuTarget, options: BrowserOptions, opener: Opener
) -> tuple[RunningBrowser, dict[str, Any]]:
    """On the GPU if there may be one; in software where that fails or there is none."""
    if options.adapter != "software" and has_gpu():
        try:
            return _open_with(target, options, opener, software=False)
        except DeviceError:
            if options.adapter == "hardware":
                raise
    elif options.adapter == "hardware":
        raise software_not_allowed("this machine has no GPU")
    return _open_with(target, options, opener, software=True)


def _open_with(
    target: GpuTarget, options: BrowserOptions, opener: Opener, software: bool
) -> tuple[RunningBrowser, dict[str, Any]]:
    browser = opener(options, software)
    limits = {
        "memoryBytes": options.memory_bytes,
        "idleBytes": options.idle_bytes,
        "adapters": not options.default_limits,
        "halfFloat": options.half_float,
    }
    header: dict[str, Any] = {"op": "open", "target": target, "limits": limits, "free": []}
    try:
        answer = browser.channel.request(header, timeout_s=options.open_s).answer
        _raise_problem(answer, browser.version)
    except TimeoutError:
        browser.kill()
        raise DeviceError(
            f"{browser.version} did not open a device within {options.open_s:g} s"
        ) from None
    except BaseException:
        browser.close()
        raise
    return browser, answer


def software_not_allowed(found: str) -> DeviceError:
    """The error where no GPU was found, and nothing else will do."""
    return DeviceError(
        f"a browser could compute in software only, and software was not allowed; found: {found}",
        help="run this kernel on target 'cpu'",
    )


def _end(worker: Worker, browser: RunningBrowser) -> None:
    worker.stop(browser.close)
    worker.join(_PATIENCE_S)


def _raise_problem(
    answer: dict[str, Any], browser: str, launches: Sequence[ShaderLaunch] = ()
) -> None:
    """Raise what the page reports, if it does."""
    problem = answer.get("error")
    if problem is None:
        return
    message = problem["message"]
    match problem["kind"]:
        case "lost":
            raise DeviceLostError(
                f"{message} in {browser}",
                help="call again: the device is opened anew, arrays on the host are intact",
            )
        case "missing":
            raise DeviceError(f"{message}; found {browser}", help=INSTALL_HELP)
        case "limit":
            raise LimitError(
                message, help="drop device arrays that are no longer needed, or raise memory_bytes"
            )
        case "memory" | "device":
            raise DeviceError(f"{message} in {browser}")
        case "shader":
            refused = launches[problem["shader"]]
            raise DeviceError(
                f"shader {refused.name!r} was refused by {browser}\n{message.strip()}\n"
                f"{numbered(refused.source)}"
            )
    raise IRError(f"the browser's runner failed: {message}")
