"""Calls through the dispatcher: right results, and what does not fit goes the slow way."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
import threading
import time
import tracemalloc
import weakref
from types import CellType
from typing import Any

import numpy as np
import pytest

from tilewright.codegen_cpu import python_abi
from tilewright.codegen_cpu.fast_callable import FastCallable, accepts_records
from tilewright.codegen_cpu.fast_record import Record
from tilewright.codegen_cpu.fast_spec import (
    Argument,
    ArrayArgument,
    CellGuard,
    FastSpec,
    GlobalGuard,
    Linear,
    Open,
    Output,
    ScalarArgument,
    StaticArgument,
)
from tilewright.codegen_cpu.fastcall import Dispatcher, OrdinaryCalls, make_dispatcher
from tilewright.codegen_cpu.fastcall_ir import CALLABLE_BYTES, MAX_RECORDS
from tilewright.codegen_cpu.jit import LoadedObject, compile_object, load_object
from tilewright.codegen_cpu.target import host_target
from tilewright.ir.errors import IRError

pytestmark = pytest.mark.skipif(
    python_abi.unusable() is not None, reason=f"not made for {python_abi.unusable()}"
)

F32 = np.dtype(np.float32)
F64 = np.dtype(np.float64)
I64 = np.dtype(np.int64)

ENTRY = "define i32 @tw_main(ptr %runtime, ptr %args, ptr %symbols, ptr %workspace) nounwind"


def build(body: str) -> LoadedObject:
    return load_object(compile_object(f"{ENTRY} {{\n{body}\n}}\n", host_target()))


def load_pointers(*names: str) -> str:
    return "".join(
        f"%{name}_at = getelementptr ptr, ptr %args, i64 {k}\n%{name} = load ptr, ptr %{name}_at\n"
        for k, name in enumerate(names)
    )


def add3(count: str) -> LoadedObject:
    """out[i] = a[i] + b[i] + c[i] for float32 and `count` elements, a literal or ``%n``."""
    return build(f"""
      %n = load i64, ptr %symbols
      {load_pointers("a", "b", "c", "out")}
      br label %loop
    loop:
      %i = phi i64 [ 0, %0 ], [ %i_next, %body ]
      %more = icmp slt i64 %i, {count}
      br i1 %more, label %body, label %done
    body:
      %i_next = add i64 %i, 1
      %a_i = getelementptr float, ptr %a, i64 %i
      %b_i = getelementptr float, ptr %b, i64 %i
      %c_i = getelementptr float, ptr %c, i64 %i
      %out_i = getelementptr float, ptr %out, i64 %i
      %x = load float, ptr %a_i
      %y = load float, ptr %b_i
      %z = load float, ptr %c_i
      %xy = fadd float %x, %y
      %xyz = fadd float %xy, %z
      store float %xyz, ptr %out_i
      br label %loop
    done:
      ret i32 0""")


class Kernel(FastCallable):
    """Counts the calls that take the slow path."""

    def __init__(self) -> None:
        self.slow_calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.slow_calls.append((args, kwargs))
        return "slow"


def unexpected(status: int, *arguments: object) -> None:
    raise AssertionError(f"status {status}")


@pytest.fixture(scope="module")
def dispatcher() -> Dispatcher:
    made = make_dispatcher()
    assert isinstance(made, Dispatcher)
    return made


@pytest.fixture
def kernel() -> Kernel:
    return Kernel()


def add3_spec(shape: tuple[int, ...] = (4, 6), **changes: Any) -> FastSpec:
    code = add3(str(int(np.prod(shape))))
    argument = ArrayArgument(F32, shape)
    fields: dict[str, Any] = {
        "arguments": (argument,) * 3,
        "outputs": (Output(F32, shape),),
        "entry": code.address(),
        "on_error": unexpected,
        "keep": (code,),
    }
    return FastSpec(**fields | changes)


def arrays(count: int, shape: tuple[int, ...], seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(F32) for _ in range(count)]


@pytest.fixture
def add(dispatcher: Dispatcher, kernel: Kernel) -> Kernel:
    """A kernel that adds three float32 arrays of shape (4, 6)."""
    dispatcher.install(kernel, Record(add3_spec()))
    return kernel


# --- results ---------------------------------------------------------------------------------


def test_result_is_a_new_array_and_arguments_stay(add: Kernel) -> None:
    a, b, c = arrays(3, (4, 6))
    copies = [x.copy() for x in (a, b, c)]
    result = add(a, b, c)
    np.testing.assert_array_equal(result, a + b + c)
    assert (result.dtype, result.shape, result.flags.c_contiguous) == (F32, (4, 6), True)
    assert result.flags.owndata
    for x, copy in zip((a, b, c), copies, strict=True):
        np.testing.assert_array_equal(x, copy)
    assert add(a, b, c) is not result
    assert add.slow_calls == []


def test_the_same_array_may_be_several_arguments(add: Kernel) -> None:
    (a,) = arrays(1, (4, 6))
    np.testing.assert_array_equal(add(a, a, a), a + a + a)


def test_a_call_with_unpacked_arguments_is_as_good(add: Kernel) -> None:
    given = arrays(3, (4, 6))
    np.testing.assert_array_equal(add(*given), sum(given))
    np.testing.assert_array_equal(next(map(add, *[[x] for x in given])), sum(given))
    assert add.slow_calls == []


def test_out_is_written_and_returned(add: Kernel) -> None:
    a, b, c = arrays(3, (4, 6))
    out = np.zeros((4, 6), F32)
    assert add(a, b, c, out=out) is out
    np.testing.assert_array_equal(out, a + b + c)
    assert add.slow_calls == []


def test_tuple_of_outputs_with_a_scalar(dispatcher: Dispatcher, kernel: Kernel) -> None:
    code = build(f"""{load_pointers("x", "double", "first")}
      %v = load float, ptr %x
      %w = fadd float %v, %v
      store float %w, ptr %double
      store float %v, ptr %first
      ret i32 0""")
    outputs = (Output(F32, (1,)), Output(F32, (), as_scalar=True))
    spec = FastSpec(
        (ArrayArgument(F32, (1,)),), outputs, code.address(), unexpected, result="tuple"
    )
    dispatcher.install(kernel, Record(spec))
    result = kernel(np.array([1.5], F32))
    assert type(result) is tuple
    np.testing.assert_array_equal(result[0], np.array([3.0], F32))
    assert type(result[1]) is np.float32
    assert result[1] == 1.5


def test_an_output_without_axes_can_stay_an_array(dispatcher: Dispatcher, kernel: Kernel) -> None:
    code = build(f"""{load_pointers("x", "out")}
      %v = load float, ptr %x
      store float %v, ptr %out
      ret i32 0""")
    spec = FastSpec(
        (ArrayArgument(F32, ()),), (Output(F32, ()),), code.address(), unexpected, keep=(code,)
    )
    dispatcher.install(kernel, Record(spec))
    result = kernel(np.array(2.5, F32))
    assert type(result) is np.ndarray
    assert result == 2.5


def test_constants_follow_the_outputs(dispatcher: Dispatcher, kernel: Kernel) -> None:
    code = build(f"""{load_pointers("x", "out", "table")}
      %v = load float, ptr %x
      %w = load float, ptr %table
      %s = fadd float %v, %w
      store float %s, ptr %out
      ret i32 0""")
    table = np.array([40], F32)
    spec = FastSpec(
        (ArrayArgument(F32, (1,)),),
        (Output(F32, (1,)),),
        code.address(),
        unexpected,
        constants=(table.ctypes.data,),
        keep=(code, table),
    )
    dispatcher.install(kernel, Record(spec))
    assert kernel(np.array([2], F32)) == 42


def test_workspace_is_aligned_and_as_large_as_asked(dispatcher: Dispatcher, kernel: Kernel) -> None:
    code = build(f"""{load_pointers("x", "out")}
      call void @llvm.memset.p0.i64(ptr %workspace, i8 1, i64 1000, i1 false)
      %address = ptrtoint ptr %workspace to i64
      store i64 %address, ptr %out
      ret i32 0
    }}
    declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
    define void @unused() {{
      ret void""")
    spec = FastSpec(
        (ArrayArgument(F32, (1,)),),
        (Output(I64, (1,)),),
        code.address(),
        unexpected,
        workspace_bytes=1000,
        keep=(code,),
    )
    dispatcher.install(kernel, Record(spec))
    (address,) = kernel(np.zeros(1, F32))
    assert address
    assert address % 64 == 0


# --- open axes -------------------------------------------------------------------------------


def open_spec(output: tuple[int | Linear, ...] = (Linear(0, 1, 0),)) -> FastSpec:
    code = add3("%n")
    shapes: tuple[Argument, ...] = (ArrayArgument(F32, (Open(0),)),) * 3
    return FastSpec(shapes, (Output(F32, output),), code.address(), unexpected, keep=(code,))


@pytest.mark.parametrize("size", [0, 1, 5, 1000])
def test_open_axis_serves_every_size(dispatcher: Dispatcher, kernel: Kernel, size: int) -> None:
    dispatcher.install(kernel, Record(open_spec()))
    a, b, c = arrays(3, (size,))
    np.testing.assert_array_equal(kernel(a, b, c), a + b + c)
    out = np.empty(size, F32)
    assert kernel(a, b, c, out=out) is out
    np.testing.assert_array_equal(out, a + b + c)
    assert kernel.slow_calls == []


def test_a_symbol_is_the_same_wherever_it_occurs(dispatcher: Dispatcher, kernel: Kernel) -> None:
    dispatcher.install(kernel, Record(open_spec()))
    a, b, _ = arrays(3, (5,))
    assert kernel(a, b, np.zeros(4, F32)) == "slow"
    assert kernel(np.zeros(4, F32), b, b) == "slow"


def test_output_sizes_are_linear_in_symbols(dispatcher: Dispatcher, kernel: Kernel) -> None:
    code = build("ret i32 0")
    arguments = (ArrayArgument(F32, (Open(0), Open(1))), ArrayArgument(F32, (Open(1), 3)))
    shape = (Linear(-2, 1, 0), Linear(1, 2, 1), 7)
    spec = FastSpec(arguments, (Output(F32, shape),), code.address(), unexpected, keep=(code,))
    dispatcher.install(kernel, Record(spec))
    assert kernel(np.zeros((5, 4), F32), np.zeros((4, 3), F32)).shape == (3, 9, 7)
    assert kernel(np.zeros((2, 4), F32), np.zeros((4, 3), F32)).shape == (0, 9, 7)
    assert kernel(np.zeros((1, 4), F32), np.zeros((4, 3), F32)) == "slow"  # size -1
    wrong = np.zeros((3, 9, 8), F32)
    assert kernel(np.zeros((5, 4), F32), np.zeros((4, 3), F32), out=wrong) == "slow"


# --- what goes the slow way ------------------------------------------------------------------


def misaligned(shape: tuple[int, ...]) -> np.ndarray:
    size = int(np.prod(shape)) * 4
    return np.zeros(size + 1, np.uint8)[1:].view(F32).reshape(shape)


class Subclass(np.ndarray):
    pass


MISFITS: dict[str, Any] = {
    "dtype": np.zeros((4, 6), np.float64),
    "byte order": np.zeros((4, 6), ">f4"),
    "shape": np.zeros((6, 4), F32),
    "fewer axes": np.zeros(24, F32),
    "more axes": np.zeros((4, 6, 1), F32),
    "Fortran order": np.zeros((6, 4), F32).T,
    "strided": np.zeros((4, 12), F32)[:, ::2],
    "negative strides": np.zeros((4, 6), F32)[::-1],
    "misaligned": misaligned((4, 6)),
    "subclass": np.zeros((4, 6), F32).view(Subclass),
    "masked": np.ma.zeros((4, 6), F32),
    "list": [[0.0] * 6] * 4,
    "scalar": 1.0,
    "NumPy scalar": np.float32(1),
    "None": None,
}


@pytest.mark.parametrize("position", [0, 1, 2])
@pytest.mark.parametrize("name", MISFITS)
def test_an_argument_that_does_not_fit(add: Kernel, name: str, position: int) -> None:
    given = arrays(3, (4, 6))
    given[position] = MISFITS[name]
    assert add(*given) == "slow"
    ((seen, keywords),) = add.slow_calls
    assert all(x is y for x, y in zip(seen, given, strict=True))
    assert keywords == {}


@pytest.mark.parametrize("count", [0, 1, 2, 4, 50])
def test_another_number_of_arguments(add: Kernel, count: int) -> None:
    given = arrays(count, (4, 6))
    assert add(*given) == "slow"
    assert len(add.slow_calls[0][0]) == count


def test_keywords_reach_the_slow_path_untouched(add: Kernel) -> None:
    a, b, c = arrays(3, (4, 6))
    out = np.empty((4, 6), F32)
    assert add(a, b, c=c) == "slow"
    assert add(a=a, b=b, c=c) == "slow"
    assert add(a, b, c, out=out, where=True) == "slow"
    assert add(a, b, c, where=out) == "slow"
    assert [(len(args), list(kw)) for args, kw in add.slow_calls] == [
        (2, ["c"]),
        (0, ["a", "b", "c"]),
        (3, ["out", "where"]),
        (3, ["where"]),
    ]


@pytest.mark.parametrize("name", [*MISFITS, "read-only"])
def test_out_that_does_not_fit(add: Kernel, name: str) -> None:
    readonly = np.zeros((4, 6), F32)
    readonly.flags.writeable = False
    out = readonly if name == "read-only" else MISFITS[name]
    assert add(*arrays(3, (4, 6)), out=out) == "slow"
    assert add.slow_calls[0][1]["out"] is out


@pytest.mark.parametrize("offset", [0, 1, 23])
def test_out_that_overlaps_an_argument(add: Kernel, offset: int) -> None:
    memory = np.zeros(48, F32)
    a, b, _ = arrays(3, (4, 6))
    argument = memory[:24].reshape(4, 6)
    out = memory[offset : offset + 24].reshape(4, 6)
    assert add(a, b, argument, out=out) == "slow"
    assert add(a, b, out, out=argument) == "slow"


def test_out_next_to_an_argument(add: Kernel) -> None:
    memory = np.ones(48, F32)
    argument, out = memory[:24].reshape(4, 6), memory[24:].reshape(4, 6)
    assert add(argument, argument, argument, out=out) is out
    assert memory[:24].tolist() == [1] * 24
    assert memory[24:].tolist() == [3] * 24
    assert add(out, out, out, out=argument) is argument
    assert memory[:24].tolist() == [9] * 24
    assert add.slow_calls == []


def test_strided_argument_fits_exactly_its_strides(dispatcher: Dispatcher, kernel: Kernel) -> None:
    code = build(f"""{load_pointers("x", "out")}
      %second_at = getelementptr i8, ptr %x, i64 -8
      %second = load float, ptr %second_at
      store float %second, ptr %out
      ret i32 0""")
    spec = FastSpec(
        (ArrayArgument(F32, (3,), strides=(-8,)),),
        (Output(F32, (1,)),),
        code.address(),
        unexpected,
        keep=(code,),
    )
    dispatcher.install(kernel, Record(spec))
    memory = np.arange(6, dtype=F32)
    assert kernel(memory[::-2]) == 3  # 5, 3, 1
    assert kernel(memory[::2]) == "slow"
    assert kernel(memory[:3]) == "slow"
    assert kernel(memory[::-2], out=np.empty(1, F32)) == "slow"


# --- scalars and static arguments ------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "fits", "misfits"),
    [
        (np.float64, [0.0, -1.5, 1e300, float("inf")], [1, True, np.float64(1), None, "1"]),
        (np.float32, [0.0, -1.5, 0.1], [1, np.float32(1)]),
        (np.int8, [0, -128, 127], [128, -129, 1.0, True, 1 << 70]),
        (np.uint8, [0, 255], [-1, 256]),
        (np.int64, [-(1 << 63), (1 << 63) - 1], [1 << 63, -(1 << 63) - 1]),
        (np.uint64, [0, (1 << 63) - 1], [-1, 1 << 63]),
    ],
)
def test_python_scalars_are_boxed(
    dispatcher: Dispatcher, kernel: Kernel, dtype: type, fits: list[Any], misfits: list[Any]
) -> None:
    item = np.dtype(dtype)
    code = build(f"""{load_pointers("x", "out")}
      call void @llvm.memcpy.p0.p0.i64(ptr %out, ptr %x, i64 {item.itemsize}, i1 false)
      ret i32 0
    }}
    declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
    define void @unused() {{
      ret void""")
    outputs = (Output(item, (), as_scalar=True),)
    spec = FastSpec((ScalarArgument(item),), outputs, code.address(), unexpected, keep=(code,))
    dispatcher.install(kernel, Record(spec))
    for value in fits:
        result = kernel(value)
        assert type(result) is item.type
        assert result == item.type(value)
    assert kernel.slow_calls == []
    for value in misfits:
        assert kernel(value) == "slow", value


def test_static_arguments_are_compared(dispatcher: Dispatcher, kernel: Kernel) -> None:
    big = 123_456_789
    statics = (StaticArgument(None), StaticArgument(True), StaticArgument(big), StaticArgument("x"))
    base = add3_spec()
    spec = add3_spec(arguments=(*statics[:2], *base.arguments, *statics[2:]))
    dispatcher.install(kernel, Record(spec))
    a, b, c = arrays(3, (4, 6))
    np.testing.assert_array_equal(kernel(None, True, a, b, c, int(str(big)), "x"), a + b + c)
    assert kernel(None, 1, a, b, c, big, "x") == "slow"
    assert kernel(None, True, a, b, c, big + 1, "x") == "slow"
    assert kernel(None, True, a, b, c, float(big), "x") == "slow"
    assert kernel(0, True, a, b, c, big, "x") == "slow"
    assert kernel(None, True, a, b, c, big, "y") == "slow"


def test_static_int_of_more_than_64_bits(dispatcher: Dispatcher, kernel: Kernel) -> None:
    arguments = (StaticArgument(1 << 70), *add3_spec().arguments)
    dispatcher.install(kernel, Record(add3_spec(arguments=arguments)))
    assert kernel(0, *arrays(3, (4, 6))) == "slow"
    assert kernel((1 << 70) + 1, *arrays(3, (4, 6))) == "slow"


# --- several records, guards -----------------------------------------------------------------


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


# --- errors ----------------------------------------------------------------------------------


STATUS = """
  %p = load ptr, ptr %args
  %v = load i32, ptr %p
  ret i32 %v"""


def failing(on_error: Any, **changes: Any) -> FastSpec:
    code = build(STATUS)
    arguments = (ScalarArgument(np.dtype(np.int32)), ArrayArgument(F32, (2,)))
    outputs = (Output(F32, (3,)),)
    return FastSpec(arguments, outputs, code.address(), on_error, keep=(code,), **changes)


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


# --- memory ----------------------------------------------------------------------------------


def test_reference_counts_and_memory_are_stable(dispatcher: Dispatcher, kernel: Kernel) -> None:
    dispatcher.install(kernel, Record(failing(lambda status, *_: None)))
    add = Kernel()
    dispatcher.install(add, record := Record(add3_spec()))
    given = arrays(3, (4, 6))
    out = np.empty((4, 6), F32)
    x = np.zeros(2, F32)

    def calls() -> None:
        for _ in range(500):
            add(*given)
            add(*given, out=out)
            kernel(5_000, x)
            add(1, 2)
        add.slow_calls.clear()

    watched = [*given, out, x, record, F32, add, kernel, None]
    calls()
    tracemalloc.start()
    calls()
    gc.collect()
    before = [sys.getrefcount(value) for value in watched]
    start = tracemalloc.get_traced_memory()[0]
    calls()
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - start
    tracemalloc.stop()
    after = [sys.getrefcount(value) for value in watched]
    assert all(abs(x - y) < 20 for x, y in zip(before, after, strict=True)), (before, after)
    assert grown < 2000


def test_the_result_owns_its_only_reference(add: Kernel) -> None:
    result = add(*arrays(3, (4, 6)))
    assert sys.getrefcount(result) == 2
    dropped = weakref.ref(result)
    del result
    assert dropped() is None


def test_a_kernel_and_its_records_die_together(dispatcher: Dispatcher) -> None:
    kernel, record = Kernel(), Record(add3_spec())
    dispatcher.install(kernel, record)
    assert kernel(*arrays(3, (4, 6))) is not None
    assert kernel() == "slow"
    watched = weakref.ref(record)
    del kernel, record
    gc.collect()
    assert watched() is None


# --- threads and processes -------------------------------------------------------------------

# Sleeps by polling the clock: out[0] = 1 after `symbol 0` (the length of x) milliseconds.
WAIT = f"""{load_pointers("x", "out")}
  %milliseconds = load i64, ptr %symbols
  %limit = mul i64 %milliseconds, 1000000
  %time = alloca [2 x i64]
  %nanoseconds_at = getelementptr i64, ptr %time, i64 1
  %s0 = call i32 @clock_gettime(i32 1, ptr %time)
  %start_s = load i64, ptr %time
  %start_n = load i64, ptr %nanoseconds_at
  br label %poll
poll:
  %s1 = call i32 @clock_gettime(i32 1, ptr %time)
  %s = load i64, ptr %time
  %n = load i64, ptr %nanoseconds_at
  %ds = sub i64 %s, %start_s
  %dn = sub i64 %n, %start_n
  %ds_n = mul i64 %ds, 1000000000
  %passed = add i64 %ds_n, %dn
  %early = icmp slt i64 %passed, %limit
  br i1 %early, label %poll, label %done
done:
  store float 1.0, ptr %out
  ret i32 0
}}
declare i32 @clock_gettime(i32, ptr)
define void @unused() {{
  ret void"""
needs_clock = pytest.mark.skipif(sys.platform != "linux", reason="polls Linux's clock")


def waiting(long_running: bool) -> FastSpec:
    code = build(WAIT.replace("{{", "{").replace("}}", "}"))
    return FastSpec(
        (ArrayArgument(F32, (Open(0),)),),
        (Output(F32, (1,)),),
        code.address(),
        unexpected,
        long_running=long_running,
        keep=(code,),
    )


def until_busy(kernel: Kernel) -> None:
    """Wait until another thread's call is under way: calls beside it take the slow path."""
    deadline = time.monotonic() + 60
    while kernel(np.zeros(1, F32)) != "slow":
        assert time.monotonic() < deadline
        time.sleep(0.001)


def long_call(kernel: Kernel) -> Any:
    """A call of 300 ms by the fast path: again, where a short call of `until_busy` was in it."""
    while isinstance(result := kernel(np.zeros(300, F32)), str):
        pass
    return result


@needs_clock
@pytest.mark.parametrize("long_running", [False, True])
def test_long_running_code_releases_the_gil(
    dispatcher: Dispatcher, kernel: Kernel, long_running: bool
) -> None:
    dispatcher.install(kernel, Record(waiting(long_running)))
    ticks: list[float] = []
    stop = threading.Event()

    def tick() -> None:
        while not stop.wait(0.001):
            ticks.append(time.perf_counter())

    thread = threading.Thread(target=tick)
    thread.start()
    time.sleep(0.01)
    start = time.perf_counter()
    kernel(np.zeros(200, F32))
    end = time.perf_counter()
    stop.set()
    thread.join()
    during = sum(start + 0.02 < at < end - 0.02 for at in ticks)
    assert during > 5 if long_running else during == 0


@needs_clock
def test_a_busy_record_sends_other_threads_the_slow_way(
    dispatcher: Dispatcher, kernel: Kernel
) -> None:
    dispatcher.install(kernel, Record(waiting(True)))
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(long_call(kernel)))
    thread.start()
    until_busy(kernel)
    assert kernel(np.zeros(1, F32)) == "slow"
    thread.join()
    np.testing.assert_array_equal(results[0], [1])
    np.testing.assert_array_equal(kernel(np.zeros(1, F32)), [1])


@needs_clock
def test_a_record_may_be_dropped_while_it_runs(dispatcher: Dispatcher, kernel: Kernel) -> None:
    record = Record(waiting(True))
    dispatcher.install(kernel, record)
    alive = weakref.ref(record)
    del record
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(long_call(kernel)))
    thread.start()
    until_busy(kernel)
    dispatcher.clear(kernel)
    gc.collect()
    assert alive() is not None
    thread.join()
    np.testing.assert_array_equal(results[0], [1])
    gc.collect()
    assert alive() is None


@needs_clock
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_a_forked_child_does_not_inherit_busy_records(
    dispatcher: Dispatcher, kernel: Kernel
) -> None:
    dispatcher.install(kernel, Record(waiting(True)))
    thread = threading.Thread(target=lambda: long_call(kernel))
    thread.start()
    until_busy(kernel)
    child = os.fork()
    if child == 0:
        os._exit(0 if isinstance(kernel(np.zeros(1, F32)), np.ndarray) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    thread.join()


@pytest.mark.parametrize("long_running", [False, True])
def test_many_threads_call_one_kernel(dispatcher: Dispatcher, long_running: bool) -> None:
    class Falling(FastCallable):
        def __call__(self, a: np.ndarray, b: np.ndarray, c: np.ndarray) -> Any:
            return a + b + c

    kernel = Falling()
    dispatcher.install(kernel, Record(add3_spec((100, 100), long_running=long_running)))
    wrong: list[int] = []

    def work(seed: int) -> None:
        a, b, c = arrays(3, (100, 100), seed)
        expected = a + b + c
        wrong.extend(seed for _ in range(100) if not np.array_equal(kernel(a, b, c), expected))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_records_change_while_threads_call(dispatcher: Dispatcher, kernel: Kernel) -> None:
    stop = threading.Event()
    wrong: list[object] = []

    def work(size: int) -> None:
        given = arrays(3, (size,))
        while not stop.is_set():
            result = kernel(*given)
            if not isinstance(result, str) and not np.array_equal(result, sum(given)):
                wrong.append(result)

    threads = [threading.Thread(target=work, args=(size,)) for size in (1, 2, 3, 4)]
    for thread in threads:
        thread.start()
    specs = [add3_spec((size,), long_running=size % 2 == 0) for size in (1, 2, 3, 4, 5, 6)]
    for turn in range(600):
        dispatcher.install(kernel, Record(specs[turn % len(specs)]))
        if turn % 50 == 0:
            dispatcher.clear(kernel)
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []


# --- fallbacks -------------------------------------------------------------------------------


def test_before_anything_is_installed_calls_are_ordinary(kernel: Kernel) -> None:
    assert kernel(1, x=2) == "slow"
    assert kernel.slow_calls == [((1,), {"x": 2})]


def test_unknown_builds_get_ordinary_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python_abi, "unusable", lambda: "a debug build of Python")
    calls = make_dispatcher()
    assert isinstance(calls, OrdinaryCalls)
    assert (
        calls.description == "calls through Python (fallback: not made for a debug build of Python)"
    )
    kernel = Kernel()
    calls.install(kernel, Record(add3_spec()))
    assert kernel(*arrays(3, (4, 6))) == "slow"


@pytest.mark.parametrize(
    ("offset", "field"), [("ARRAY_NDIM", "ndim"), ("ARRAY_DTYPE", "dtype"), ("ARRAY_DATA", "data")]
)
def test_a_moved_field_is_noticed(monkeypatch: pytest.MonkeyPatch, offset: str, field: str) -> None:
    monkeypatch.setattr(python_abi, offset, python_abi.ARRAY_FLAGS)
    reason = python_abi.unusable.__wrapped__()
    assert reason is not None
    assert "the layout of NumPy" in reason
    assert field in reason


def test_the_base_type_is_where_the_code_expects_it() -> None:
    assert FastCallable.__basicsize__ >= CALLABLE_BYTES
    assert accepts_records(Kernel())
    flags = ctypes.c_ulong.from_address(id(Kernel) + 168).value
    assert flags == Kernel.__flags__
