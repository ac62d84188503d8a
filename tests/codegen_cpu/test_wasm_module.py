"""Linking: hand-written LLVM IR, run in both engines where it can run at all."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from msgspec import structs

from tests.codegen_cpu import wasm_programs as programs
from tilewright.codegen_cpu.jit import compile_object
from tilewright.codegen_cpu.target import cpu_target
from tilewright.codegen_cpu.wasm_binary import ExternalKind, Reader, SectionId, read_sections
from tilewright.codegen_cpu.wasm_module import LinkOptions, WasmModule, link_module
from tilewright.codegen_cpu.wasm_node import find_node, run_in_node
from tilewright.codegen_cpu.wasm_run import WasmInstance
from tilewright.ir.errors import IRError, LimitError

Run = Callable[..., Any]


def _run_in_wasmtime(module: WasmModule, *arrays: Any, **rest: Any) -> None:
    WasmInstance(module).run(*arrays, **rest)


@pytest.fixture(params=["wasmtime", "node"])
def run(request: pytest.FixtureRequest) -> Run:
    """run(module, inputs, outputs, symbols=…): one call in a fresh instance."""
    if request.param == "wasmtime":
        pytest.importorskip("wasmtime", reason="wasmtime is not installed")
        return _run_in_wasmtime
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    return functools.partial(run_in_node, find_node())


@pytest.mark.parametrize("n", [0, 1, 3, 4, 5, 1003])
def test_axpy_on_vectors(run: Run, n: int) -> None:
    rng = np.random.default_rng(n)
    a, x, y = (rng.standard_normal(size, np.float32) for size in (1, n, n))
    out = np.full(n, np.nan, np.float32)
    run(programs.linked(programs.AXPY), [a, x, y], [out], symbols=[n])
    np.testing.assert_array_equal(out, a * x + y)


def test_relaxed_simd(run: Run) -> None:
    x, y = (np.random.default_rng(0).standard_normal(64, np.float32) for _ in range(2))
    a, out = np.array([1.1], np.float32), np.empty(64, np.float32)
    run(programs.linked(programs.AXPY_RELAXED, "wasm32-relaxed"), [a, x, y], [out], symbols=[64])
    exact = np.float64(a) * x + y
    # madd rounds once or twice, as the engine likes
    assert np.all(np.abs(out - exact) <= np.spacing(np.abs(a * x).astype(np.float32)) * 1.5)


def test_stack_and_internal_calls(run: Run) -> None:
    values, out = np.arange(4, dtype=np.int32), np.zeros(5, np.int32)
    options = LinkOptions(stack_size=4096)
    run(programs.linked(programs.STACK, options=options), [values], [out])
    np.testing.assert_array_equal(out[:4], values[::-1])
    assert 0 < out[4] < 4096, "the array is not on the stack"


def test_constant_data_and_zeroed_globals(run: Run) -> None:
    out = np.zeros(7, np.float32)
    run(programs.linked(programs.DATA), [], [out], symbols=[1])
    np.testing.assert_array_equal(out, [2.5, 4.5, 3.5, 7, 1, 1, 0])


def test_imported_memory(run: Run) -> None:
    module = programs.linked(programs.DATA, options=LinkOptions(import_memory=True))
    assert module.imports_memory
    out = np.zeros(7, np.float32)
    run(module, [], [out], symbols=[0])
    np.testing.assert_array_equal(out, [1.5, 4.5, 3.5, 7, 1, 1, 0])


@pytest.mark.parametrize("text", [programs.COPY, programs.COPY_BY_CALLS])
def test_memory_functions(run: Run, text: str) -> None:
    values = np.random.default_rng(0).integers(0, 256, 1001).astype(np.uint8)
    out = np.zeros_like(values)
    run(programs.linked(text), [values], [out], symbols=[values.size])
    expected = np.concatenate([values[:1], values[:-1]])
    expected[:500] = 9
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize(("k", "expected"), [(0, -6.0), (1, 3.0), (2, -6.0)])
def test_calls_through_the_table(run: Run, k: int, expected: float) -> None:
    out = np.zeros(1, np.float32)
    run(programs.linked(programs.TABLE), [np.array([3], np.float32)], [out], symbols=[k])
    assert out[0] == expected


def test_unresolved_symbols_are_all_named() -> None:
    with pytest.raises(IRError) as caught:
        programs.linked(programs.UNRESOLVED)
    assert str(caught.value) == (
        "wasm object uses elsewhere, fmodf, helper, which nothing defines\n"
        "help: rewrite the operation that LLVM made this call of, or define it in the module"
    )


def test_memory_functions_need_bulk_memory() -> None:
    old = cpu_target("wasm32-simd128")
    target = structs.replace(old, features="+simd128,-bulk-memory,-bulk-memory-opt")
    with pytest.raises(IRError, match="uses memcpy, memmove, memset, which nothing defines"):
        link_module(compile_object(programs.COPY, target))


def test_missing_export() -> None:
    with pytest.raises(IRError, match="does not define tw_other, which is to be exported"):
        programs.linked(programs.AXPY, options=LinkOptions(exports=("tw_main", "tw_other")))


def test_exports() -> None:
    module = programs.linked(programs.STACK, options=LinkOptions(exports=("tw_main", "reverse")))
    assert _exports(module) == {
        "tw_main": ExternalKind.FUNCTION,
        "reverse": ExternalKind.FUNCTION,
        "memory": ExternalKind.MEMORY,
        "__stack_pointer": ExternalKind.GLOBAL,
        "__heap_base": ExternalKind.GLOBAL,
    }


def test_nothing_but_core_sections_in_order() -> None:
    numbers = [section.id for section in read_sections(programs.linked(programs.TABLE).binary)]
    assert numbers == [
        SectionId.TYPE,
        SectionId.FUNCTION,
        SectionId.TABLE,
        SectionId.MEMORY,
        SectionId.GLOBAL,
        SectionId.EXPORT,
        SectionId.ELEMENT,
        SectionId.CODE,
        SectionId.DATA,
    ]


def test_zeroed_data_takes_no_bytes() -> None:
    text = programs.DATA.replace("global i32 0", "global [99999 x i32] zeroinitializer")
    module = programs.linked(text)
    assert len(module.binary) < 1000
    assert module.heap_base > 64 * 1024 + 4 * 99999
    assert module.memory_pages == -(-module.heap_base // 65536)


def test_features_are_reported() -> None:
    assert "simd128" in programs.linked(programs.AXPY).features
    assert "relaxed-simd" not in programs.linked(programs.AXPY).features
    relaxed = programs.linked(programs.AXPY_RELAXED, "wasm32-relaxed")
    assert "relaxed-simd" in relaxed.features


def test_linking_is_deterministic() -> None:
    assert programs.linked(programs.DATA) == programs.linked(programs.DATA)


def test_data_beyond_the_limit() -> None:
    with pytest.raises(LimitError, match=r"need \d+ bytes of wasm memory, the limit is 65536"):
        programs.linked(programs.DATA, options=LinkOptions(maximum_pages=1))


def test_relocations_of_unpadded_numbers_are_refused() -> None:
    data = programs.compiled(programs.STACK)
    global_get = bytes.fromhex("23 8080808000")
    assert global_get in data
    with pytest.raises(IRError, match="is on 80 80 00 80 80, not a padded number"):
        link_module(data.replace(global_get, bytes.fromhex("23 8080008080"), 1))


def test_linked_modules_are_not_objects() -> None:
    module = programs.linked(programs.AXPY)
    with pytest.raises(IRError, match="no 'linking' section"):
        link_module(module.binary)


@pytest.mark.parametrize(
    ("addition", "message"),
    [
        ("@t = thread_local global i32 1", "thread-local"),
        (
            "@llvm.global_ctors = appending global [1 x {i32, ptr, ptr}] "
            "[{i32, ptr, ptr} {i32 65535, ptr @init, ptr null}]\n"
            "define internal void @init() { ret void }",
            "has constructors",
        ),
    ],
)
def test_what_the_linker_refuses(addition: str, message: str) -> None:
    old = cpu_target("wasm32-simd128")
    target = structs.replace(old, features="+simd128,+atomics,+bulk-memory")
    with pytest.raises(IRError, match=message):
        link_module(compile_object(programs.AXPY + addition, target))


@pytest.mark.parametrize("stack_size", [0, -64, 100])
def test_stack_sizes_that_are_refused(stack_size: int) -> None:
    with pytest.raises(ValueError, match=f"multiple of 64, not {stack_size}"):
        LinkOptions(stack_size=stack_size)


def test_truncated_objects_are_errors() -> None:
    data = programs.compiled(programs.TABLE)
    for end in range(0, len(data), 7):
        with pytest.raises(IRError):
            link_module(data[:end])


def _exports(module: WasmModule) -> dict[str, int]:
    sections = {section.id: section.payload for section in read_sections(module.binary)}
    reader = Reader(sections[SectionId.EXPORT])
    found = {}
    for _ in range(reader.unsigned()):
        name, kind = reader.name(), reader.byte()
        found[name] = kind
        reader.unsigned()
    return found


def test_stack_and_data_may_fill_the_memory() -> None:
    whole = programs.linked(programs.DATA)
    options = LinkOptions(maximum_pages=whole.memory_pages)
    assert programs.linked(programs.DATA, options=options).memory_limit == whole.memory_pages << 16
    with pytest.raises(LimitError, match="bytes of wasm memory, the limit is"):
        programs.linked(programs.DATA, options=LinkOptions(maximum_pages=whole.memory_pages - 1))


@pytest.mark.parametrize("size", [0, -64, 63, 100])
def test_a_stack_is_a_positive_multiple_of_64(size: int) -> None:
    with pytest.raises(ValueError, match=f"must be a positive multiple of 64, not {size}"):
        LinkOptions(stack_size=size)
    assert LinkOptions(stack_size=64).stack_size == 64
