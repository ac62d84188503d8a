"""Targets are plain data, and LLVM accepts every one of them."""

from __future__ import annotations

import llvmlite.binding as llvm
import pytest
from msgspec import structs

from tilewright.codegen_cpu.jit import assembly, compile_object
from tilewright.codegen_cpu.target import cpu_target, host_target, target_names
from tilewright.ir.errors import UnsupportedError

FMA = """
define i32 @tw_main(ptr %runtime, ptr %args, ptr %symbols, ptr %workspace) {
  %x = load <8 x float>, ptr %args, align 4
  %y = call <8 x float> @llvm.fma.v8f32(<8 x float> %x, <8 x float> %x, <8 x float> %x)
  store <8 x float> %y, ptr %args, align 4
  ret i32 0
}
declare <8 x float> @llvm.fma.v8f32(<8 x float>, <8 x float>, <8 x float>)
"""


@pytest.mark.parametrize("name", target_names())
def test_every_target_emits_an_object_of_its_format(name: str) -> None:
    target = cpu_target(name)
    code = compile_object(FMA, target)
    if target.architecture == "wasm32":
        assert code.startswith(b"\0asm")
    elif "linux" in target.triple:
        assert code.startswith(b"\x7fELF")


@pytest.mark.parametrize(
    ("name", "instruction"), [("x86-64-v4", "ymm"), ("x86-64-v3", "ymm"), ("aarch64-neon", "fmla")]
)
def test_vectors_and_fma_are_used_where_the_target_says_so(name: str, instruction: str) -> None:
    target = cpu_target(name)
    assert target.has_fma
    assert instruction in assembly(FMA, target)


def test_fma_is_a_library_call_where_the_target_says_so() -> None:
    assert not cpu_target("x86-64-v2").has_fma
    assert "fmaf" in assembly(FMA, cpu_target("x86-64-v2"))


@pytest.mark.parametrize(
    ("name", "bits", "registers", "index_bits"),
    [
        ("x86-64-v4", 512, 32, 64),
        ("x86-64-v3", 256, 16, 64),
        ("x86-64-v2", 128, 16, 64),
        ("aarch64-neon", 128, 32, 64),
        ("wasm32-simd128", 128, 16, 32),
    ],
)
def test_facts_of_the_named_levels(name: str, bits: int, registers: int, index_bits: int) -> None:
    target = cpu_target(name)
    facts = (target.vector_bits, target.vector_registers, target.index_bits)
    assert facts == (bits, registers, index_bits)


def test_the_host_is_described_as_llvm_sees_it() -> None:
    target = host_target()
    assert target.runs_here
    assert target.triple == llvm.get_process_triple()
    assert target.cpu == llvm.get_host_cpu_name()
    assert target is cpu_target("host")


def test_foreign_targets_do_not_run_here() -> None:
    foreign = {"aarch64": "x86-64-v2"}.get(host_target().architecture, "aarch64-neon")
    assert not cpu_target(foreign).runs_here
    assert not cpu_target("wasm32-simd128").runs_here


def test_fingerprint_names_what_decides_the_code() -> None:
    target = cpu_target("x86-64-v3")
    assert target.fingerprint != cpu_target("x86-64-v2").fingerprint
    assert target.fingerprint != structs.replace(target, features="+avx512f").fingerprint
    assert ".".join(map(str, llvm.llvm_version_info)) in target.fingerprint


def test_alias_and_unknown_name() -> None:
    assert cpu_target("sse") is cpu_target("x86-64-v2")
    with pytest.raises(UnsupportedError) as caught:
        cpu_target("itanium")
    assert str(caught.value) == (
        "there is no CPU target 'itanium'\n"
        "help: the targets are host, x86-64-v4, x86-64-v3, x86-64-v2, aarch64-neon, "
        "wasm32-simd128, wasm32-relaxed"
    )
