"""Targets are plain data, and LLVM accepts every one of them."""

from __future__ import annotations

import llvmlite.binding as llvm
import pytest
from msgspec.structs import asdict

from tests.conftest import Golden
from tilewright.codegen_cpu.jit import assembly, compile_object
from tilewright.codegen_cpu.target import (
    _V4_FEATURES,
    CacheSizes,
    CpuTarget,
    _host_caches,
    cpu_target,
    host_target,
    target_names,
)
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


def test_alias_and_unknown_name() -> None:
    assert cpu_target("sse") is cpu_target("x86-64-v2")
    with pytest.raises(UnsupportedError) as caught:
        cpu_target("itanium")
    assert str(caught.value) == (
        "there is no CPU target 'itanium'\n"
        "help: the targets are host, x86-64-v4, x86-64-v3, x86-64-v2, aarch64-neon, "
        "wasm32-simd128, wasm32-relaxed"
    )


AVX2 = {"avx2", "fma", "f16c"}
AVX512 = {*_V4_FEATURES}


def host_with(monkeypatch: pytest.MonkeyPatch, features: set[str]) -> CpuTarget:
    """An x86-64 host of these features only."""
    known = llvm.get_host_cpu_features()
    given = type(known)({name: name in features for name in (*known, *features)})
    monkeypatch.setattr(llvm, "get_host_cpu_features", lambda: given)
    monkeypatch.setattr(llvm, "get_process_triple", lambda: "x86_64-unknown-linux-gnu")
    return host_target.__wrapped__()


@pytest.mark.parametrize(
    ("features", "bits", "registers"),
    [(set(), 128, 16), (AVX2, 256, 16), (AVX512, 512, 32), (AVX512 - {"avx512bw"}, 256, 16)],
)
def test_vectors_of_the_host_are_those_of_its_features(
    features: set[str], bits: int, registers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = host_with(monkeypatch, features)
    assert (target.vector_bits, target.vector_registers) == (bits, registers)
    assert target.has_masked_memory == target.has_gather == (bits == 512)
    assert target.has_fma == ("fma" in features)
    assert target.has_half_conversion == ("f16c" in features)
    assert not target.has_byte_tables


def test_byte_tables_need_vbmi_and_the_other_features(monkeypatch: pytest.MonkeyPatch) -> None:
    assert host_with(monkeypatch, {*AVX512, "avx512vbmi"}).has_byte_tables
    assert not host_with(monkeypatch, {"avx512vbmi"}).has_byte_tables


def test_processors_without_a_code_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llvm, "get_process_triple", lambda: "arm64-apple-darwin23")
    assert host_target.__wrapped__().vector_bits == 128
    monkeypatch.setattr(llvm, "get_process_triple", lambda: "riscv64-unknown-linux-gnu")
    with pytest.raises(UnsupportedError, match="no code generator for riscv64 processors"):
        host_target.__wrapped__()


def test_sizes_of_caches_are_what_the_system_says(monkeypatch: pytest.MonkeyPatch) -> None:
    caches = [
        {"type": "Data", "level": "1", "size": "48K"},
        {"type": "Instruction", "level": "1", "size": "32K"},
        {"type": "Unified", "level": "2", "size": "2048K"},
        {"type": "Unified", "level": "3", "size": "1G"},
        {"type": "Unified", "level": "4", "size": "64K"},
    ]

    def fact(number: int, name: str) -> str:
        if number >= len(caches):
            raise FileNotFoundError(number)
        return caches[number][name]

    monkeypatch.setattr("tilewright.codegen_cpu.target._cache_fact", fact)
    found = _host_caches()
    assert (found.l1, found.l2, found.l3) == (48 << 10, 2 << 20, CacheSizes().l3)
    caches.clear()
    assert _host_caches() == CacheSizes()


def test_facts_of_every_named_target(golden: Golden) -> None:
    """All but the triple, which is the system's."""
    lines = []
    for name in target_names():
        if name != "host":
            facts = {
                k: v for k, v in asdict(cpu_target(name)).items() if k not in ("triple", "name")
            }
            lines += [name, *(f"  {key}: {value}" for key, value in facts.items())]
    golden("cpu/targets", "\n".join(lines))
