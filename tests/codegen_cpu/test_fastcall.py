"""Calls through the dispatcher: right results."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from tests.codegen_cpu.fastcall_kernels import (
    F32,
    I64,
    Kernel,
    add3_spec,
    arrays,
    build,
    load_pointers,
    open_spec,
    unexpected,
)
from tilewright.codegen_cpu import python_abi
from tilewright.codegen_cpu.fast_record import Record
from tilewright.codegen_cpu.fast_spec import (
    ArrayArgument,
    FastSpec,
    Linear,
    Open,
    Output,
    ScalarArgument,
    StaticArgument,
)
from tilewright.codegen_cpu.fastcall import Dispatcher
from tilewright.ir.errors import IRError

pytestmark = pytest.mark.skipif(
    python_abi.unusable() is not None, reason=f"not made for {python_abi.unusable()}"
)


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


def test_nothing_along_an_open_axis_goes_the_general_way(
    dispatcher: Dispatcher, kernel: Kernel
) -> None:
    """Which gives kernels something to read where no element is."""
    dispatcher.install(kernel, Record(open_spec()))
    assert kernel(*arrays(3, (0,))) == "slow"


@pytest.mark.parametrize("size", [1, 5, 1000])
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


def test_symbols_have_least_values(dispatcher: Dispatcher, kernel: Kernel) -> None:
    code = build("ret i32 0")
    arguments = (ArrayArgument(F32, (Open(0), Open(1))),)
    outputs = (Output(F32, (7,)),)
    spec = FastSpec(arguments, outputs, code.address(), unexpected, keep=(code,), least=(2, 1))
    dispatcher.install(kernel, Record(spec))
    for shape, served in (((2, 1), True), ((1, 1), False), ((2, 0), False), ((9, 9), True)):
        kernel.slow_calls.clear()
        kernel(np.zeros(shape, F32))
        assert served is not bool(kernel.slow_calls)


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


def test_a_tuple_of_outputs_is_made_a_result(dispatcher: Dispatcher, kernel: Kernel) -> None:
    seen: list[tuple[np.ndarray, ...]] = []

    def listed(outputs: tuple[np.ndarray, ...]) -> object:
        seen.append(outputs)
        if outputs[0][0, 0] < 0:
            raise ValueError("negative")
        return [*outputs, "made"]

    dispatcher.install(kernel, Record(add3_spec(result="tuple", on_result=listed)))
    a, b, c = arrays(3, (4, 6))
    result = kernel(abs(a), abs(b), abs(c))
    np.testing.assert_array_equal(result[0], abs(a) + abs(b) + abs(c))
    assert result[1:] == ["made"]
    with pytest.raises(ValueError, match=r"^negative$"):
        kernel(-abs(a), -abs(b), -abs(c))
    assert kernel.slow_calls == []
    outputs = seen.pop(0)
    del seen[:], result
    references = sys.getrefcount(outputs), sys.getrefcount(outputs[0])
    assert references == (2, 2)
    with pytest.raises(IRError, match="a result is made of a tuple of outputs"):
        add3_spec(on_result=listed)
