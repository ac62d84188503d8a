"""Calls through the dispatcher: several records, guards and errors."""

from __future__ import annotations

import sys
from types import CellType
from typing import Any

import numpy as np
import pytest

from tests.codegen_cpu.fastcall_kernels import (
    F32,
    F64,
    Kernel,
    add3_spec,
    arrays,
    build,
    failing,
    unexpected,
)
from tilewright.codegen_cpu import python_abi
from tilewright.codegen_cpu.fast_callable import FastCallable
from tilewright.codegen_cpu.fast_record import Record
from tilewright.codegen_cpu.fast_spec import (
    ArrayArgument,
    ArrayGuard,
    CellGuard,
    FastSpec,
    GlobalGuard,
    Linear,
    Output,
    ScalarArgument,
)
from tilewright.codegen_cpu.fastcall import Dispatcher
from tilewright.codegen_cpu.fastcall_ir import MAX_RECORDS
from tilewright.ir.errors import IRError

pytestmark = pytest.mark.skipif(
    python_abi.unusable() is not None, reason=f"not made for {python_abi.unusable()}"
)


def test_several_records_newest_first_oldest_dropped(
    dispatcher: Dispatcher, kernel: Kernel
) -> None:
    records = [Record(add3_spec((n,))) for n in range(1, MAX_RECORDS + 2)]
    for record in records:
        dispatcher.install(kernel, record)
    for n in range(2, MAX_RECORDS + 2):
        assert kernel(*arrays(3, (n,))).shape == (n,)
    assert kernel.slow_calls == []
    assert kernel(*arrays(3, (1,))) == "slow"
    dispatcher.install(kernel, records[0])
    assert kernel(*arrays(3, (1,))).shape == (1,)
    assert kernel(*arrays(3, (2,))) == "slow"


def test_installing_again_does_not_push_others_out(dispatcher: Dispatcher, kernel: Kernel) -> None:
    first, second = Record(add3_spec((1,))), Record(add3_spec((2,)))
    dispatcher.install(kernel, first)
    for _ in range(2 * MAX_RECORDS):
        dispatcher.install(kernel, second)
    assert kernel(*arrays(3, (1,))).shape == (1,)


def test_clear_sends_everything_the_slow_way(dispatcher: Dispatcher, add: Kernel) -> None:
    dispatcher.clear(add)
    assert add(*arrays(3, (4, 6))) == "slow"
    dispatcher.clear(Kernel())


def test_global_guard(dispatcher: Dispatcher, kernel: Kernel) -> None:
    namespace: dict[str, Any] = {"scale": (scale := 1.5)}
    spec = add3_spec(guards=(GlobalGuard(namespace, "scale", scale),))
    dispatcher.install(kernel, Record(spec))
    given = arrays(3, (4, 6))
    assert kernel(*given) is not None
    assert kernel.slow_calls == []
    namespace["scale"] = 2.5
    assert kernel(*given) == "slow"
    del namespace["scale"]
    assert kernel(*given) == "slow"
    namespace["scale"] = scale
    np.testing.assert_array_equal(kernel(*given), sum(given))


def test_cell_guard(dispatcher: Dispatcher, kernel: Kernel) -> None:
    captured = [1]
    cell = CellType(captured)
    dispatcher.install(kernel, Record(add3_spec(guards=(CellGuard(cell, captured),))))
    given = arrays(3, (4, 6))
    np.testing.assert_array_equal(kernel(*given), sum(given))
    cell.cell_contents = [1]
    assert kernel(*given) == "slow"
    del cell.cell_contents
    assert kernel(*given) == "slow"


@pytest.mark.parametrize("name", ["table", None])
def test_array_guard(dispatcher: Dispatcher, kernel: Kernel, name: str | None) -> None:
    table = np.arange(6, dtype=np.float32).reshape(2, 3)
    namespace: dict[str, Any] = {"table": table}
    home = namespace if name else CellType(table)
    fact = ArrayArgument(table.dtype, table.shape)
    guard = ArrayGuard(home, name, fact, table.copy())
    dispatcher.install(kernel, Record(add3_spec(guards=(guard,))))
    given = arrays(3, (4, 6))

    def place(value: object) -> None:
        if isinstance(home, CellType):
            home.cell_contents = value
        else:
            home["table"] = value

    for value in (table, table.copy()):
        place(value)
        np.testing.assert_array_equal(kernel(*given), sum(given))
    changed = table.copy()
    changed[1, 2] = 7
    others = (changed, table.T.copy(), table.reshape(-1), table.astype("f8"), table.tolist(), None)
    for other in others:
        place(other)
        assert kernel(*given) == "slow"
    place(table)
    table[0, 0] = -0.0
    assert kernel(*given) == "slow"
    if isinstance(home, CellType):
        del home.cell_contents
    else:
        del home["table"]
    assert kernel(*given) == "slow"


@pytest.mark.parametrize("long_running", [False, True])
def test_status_reaches_the_error_function(
    dispatcher: Dispatcher, kernel: Kernel, long_running: bool
) -> None:
    def on_error(status: int, *arguments: object) -> None:
        raise IndexError(status, *arguments)

    dispatcher.install(kernel, Record(failing(on_error, long_running=long_running)))
    x = np.zeros(2, F32)
    for status in (7, -3):
        with pytest.raises(IndexError) as caught:
            kernel(status, x)
        assert caught.value.args[0] == status
        assert caught.value.args[2] is x
    assert kernel(0, x).shape == (3,)


def test_the_error_function_may_answer(dispatcher: Dispatcher, kernel: Kernel) -> None:
    dispatcher.install(kernel, Record(failing(lambda status, *_: status + 1)))
    assert kernel(41, np.zeros(2, F32)) == 42


def test_exceptions_of_the_slow_path_propagate(dispatcher: Dispatcher) -> None:
    class Raising(FastCallable):
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            raise KeyError("slow")

    raising = Raising()
    dispatcher.install(raising, Record(add3_spec()))
    with pytest.raises(KeyError, match="slow"):
        raising(1)
    np.testing.assert_array_equal(raising(*[np.ones((4, 6), F32)] * 3), np.full((4, 6), 3, F32))


def test_an_output_that_memory_cannot_hold(dispatcher: Dispatcher, kernel: Kernel) -> None:
    code = build("ret i32 0")
    outputs = (Output(F32, (3,)), Output(F64, (1 << 40, 1 << 18)))
    spec = FastSpec(
        (ArrayArgument(F32, (1,)),), outputs, code.address(), unexpected, result="tuple"
    )
    dispatcher.install(kernel, Record(spec))
    made = np.dtype(F32)
    before = sys.getrefcount(made)
    for _ in range(50):
        with pytest.raises(MemoryError):
            kernel(np.zeros(1, F32))
    assert sys.getrefcount(made) < before + 25  # the first output did not stay behind


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"outputs": ()}, "a single result cannot be made of 0 outputs"),
        ({"outputs": (Output(F32, (1,)),) * 17, "result": "tuple"}, "at most 16 outputs, not 17"),
        ({"outputs": (Output(F32, (Linear(0, 1, 2),)),)}, "symbol 2, which no axis binds"),
        ({"outputs": (Output(F32, (1,), as_scalar=True),)}, "cannot be returned as a scalar"),
        (
            {"arguments": (ScalarArgument(np.dtype(np.float16)),)},
            "a Python scalar cannot be passed as float16",
        ),
    ],
)
def test_specs_that_no_record_can_hold(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(IRError, match=message):
        add3_spec(**changes)
