"""IR text -> object -> address: the code runs, outlives nothing, and bad IR is our error."""

from __future__ import annotations

import ctypes
import gc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tilewright.codegen_cpu.jit import InvalidModuleError, assembly, compile_object
from tilewright.codegen_cpu.loader import (
    LoadedObject,
    ObjectLoader,
    compile_for_host,
    load_object,
)
from tilewright.codegen_cpu.target import cpu_target, host_target
from tilewright.ir.errors import IRError

ANSWER = """
@table = internal constant [4 x i32] [i32 3, i32 {value}, i32 7, i32 9], align 16

define i32 @tw_main(ptr %runtime, ptr %args, ptr %symbols, ptr %workspace) {{
  %v = load volatile i32, ptr getelementptr inbounds ([4 x i32], ptr @table, i64 0, i64 1)
  ret i32 %v
}}
"""

ENTRY = ctypes.CFUNCTYPE(ctypes.c_int32, *[ctypes.c_void_p] * 4)


def run(code: LoadedObject) -> int:
    return int(ENTRY(code.address())(None, None, None, None))


@pytest.fixture(params=[False, True], ids=["ours", "llvm"])
def loader(request: pytest.FixtureRequest) -> ObjectLoader:
    """Our loader, which leaves to LLVM what it does not know, and LLVM's alone."""
    return ObjectLoader(only_llvm=request.param)


def test_code_runs_and_reaches_its_constants(loader: ObjectLoader) -> None:
    assert run(loader.load(compile_for_host(ANSWER.format(value=42)))) == 42


def test_many_objects_with_the_same_symbols_live_side_by_side(loader: ObjectLoader) -> None:
    objects = [loader.load(compile_for_host(ANSWER.format(value=k))) for k in range(9)]
    assert [run(code) for code in objects] == list(range(9))


def test_library_functions_that_llvm_inserts_are_found(loader: ObjectLoader) -> None:
    text = """
    define i32 @tw_main(ptr %runtime, ptr %args, ptr %symbols, ptr %workspace) {
      call void @llvm.memset.p0.i64(ptr %args, i8 7, i64 1000, i1 false)
      ret i32 0
    }
    declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
    """
    buffer = ctypes.create_string_buffer(1000)
    code = loader.load(compile_for_host(text))
    ENTRY(code.address())(None, ctypes.addressof(buffer), None, None)
    assert buffer.raw == b"\7" * 1000


def test_imports_and_further_exports(loader: ObjectLoader) -> None:
    text = """
    declare i32 @given()
    define i32 @twice() {
      %v = call i32 @given()
      %w = add i32 %v, %v
      ret i32 %w
    }
    """
    given = ctypes.CFUNCTYPE(ctypes.c_int32)(lambda: 21)
    address = ctypes.cast(given, ctypes.c_void_p).value
    assert address is not None
    code = loader.load(compile_for_host(text), ("twice",), {"given": address})
    assert ctypes.CFUNCTYPE(ctypes.c_int32)(code.address("twice"))() == 42


def executable_bytes() -> int:
    """Anonymous executable memory of this process, where unloaded code must not stay."""
    total = 0
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, permissions, *_rest = line.split()
        if "x" in permissions and len(line.split()) == 5:
            low, high = (int(end, 16) for end in span.split("-"))
            total += high - low
    return total


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="reads Linux's /proc")
def test_code_is_unloaded_with_the_last_reference(loader: ObjectLoader) -> None:
    code = compile_for_host(ANSWER.format(value=1))
    before = executable_bytes()
    kept = [loader.load(code) for _ in range(64)]
    while_loaded = executable_bytes()
    kept.clear()
    gc.collect()
    assert executable_bytes() - before < (while_loaded - before) // 2


def test_threads_compile_and_load_at_once() -> None:
    def answer(value: int) -> int:
        return run(load_object(compile_object(ANSWER.format(value=value), host_target())))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(answer, range(64))) == list(range(64))


def test_assembly_is_text_for_the_target() -> None:
    text = assembly(ANSWER.format(value=1), cpu_target("wasm32-simd128"))
    assert "tw_main" in text
    assert "i32.load" in text


def test_syntax_error_shows_the_line_and_keeps_the_module() -> None:
    text = "define i32 @tw_main() {\n  %a = fadd float 1, nonsense\n  ret i32 0\n}\n"
    with pytest.raises(InvalidModuleError) as caught:
        compile_object(text, host_target())
    assert caught.value.ir_text == text
    assert "    2 |   %a = fadd float 1, nonsense" in str(caught.value)
    assert isinstance(caught.value, IRError)


def test_module_that_breaks_a_rule_of_llvm() -> None:
    text = """
    define i32 @tw_main(i1 %c) {
      br i1 %c, label %one, label %two
    one:
      %v = add i32 1, 2
      br label %two
    two:
      ret i32 %v
    }
    """
    with pytest.raises(InvalidModuleError, match="does not dominate all uses"):
        compile_object(text, host_target())


def test_object_that_is_not_one(loader: ObjectLoader) -> None:
    with pytest.raises(IRError, match="object code cannot be loaded"):
        loader.load(b"not an object file")


def test_symbol_that_was_not_exported(loader: ObjectLoader) -> None:
    code = loader.load(compile_for_host(ANSWER.format(value=1)))
    with pytest.raises(IRError, match="'other' was not exported"):
        code.address("other")


def test_an_excerpt_shows_two_lines_before_and_after() -> None:
    lines = [f"  %v{k} = add i32 {k}, {k}" for k in range(8)]
    lines[4] = "  %v4 = nonsense"
    text = "\n".join(["define void @f() {", *lines, "  ret void", "}"])
    with pytest.raises(InvalidModuleError) as caught:
        compile_object(text, host_target())
    shown = [line for line in str(caught.value).splitlines() if " | " in line]
    assert [line.partition("|")[0].split()[-1] for line in shown] == ["4", "5", "6", "7", "8"]
    assert shown[2].endswith("|   %v4 = nonsense")
    first = text.replace("define void", "define nonsense")
    with pytest.raises(InvalidModuleError) as caught:
        compile_object(first, host_target())
    shown = [line for line in str(caught.value).splitlines() if " | " in line]
    assert [line.partition("|")[0].split()[-1] for line in shown] == ["1", "2", "3"]
