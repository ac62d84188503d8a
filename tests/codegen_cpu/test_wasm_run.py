"""Running: layout of the memory, growth and its limits, traps, and life after them."""

from __future__ import annotations

import builtins
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.codegen_cpu import wasm_programs as programs
from tilewright.codegen_cpu.wasm_module import LinkOptions
from tilewright.codegen_cpu.wasm_node import Node, _call_script, find_node, run_in_node
from tilewright.codegen_cpu.wasm_run import WasmFrame, WasmInstance, _signed32, plan_memory
from tilewright.ir.errors import DeviceError, IRError, LimitError

pytest.importorskip("wasmtime", reason="wasmtime is not installed")

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")


def test_plan_is_aligned_and_does_not_overlap() -> None:
    plan = plan_memory(100, [0, 1, 64, 65], symbol_count=3, workspace_size=10)
    assert plan.addresses == (128, 128, 192, 256)
    assert (plan.arguments, plan.symbols, plan.workspace, plan.end) == (384, 448, 512, 522)
    many = plan_memory(0, [4] * 40, symbol_count=1, workspace_size=4)
    assert many.symbols - many.arguments == 192  # 40 pointers of 4 bytes


def test_an_instance_runs_many_times_and_keeps_its_globals() -> None:
    instance = WasmInstance(programs.linked(programs.DATA))
    out = np.zeros(7, np.float32)
    for calls in (1, 2, 3):
        instance.run([], [out], symbols=[0])
        assert out[5] == calls


def test_memory_grows_once_and_is_reused() -> None:
    instance = WasmInstance(programs.linked(programs.AXPY))
    n = 1 << 18
    x, out = np.ones(n, np.float32), np.zeros(n, np.float32)
    before = instance.memory_size
    instance.run([np.array([2], np.float32), x, x], [out], symbols=[n])
    grown = instance.memory_size
    assert grown >= before + 3 * x.nbytes
    instance.run([np.array([2], np.float32), x, x], [out], symbols=[n])
    assert instance.memory_size == grown
    assert np.all(out == 3)


def test_constants_follow_the_outputs_and_stay() -> None:
    constant = np.array([0.5], np.float32)
    instance = WasmInstance(programs.linked(programs.ADD_CONSTANT), constants=[constant])
    constant[0] = 77  # the instance has its own copy
    out = np.zeros((), np.float32)
    for padding in (0, 1 << 20):
        instance.run([np.array([3], np.float32)], [out], workspace_size=padding)
        assert out == 3.5


@needs_node
def test_constants_in_node() -> None:
    out = np.zeros((), np.float32)
    module = programs.linked(programs.ADD_CONSTANT)
    times = run_in_node(
        find_node(),
        module,
        [np.array([3], np.float32)],
        [out],
        constants=[np.array([0.5], np.float32)],
        repeat=3,
    )
    assert out == 3.5
    assert len(times) == 3


def test_strided_arrays() -> None:
    instance = WasmInstance(programs.linked(programs.AXPY))
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    whole = np.zeros((8, 3), np.float32)
    out = whole[::-2].T
    instance.run([np.array([2], np.float32), x[::-1], x[:, ::-1]], [out], symbols=[12])
    np.testing.assert_array_equal(out, 2 * x[::-1] + x[:, ::-1])
    assert not whole[::2].any()


def test_addresses_above_two_gibibytes() -> None:
    instance = WasmInstance(programs.linked(programs.AXPY))
    x, out = np.arange(5, dtype=np.float32), np.zeros(5, np.float32)
    untouched = np.empty((1 << 31) + 12345, np.uint8)  # only its address space is used
    frame = instance.load([np.array([2], np.float32), x, x], [out, untouched], symbols=[5])
    assert frame.arguments > 1 << 31
    instance.call(frame)
    instance.store(WasmFrame(0, 0, 0, frame.outputs[:1]), [out])
    np.testing.assert_array_equal(out, 3 * x)


def test_growth_beyond_the_limit_leaves_the_instance_usable() -> None:
    instance = WasmInstance(programs.linked(programs.AXPY), memory_limit=1 << 20)
    big, small = np.zeros(1 << 18, np.float32), np.ones(8, np.float32)
    out = np.zeros(8, np.float32)
    with pytest.raises(LimitError) as caught:
        instance.run(
            [np.array([1], np.float32), big, big], [np.zeros_like(big)], symbols=[big.size]
        )
    assert str(caught.value) == (
        "the call needs 3276992 bytes of wasm memory, the limit is 1048576\n"
        "help: split the arrays, or run this kernel on the 'cpu' target"
    )
    instance.run([np.array([1], np.float32), small, small], [out], symbols=[8])
    assert np.all(out == 2)


def test_growth_that_the_module_itself_refuses() -> None:
    module = programs.linked(programs.AXPY, options=LinkOptions(maximum_pages=3))
    big = np.zeros(1 << 18, np.float32)
    arrays = [np.array([1], np.float32), big, big], [big.copy()]
    with pytest.raises(LimitError, match=r"wasm memory, the limit is 196608"):
        WasmInstance(module).run(*arrays, symbols=[big.size])
    if shutil.which("node") is not None:
        with pytest.raises(LimitError, match=r"wasm memory, the limit is 196608"):
            run_in_node(find_node(), module, *arrays, symbols=[big.size])


def test_module_larger_than_the_limit() -> None:
    with pytest.raises(LimitError, match="needs 196608 bytes of wasm memory, the limit is 131072"):
        WasmInstance(programs.linked(programs.TABLE), memory_limit=150_000)


@pytest.mark.parametrize("import_memory", [False, True])
def test_stack_overflow_traps_and_the_stack_is_given_back(import_memory: bool) -> None:
    options = LinkOptions(stack_size=8 << 10, import_memory=import_memory)
    instance = WasmInstance(programs.linked(programs.FAILURES, options=options))
    out = np.zeros(1, np.int32)
    for _ in range(3):
        with pytest.raises(IRError, match="the wasm code trapped: out of bounds memory access"):
            instance.run([], [out], symbols=[0, 100])
        instance.run([], [out], symbols=[0, 6])
        assert out[0] == 21


@needs_node
def test_traps_in_node() -> None:
    options = LinkOptions(stack_size=8 << 10)
    module = programs.linked(programs.FAILURES, options=options)
    with pytest.raises(IRError, match="the wasm code trapped: memory access out of bounds"):
        run_in_node(find_node(), module, [], [np.zeros(1, np.int32)], symbols=[0, 100])


def test_status_is_checked() -> None:
    module = programs.linked(programs.FAILURES)
    with pytest.raises(IRError, match="tw_main returned 5, expected 0"):
        WasmInstance(module).run([], [np.zeros(1, np.int32)], symbols=[5, 0])


@needs_node
def test_status_is_checked_in_node() -> None:
    module = programs.linked(programs.FAILURES)
    with pytest.raises(IRError, match="tw_main returned 5, expected 0"):
        run_in_node(find_node(), module, [], [np.zeros(1, np.int32)], symbols=[5, 0])


def test_missing_wasmtime_is_a_device_error(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def without_wasmtime(name: str, *rest: Any, **keywords: Any) -> Any:
        if name == "wasmtime":
            raise ImportError(name)
        return original(name, *rest, **keywords)

    module = programs.linked(programs.AXPY)
    monkeypatch.setattr(builtins, "__import__", without_wasmtime)
    with pytest.raises(DeviceError) as caught:
        WasmInstance(module)
    assert str(caught.value) == (
        "the wasm target needs the package wasmtime to run, which is not installed\n"
        "help: pip install wasmtime"
    )


def test_missing_node_is_a_device_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(DeviceError, match="no 'node' on the search path"):
        find_node()


def test_addresses_above_two_gibibytes_are_negative_numbers() -> None:
    assert [_signed32(n) for n in (0, (1 << 31) - 1, 1 << 31, (1 << 32) - 1)] == [
        *(0, (1 << 31) - 1, -(1 << 31), -1)
    ]


def test_an_address_below_zero_wraps() -> None:
    out = np.zeros((), np.float32)
    WasmInstance(programs.linked(programs.BEFORE_ALL)).run([], [out])
    assert out == 3.5


@pytest.mark.parametrize("spare", [0, -1])
def test_all_of_the_memory_may_be_used(spare: int) -> None:
    """Up to its last byte, here and in Node."""
    module = programs.linked(programs.AXPY, options=LinkOptions(maximum_pages=4))
    a, x = np.array([2], np.float32), np.ones(4, np.float32)
    out = np.zeros(4, np.float32)
    sizes = [a.nbytes, x.nbytes, x.nbytes, out.nbytes]
    workspace = module.memory_limit - plan_memory(module.heap_base, sizes, 1, 0).workspace - spare
    runs: list[Any] = [lambda **room: WasmInstance(module).run([a, x, x], [out], **room)]
    if shutil.which("node") is not None:
        runs.append(lambda **room: run_in_node(find_node(), module, [a, x, x], [out], **room))
    for run in runs:
        out[:] = 0
        if spare < 0:
            with pytest.raises(LimitError, match="needs 262145 bytes of wasm memory, the limit is"):
                run(symbols=[4], workspace_size=workspace)
        else:
            run(symbols=[4], workspace_size=workspace)
            assert np.all(out == 3)


def test_the_smaller_limit_counts() -> None:
    """That of the module, and that of the host, in whole pages."""
    module = programs.linked(programs.AXPY, options=LinkOptions(maximum_pages=4))
    for given, limit in ((None, 4), (3 << 16, 3), ((3 << 16) + 65535, 3), (9 << 16, 4)):
        instance = WasmInstance(module, memory_limit=given)
        with pytest.raises(LimitError, match=f"wasm memory, the limit is {limit << 16}"):
            instance.load([], [np.zeros(1 << 20, np.uint8)])


def test_old_versions_of_node_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = tmp_path / "node"
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    for said, major in (("v18.0.0", 18), ("v22.1.0", 22), ("v17.9.1", 0), ("what", 0), ("", 0)):
        node.write_text(f"#!/bin/sh\necho {said}\n")
        node.chmod(0o755)
        if major:
            assert find_node() == Node(str(node), major)
        else:
            with pytest.raises(DeviceError, match=f"has version {said or 'unknown'}"):
                find_node()


def test_relaxed_instructions_need_a_flag_of_older_versions() -> None:
    plain = programs.linked(programs.AXPY)
    relaxed = programs.linked(programs.AXPY_RELAXED, "wasm32-relaxed")
    flag = "--experimental-wasm-relaxed-simd"
    assert Node("node", 20).command(relaxed) == ["node", flag]
    assert Node("node", 21).command(relaxed) == ["node"]
    assert Node("node", 20).command(plain) == ["node"]


@pytest.mark.parametrize(
    ("script", "kind", "said"),
    [
        ("echo no such flag >&2; exit 9", DeviceError, "node failed: no such flag"),
        ("exit 9", DeviceError, "node failed: exit code 9"),
        ('echo \'{"trap": "unreachable"}\'', IRError, "the wasm code trapped: unreachable"),
        ("echo '{\"status\": 3}'", IRError, "tw_main returned 3, expected 0"),
    ],
)
def test_what_node_answers(
    tmp_path: Path, script: str, kind: type[DeviceError | IRError], said: str
) -> None:
    with pytest.raises(kind, match=said):
        _call_script(["/bin/sh", "-c", script], tmp_path)
