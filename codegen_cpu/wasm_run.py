"""Run a linked wasm module in this process, on NumPy arrays, through wasmtime.

In: a `WasmModule` and arrays. Out: the output arrays, filled. The arrays are copied into
linear memory behind the module's stack and data, and the outputs are copied back, as a web page
does too.

Modules whose loops poll run in a thread of their own while the main thread waits, which Python's
signal handlers can interrupt; the module is then told to stop by a word in its memory. What it
wrote is not copied back, and the instance is not to be used again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from tilewright.codegen_cpu.artifact import readable_bytes
from tilewright.codegen_cpu.wasm_module import (
    ALIGNMENT,
    ENTRY_POINT,
    MEMORY,
    PAGE,
    STACK_POINTER,
    WasmModule,
)
from tilewright.ir.errors import DeviceError, IRError, LimitError

Array = NDArray[Any]


class WasmFrame(Struct, frozen=True):
    """The operands of one call, as addresses in linear memory."""

    arguments: int
    symbols: int
    workspace: int
    outputs: tuple[int, ...]


class MemoryPlan(Struct, frozen=True):
    """Where the operands of a call lie: `addresses` of inputs, outputs and constants, in that
    order, then the argument array, the symbols and the workspace; `end` is the first free byte."""

    addresses: tuple[int, ...]
    arguments: int
    symbols: int
    workspace: int
    end: int


def plan_memory(
    start: int, array_sizes: Sequence[int], symbol_count: int, workspace_size: int
) -> MemoryPlan:
    """Lay arrays of `array_sizes` bytes, and the rest of the operands, out from `start` on."""
    addresses = []
    end = start
    pointers = 4 * len(array_sizes)
    for size in (*array_sizes, pointers, 8 * symbol_count, workspace_size):
        addresses.append(-(-end // ALIGNMENT) * ALIGNMENT)
        end = addresses[-1] + size
    *arrays, arguments, symbols, workspace = addresses
    return MemoryPlan(tuple(arrays), arguments, symbols, workspace, end)


def memory_limit_error(needed: int, limit: int) -> LimitError:
    return LimitError(
        f"the call needs {needed} bytes of wasm memory, the limit is {limit}",
        help="split the arrays, or run this kernel on the 'cpu' target",
    )


class WasmInstance:
    """A module with a memory of its own; `run` may be called any number of times.

    `constants` are written once and passed behind the inputs and outputs of every call.
    `memory_limit` (bytes) is for hosts that must not give a kernel all of wasm's 4 GiB. `polls`
    says that the module's loops look whether to stop.
    """

    def __init__(
        self,
        module: WasmModule,
        *,
        constants: Sequence[Array] = (),
        memory_limit: int | None = None,
        polls: bool = False,
    ) -> None:
        self._api = _wasmtime()
        self._limit = module.memory_limit
        if memory_limit is not None:
            self._limit = min(self._limit, memory_limit // PAGE * PAGE)
        self._stack_top = module.stack_size
        self._instantiate(module)
        stop = [np.zeros(1, np.uint32)] if polls else []
        kept = [*stop, *constants]
        plan = plan_memory(module.heap_base, [array.nbytes for array in kept], 0, 0)
        self._stop = plan.addresses[0] if polls else 0
        self._constants = plan.addresses[len(stop) :]
        self._heap = plan.arguments
        self._reserve(self._heap)
        self._write(plan.addresses, kept)

    def run(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        *,
        symbols: Sequence[int] = (),
        workspace_size: int = 0,
    ) -> None:
        """Copy `inputs` in, call ``tw_main`` and copy its results into `outputs`."""
        frame = self.load(inputs, outputs, symbols=symbols, workspace_size=workspace_size)
        self.call(frame)
        self.store(frame, outputs)

    def load(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        *,
        symbols: Sequence[int] = (),
        workspace_size: int = 0,
    ) -> WasmFrame:
        """The first third of `run`: a frame is valid until the next `load`."""
        arrays = (*inputs, *outputs)
        sizes = [readable_bytes(array) for array in arrays]
        sizes += [0] * len(self._constants)  # already below the heap: they take pointers, no room
        plan = plan_memory(self._heap, sizes, len(symbols), workspace_size)
        self._reserve(plan.end)
        passed = plan.addresses[: len(arrays)]
        pointers = np.array((*passed, *self._constants), np.uint32)
        self._write(passed[: len(inputs)], inputs)
        self._write((plan.arguments, plan.symbols), (pointers, np.array(symbols, np.int64)))
        return WasmFrame(plan.arguments, plan.symbols, plan.workspace, passed[len(inputs) :])

    def call(self, frame: WasmFrame) -> None:
        """The second third of `run`: the kernel alone, for timing."""
        operands = (self._stop, frame.arguments, frame.symbols, frame.workspace)
        passed = tuple(map(_signed32, operands))
        is_main = threading.current_thread() is threading.main_thread()
        try:
            if self._stop and is_main:
                status = _in_thread(lambda: self._entry(self._store, *passed), self._stopper())
            else:
                status = self._entry(self._store, *passed)
        except (self._api.Trap, self._api.WasmtimeError) as error:
            self._stack_pointer.set_value(self._store, self._stack_top)
            raise IRError(f"the wasm code trapped: {_trap_reason(error)}") from error
        if status != 0:
            raise IRError(f"{ENTRY_POINT} returned {status}, expected 0")

    def _stopper(self) -> Callable[[], None]:
        """What tells the loops to stop; the store must not be asked for its memory meanwhile."""
        word = self._bytes()[self._stop : self._stop + 4].view(np.uint32)
        return lambda: word.fill(1)

    def store(self, frame: WasmFrame, outputs: Sequence[Array]) -> None:
        """The last third of `run`."""
        memory = self._bytes()
        for address, output in zip(frame.outputs, outputs, strict=True):
            found = memory[address : address + output.nbytes].view(output.dtype)
            output[...] = found.reshape(output.shape)

    @property
    def memory_size(self) -> int:
        """Bytes of linear memory now; it only grows."""
        return int(self._memory.data_len(self._store))

    def _instantiate(self, module: WasmModule) -> None:
        wasmtime = self._api
        self._store = wasmtime.Store(wasmtime.Engine())
        self._store.set_limits(memory_size=self._limit)
        try:
            code = wasmtime.Module(self._store.engine, module.binary)
            imports = []
            if module.imports_memory:
                size = wasmtime.Limits(module.memory_pages, None)
                imports.append(wasmtime.Memory(self._store, wasmtime.MemoryType(size)))
            instance = wasmtime.Instance(self._store, code, imports)
        except wasmtime.WasmtimeError as error:
            if module.memory_pages * PAGE > self._limit:
                raise memory_limit_error(module.memory_pages * PAGE, self._limit) from error
            raise IRError(f"wasmtime refused the module: {str(error).strip()}") from error
        exports = instance.exports(self._store)
        self._memory = imports[0] if imports else exports[MEMORY]
        self._stack_pointer = exports[STACK_POINTER]
        self._entry = exports[ENTRY_POINT]

    def _reserve(self, end: int) -> None:
        """Grow the memory so that it has the bytes below `end`."""
        missing = -(-(end - self.memory_size) // PAGE)
        if missing <= 0:
            return
        if end > self._limit:
            raise memory_limit_error(end, self._limit)
        try:
            self._memory.grow(self._store, missing)
        except self._api.WasmtimeError as error:
            raise DeviceError(
                f"the host has no memory for {end} bytes of wasm memory, it gave {self.memory_size}"
            ) from error

    def _bytes(self) -> NDArray[np.uint8]:
        """All of linear memory; growing it invalidates the view."""
        size = self.memory_size
        return np.frombuffer(self._memory.get_buffer_ptr(self._store, size), np.uint8)

    def _write(self, addresses: Sequence[int], arrays: Sequence[Array]) -> None:
        memory = self._bytes()
        for address, array in zip(addresses, arrays, strict=True):
            place = memory[address : address + array.nbytes].view(array.dtype)
            place.reshape(array.shape)[...] = array


def _in_thread(function: Callable[[], int], stop: Callable[[], None]) -> int:
    """What `function` returns or raises, run in a thread; `stop` is called if waiting for it is
    interrupted, and the thread is left to itself."""
    results: list[int] = []
    errors: list[Exception] = []

    def run() -> None:
        try:
            results.append(function())
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        thread.join()
    except BaseException:
        stop()
        raise
    if errors:
        raise errors[0]
    return results[0]


def _signed32(address: int) -> int:
    """wasmtime wants an i32 above 2 GiB as the negative number of the same bits."""
    return address - (1 << 32) if address >= 1 << 31 else address


def _wasmtime() -> ModuleType:
    try:
        import wasmtime
    except ImportError as error:
        raise DeviceError(
            "the wasm target needs the package wasmtime to run, which is not installed",
            help="pip install wasmtime",
        ) from error
    return wasmtime


def _trap_reason(error: Exception) -> str:
    """One line of wasmtime's report, which has a backtrace in front of the reason."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reasons = [line for line in lines if "wasm trap:" in line] or lines[-1:] or [repr(error)]
    return reasons[0].rpartition("wasm trap: ")[2]
