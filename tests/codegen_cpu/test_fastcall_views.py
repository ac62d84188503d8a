"""Calls through the dispatcher: arguments by name, and arrays that must be copied."""

from __future__ import annotations

import gc
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from tests.codegen_cpu.fastcall_kernels import F32, VIEWS, Kernel, add3_spec, arrays
from tilewright.codegen_cpu import python_abi
from tilewright.codegen_cpu.fast_record import Record
from tilewright.codegen_cpu.fast_spec import ArrayArgument
from tilewright.codegen_cpu.fastcall import Dispatcher
from tilewright.codegen_cpu.fastcall_ir import MAX_NAMES

pytestmark = pytest.mark.skipif(
    python_abi.unusable() is not None, reason=f"not made for {python_abi.unusable()}"
)
NAMES = ("a", "b", "c")
LONG_NAMES = ("a", "b", "long")


@pytest.fixture
def named(dispatcher: Dispatcher, kernel: Kernel) -> Kernel:
    """As `add`, with parameters that have names."""
    dispatcher.install(kernel, Record(add3_spec(names=NAMES)))
    return kernel


@pytest.mark.parametrize("by_position", [0, 1, 2])
@pytest.mark.parametrize("order", [1, -1])
def test_arguments_by_name(named: Kernel, by_position: int, order: int) -> None:
    given = [x * 10.0**k for k, x in enumerate(arrays(3, (4, 6)))]
    rest = dict(list(zip(NAMES, given, strict=True))[by_position:][::order])
    expected = given[0] + given[1] + given[2]
    np.testing.assert_array_equal(named(*given[:by_position], **rest), expected)
    out = np.empty((4, 6), F32)
    assert named(*given[:by_position], out=out, **rest) is out
    assert named(*given[:by_position], **rest, out=out) is out
    np.testing.assert_array_equal(out, expected)
    assert named.slow_calls == []


def test_each_name_goes_to_its_parameter(dispatcher: Dispatcher, kernel: Kernel) -> None:
    shapes = [(2, 3), (3, 2), (6,)]
    arguments = tuple(ArrayArgument(F32, shape) for shape in shapes)
    dispatcher.install(kernel, Record(add3_spec((6,), names=NAMES, arguments=arguments)))
    a, b, c = (np.ones(shape, F32) for shape in shapes)
    assert kernel(c=c, a=a, b=b).tolist() == [3] * 6
    assert kernel(c=a, a=c, b=b) == "slow"


@pytest.mark.parametrize(
    ("count", "names"),
    [
        (0, "ab"),  # one is missing
        (2, ""),
        (2, "d"),  # no parameter is called so
        (3, "a"),  # given twice
        (1, "ac"),
        (0, "abcd"),
        (4, ""),
    ],
)
def test_names_that_do_not_fit_reach_the_slow_path_untouched(
    named: Kernel, count: int, names: str
) -> None:
    given = arrays(count, (4, 6))
    keywords = {name: np.ones((4, 6), F32) for name in names}
    assert named(*given, **keywords) == "slow"
    ((seen, seen_keywords),) = named.slow_calls
    assert all(x is y for x, y in zip(seen, given, strict=True))
    assert list(seen_keywords) == list(names)
    assert all(seen_keywords[n] is keywords[n] for n in names)


def test_a_name_made_at_run_time_goes_the_slow_way(dispatcher: Dispatcher, kernel: Kernel) -> None:
    a, b, c = arrays(3, (4, 6))
    dispatcher.install(kernel, Record(add3_spec(names=LONG_NAMES)))
    name = "".join(["lo", "ng"])
    assert name is not sys.intern("long")
    assert kernel(a, b, **{name: c}) == "slow"
    np.testing.assert_array_equal(kernel(a, b, long=c), a + b + c)


def test_too_many_parameters_have_no_names(dispatcher: Dispatcher, kernel: Kernel) -> None:
    many = tuple(f"p{k}" for k in range(MAX_NAMES + 1))
    assert Record(add3_spec(names=many)).names == ()
    dispatcher.install(kernel, Record(add3_spec()))
    given = arrays(MAX_NAMES + 8, (4, 6))
    assert kernel(*given, out=np.empty((4, 6), F32)) == "slow"


@pytest.mark.parametrize("position", [0, 1, 2])
@pytest.mark.parametrize("name", VIEWS)
def test_a_view_is_copied_for_the_call(add: Kernel, name: str, position: int) -> None:
    given = arrays(3, (4, 6))
    given[position] = view = VIEWS[name]
    gc.collect()  # earlier tests had the same views
    before, references = view.copy(), sys.getrefcount(view)
    result = add(*given)
    np.testing.assert_array_equal(result, given[0] + given[1] + given[2])
    np.testing.assert_array_equal(view, before)
    assert sys.getrefcount(view) == references
    assert add.slow_calls == []


def test_all_arguments_may_be_views(named: Kernel) -> None:
    a, b, c = (VIEWS[n] for n in ("strided", "broadcast", "misaligned"))
    np.testing.assert_array_equal(named(a, b, c), a + b + c)
    np.testing.assert_array_equal(named(c=c, b=b, a=a), a + b + c)
    assert named.slow_calls == []


def test_out_may_lie_over_a_view_that_is_copied(add: Kernel) -> None:
    """As if all arguments had been copied before anything is written."""
    memory = np.arange(24, dtype=F32).reshape(4, 6)
    view = memory[::-1]
    expected = view * 3
    assert add(view, view, view, out=memory) is memory
    np.testing.assert_array_equal(memory, expected)
    assert add.slow_calls == []


def test_a_view_of_another_shape_does_not_fit(add: Kernel) -> None:
    a, b, _ = arrays(3, (4, 6))
    assert add(a, b, np.zeros((12, 4), F32).T) == "slow"
    assert add(a, b, np.zeros((4, 12), np.float64)[:, ::2]) == "slow"


def test_without_memory_for_a_copy_the_slow_path_decides(
    dispatcher: Dispatcher, kernel: Kernel
) -> None:
    shape = (1 << 24, 1 << 24)  # a petabyte, should anybody make it
    arguments = tuple(ArrayArgument(F32, s) for s in ((4, 6), shape, (4, 6)))
    dispatcher.install(kernel, Record(add3_spec(names=NAMES, arguments=arguments)))
    a, _, c = arrays(3, (4, 6))
    assert kernel(VIEWS["strided"], np.broadcast_to(F32.type(0), shape), c) == "slow"
    assert kernel(a, np.broadcast_to(F32.type(0), shape), c=c) == "slow"
    assert len(kernel.slow_calls) == 2
    dispatcher.install(kernel, Record(add3_spec()))
    np.testing.assert_array_equal(kernel(VIEWS["strided"], a, c), VIEWS["strided"] + a + c)


@pytest.mark.parametrize("long_running", [False, True])
def test_threads_copy_views_at_once(dispatcher: Dispatcher, long_running: bool) -> None:
    """NumPy lets other threads run while it copies: they must not share a record's pointers."""
    kernel = Direct()
    dispatcher.install(kernel, Record(add3_spec((120, 100), long_running=long_running)))
    start = threading.Barrier(4)

    def calls(seed: int) -> None:
        a, b, c = (x.T for x in arrays(3, (100, 120), seed))
        expected = a + b + c
        start.wait()
        for _ in range(100):
            np.testing.assert_array_equal(kernel(a, b, c), expected)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(calls, range(4)))


class Direct(Kernel):
    """Its slow path is right, too."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return args[0] + args[1] + args[2]
