"""Running a program on the device of a browser.

In: a `GpuProgram`, once, with the values of its constant buffers; then arrays, call by call. Out:
arrays, on the host or left on the device. The page compiles and keeps the program; it is sent again
by the first call after the device was lost.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

import numpy as np
from msgspec import Struct

from tilewright.ir.artifact import launches
from tilewright.ir.errors import ShapeError
from tilewright.ir.gpu_encoding import describe_program
from tilewright.ir.loaded_arguments import input_names, packed_constants
from tilewright.ir.run_times import RunTimes, slope
from tilewright.ir.transfer import pack, unpack
from tilewright.runtime_web.runner.device_array import BrowserArray

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tilewright.ir.artifact import BufferSpec, GpuProgram
    from tilewright.ir.transfer import Words
    from tilewright.runtime_web.runner.channel import Reply
    from tilewright.runtime_web.runner.device import BrowserDevice
    from tilewright.runtime_web.runner.session import Session

    HostArray = NDArray[Any]

T = TypeVar("T")


class _Loaded:
    """A program on the page of one session, which forgets it when this is dropped."""

    def __init__(self, session: Session, number: int) -> None:
        self.session = session
        self.number = number

    def __del__(self) -> None:
        self.session.drop(self.number)


class _Given(Struct, frozen=True):
    """The inputs of a call: arrays of the device, and the words of the others."""

    values: tuple[BrowserArray | Words, ...]

    def fields(self, session: Session) -> tuple[dict[str, Any], list[Words]]:
        """What a request for them holds."""
        words = [v for v in self.values if not isinstance(v, BrowserArray)]
        numbers = [v.on(session) if isinstance(v, BrowserArray) else None for v in self.values]
        return {"inputs": numbers}, words


class LoadedBrowserProgram:
    """A program that is ready to be called, from any thread.

    `constants` are the values of the buffers with role "constant", in buffer order; `names` are
    what errors call the inputs.
    """

    def __init__(
        self,
        device: BrowserDevice[Any],
        program: GpuProgram,
        constants: Sequence[HostArray] = (),
        names: Sequence[str] = (),
    ) -> None:
        device.check(program)
        self.device = device
        self.program = program
        self._names = input_names(program, names)
        # Kept on the host, so that a lost device costs a reload and not the program.
        self._constants = list(packed_constants(program, constants).values())
        self._loaded: _Loaded | None = None
        device.run(self._load)

    @overload
    def __call__(
        self,
        inputs: Sequence[HostArray | BrowserArray],
        *,
        outputs_on_device: Literal[False] = False,
    ) -> tuple[HostArray, ...]: ...

    @overload
    def __call__(
        self, inputs: Sequence[HostArray | BrowserArray], *, outputs_on_device: Literal[True]
    ) -> tuple[BrowserArray, ...]: ...

    @overload
    def __call__(
        self, inputs: Sequence[HostArray | BrowserArray], *, outputs_on_device: bool
    ) -> tuple[HostArray, ...] | tuple[BrowserArray, ...]: ...

    def __call__(
        self, inputs: Sequence[HostArray | BrowserArray], *, outputs_on_device: bool = False
    ) -> tuple[HostArray, ...] | tuple[BrowserArray, ...]:
        """Run once. With `outputs_on_device` nothing is read back."""
        given = self._check_inputs(inputs)
        if outputs_on_device:
            return self.device.run(lambda session: self._run_to_device(session, given))
        reply = self._ask("run", given, keep=False)
        return tuple(
            unpack(np.frombuffer(blob, spec.storage), spec)
            for spec, blob in zip(self._outputs, reply.blobs, strict=True)
        )

    def seconds(self, inputs: Sequence[HostArray | BrowserArray], runs: int = 1) -> float:
        """The time of one run out of `runs` queued together, uploads and read-back left out."""
        return self._seconds(self._check_inputs(inputs), runs, "host") / runs

    def device_seconds(self, inputs: Sequence[HostArray | BrowserArray], runs: int = 1) -> float:
        """The time of one run out of `runs` issued together, uploads and read-back left out: by
        the device's clock or, where it has none, without what issuing costs once."""
        return self._device_seconds(self._check_inputs(inputs), runs)[0]

    def times(self, inputs: Sequence[HostArray | BrowserArray], runs: int = 1) -> RunTimes:
        """Where the time of a call goes; what the device does is measured over `runs`."""
        self(inputs)  # all that is made once
        begin = time.perf_counter()
        words = self._check_inputs(inputs).values
        given = _Given(tuple(map(self._uploaded, self.program.inputs, words)))
        uploaded = time.perf_counter()
        seconds, clock = self._device_seconds(given, runs)
        launch_seconds: list[float] = []
        if clock == "device":
            launch_seconds = self._ask("launches", given, runs=runs).answer["seconds"]
        outputs = self.device.run(lambda session: self._run_to_device(session, given))
        self.device.synchronize()
        computed = time.perf_counter()
        for output in outputs:
            output.numpy()
        read_back = time.perf_counter() - computed
        return RunTimes(uploaded - begin, seconds, read_back, tuple(launch_seconds), clock)

    @property
    def _outputs(self) -> list[BufferSpec]:
        return [self.program.buffers[index] for index in self.program.outputs]

    def _device_seconds(self, given: _Given, runs: int) -> tuple[float, Literal["device", "host"]]:
        seconds = self._seconds(given, runs, "device") if self.device.has_clock else 0.0
        if seconds > 0:
            return seconds / runs, "device"
        return slope(lambda count: self._seconds(given, count, "host"), runs), "host"

    def _seconds(self, given: _Given, runs: int, clock: Literal["device", "host"]) -> float:
        return float(self._ask("time", given, runs=runs, clock=clock).answer["seconds"])

    def _uploaded(self, index: int, value: BrowserArray | Words) -> BrowserArray:
        if isinstance(value, BrowserArray):
            return value
        return self.device.hold(value, self.program.buffers[index])

    def _check_inputs(self, inputs: Sequence[HostArray | BrowserArray]) -> _Given:
        # Before anything is sent: a bad argument must leave nothing half done.
        program = self.program
        if len(inputs) != len(program.inputs):
            raise ShapeError(f"the program has {len(program.inputs)} inputs and got {len(inputs)}")
        given: list[BrowserArray | Words] = []
        for index, value, name in zip(program.inputs, inputs, self._names, strict=True):
            spec = program.buffers[index]
            if isinstance(value, BrowserArray):
                given.append(self.device.fit(value, spec, name))
            else:
                given.append(pack(value, spec, name))
        return _Given(tuple(given))

    def _run_to_device(self, session: Session, given: _Given) -> tuple[BrowserArray, ...]:
        numbers = self._ask_on(session, "run", given, keep=True).answer["arrays"]
        return tuple(
            self.device.array(session, number, spec)
            for number, spec in zip(numbers, self._outputs, strict=True)
        )

    def _ask(self, op: str, given: _Given, **fields: Any) -> Reply:
        return self.device.run(lambda session: self._ask_on(session, op, given, **fields))

    def _ask_on(self, session: Session, op: str, given: _Given, **fields: Any) -> Reply:
        inputs, words = given.fields(session)
        return session.request(op, words, program=self._load(session).number, **inputs, **fields)

    def _load(self, session: Session) -> _Loaded:
        """Send the program, unless this very session has it."""
        loaded = self._loaded
        if loaded is None or loaded.session is not session:
            sources = list(launches(self.program.steps))
            described = describe_program(self.program)
            reply = session.request("load", self._constants, sources, program=described)
            loaded = self._loaded = _Loaded(session, reply.answer["program"])
        return loaded
