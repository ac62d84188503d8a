"""Calls through the dispatcher: what does not fit goes the slow way."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import pytest

from tests.codegen_cpu.fastcall_kernels import (
    F32,
    VIEWS,
    Kernel,
    add3_spec,
    arrays,
    build,
    load_pointers,
    unexpected,
)
from tilewright.codegen_cpu import python_abi
from tilewright.codegen_cpu.fast_callable import CALLABLE_BYTES, FastCallable, accepts_records
from tilewright.codegen_cpu.fast_record import Record
from tilewright.codegen_cpu.fast_spec import (
    ArrayArgument,
    FastSpec,
    Output,
    ScalarArgument,
)
from tilewright.codegen_cpu.fastcall import Dispatcher, OrdinaryCalls, make_dispatcher

pytestmark = pytest.mark.skipif(
    python_abi.unusable() is not None, reason=f"not made for {python_abi.unusable()}"
)


class Subclass(np.ndarray):
    pass


MISFITS: dict[str, Any] = {
    "dtype": np.zeros((4, 6), np.float64),
    "byte order": np.zeros((4, 6), ">f4"),
    "shape": np.zeros((6, 4), F32),
    "fewer axes": np.zeros(24, F32),
    "more axes": np.zeros((4, 6, 1), F32),
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


READ_ONLY = np.zeros((4, 6), F32)
READ_ONLY.flags.writeable = False


@pytest.mark.parametrize("out", [*MISFITS.values(), READ_ONLY, *VIEWS.values()])
def test_out_that_does_not_fit(add: Kernel, out: Any) -> None:
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


INT32 = (-(1 << 31), (1 << 31) - 1)


@pytest.mark.parametrize(
    ("limits", "fitting", "outside"),
    [
        ((-3, 7), (-3, 0, 7), (-4, 8)),
        ((5, 1 << 40), (5, INT32[1]), (4, INT32[1] + 1)),
        ((-(1 << 40), 0), (INT32[0], 0), (INT32[0] - 1, 1)),
        (None, INT32, (INT32[0] - 1, INT32[1] + 1, 1 << 63, -(1 << 70))),
    ],
)
def test_a_number_outside_of_its_limits(
    dispatcher: Dispatcher,
    kernel: Kernel,
    limits: tuple[int, int] | None,
    fitting: tuple[int, ...],
    outside: tuple[int, ...],
) -> None:
    """Of its own, where they are given, and of its dtype."""
    code = build(f"""{load_pointers("n", "out")}
      %value = load i32, ptr %n
      store i32 %value, ptr %out
      ret i32 0""")
    argument = ScalarArgument(np.dtype(np.int32), limits)
    output = Output(np.dtype(np.int32), (1,))
    spec = FastSpec((argument,), (output,), code.address(), unexpected, keep=(code,))
    dispatcher.install(kernel, Record(spec))
    assert [int(kernel(n)[0]) for n in fitting] == list(fitting)
    assert [kernel(n) for n in outside] == ["slow"] * len(outside)
