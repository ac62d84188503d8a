"""Which machine the code is for: a name such as ``"host"`` or ``"x86-64-v3"`` -> `CpuTarget`.

A `CpuTarget` is what the schedule, the legalisation rules and the emitter may ask about a machine,
and what LLVM must be told to generate code for it. It is plain data: compiling for a machine that
is not this one needs nothing of that machine.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import llvmlite.binding as llvm
from msgspec import Struct
from msgspec.structs import replace

from tilewright.ir.errors import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Mapping

CODEGEN_LEVEL: Final = 2
"""LLVM's code generator level; 0 makes code 3-9 times slower, 3 changes nothing (measured)."""

_MOST_CACHES: Final = 8
_V2_FEATURES: Final = ("cx16", "popcnt", "sahf", "sse3", "sse4.1", "sse4.2", "ssse3")
_V3_FEATURES: Final = (
    *_V2_FEATURES, "avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe", "xsave"
)  # fmt: skip
_V4_FEATURES: Final = (*_V3_FEATURES, "avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl")
_X86_LEVELS: Final = {
    "x86-64-v2": _V2_FEATURES,
    "x86-64-v3": _V3_FEATURES,
    "x86-64-v4": _V4_FEATURES,
}


class CacheSizes(Struct, frozen=True):
    """Bytes of data cache that one core can count on; `l3` is what the cores share."""

    l1: int = 32 << 10
    l2: int = 256 << 10
    l3: int = 8 << 20


class CpuTarget(Struct, frozen=True):
    """One machine that LLVM can generate code for.

    `vector_bits` is the widest vector register that code should use and `vector_registers` how
    many there are. `has_fma`: ``llvm.fma`` is one instruction. `has_relaxed_madd`: the same for
    ``llvm.wasm.relaxed.madd``. `has_masked_memory`: masked loads and stores are cheap (below
    AVX-512 LLVM makes up to 232 instructions of one). `has_gather`: loads of lanes at offsets are
    an instruction, no slower than loads one by one. `has_byte_tables`: an instruction picks bytes
    out of two registers, by bytes. `has_half_conversion`: float16 <-> float32 is an instruction
    and not a call into a library that may not be there. `has_threads`: loops may run on the
    thread pool. `reproducible`: the same bits as every other reproducible target, so no fused
    operations, and reductions in an order that the shape alone decides. `fast`: operations in
    their fast forms.
    """

    name: str
    triple: str
    cpu: str
    features: str
    vector_bits: int
    vector_registers: int
    index_bits: int = 64
    has_fma: bool = False
    has_relaxed_madd: bool = False
    has_masked_memory: bool = False
    has_gather: bool = False
    has_byte_tables: bool = False
    has_half_conversion: bool = False
    has_threads: bool = True
    reproducible: bool = False
    fast: bool = False
    caches: CacheSizes = CacheSizes()

    @property
    def architecture(self) -> str:
        """``"x86_64"``, ``"aarch64"`` or ``"wasm32"`` (or LLVM's name of another one)."""
        return _architecture(self.triple)

    @property
    def scratch_bytes(self) -> int:
        """What the rows of tiles may take of a stack: half of a wasm module's, and half of the
        smallest that a system gives to threads (512 KiB, on macOS)."""
        return (64 if self.architecture == "wasm32" else 256) << 10

    def with_numerics(self, mode: str) -> CpuTarget:
        """This machine as ``numerics=mode`` uses it: reproducible code goes without what would
        make its results differ from those of other machines."""
        if mode == "reproducible":
            return replace(self, has_fma=False, has_relaxed_madd=False, reproducible=True)
        return replace(self, fast=mode == "fast")

    @property
    def runs_here(self) -> bool:
        """Whether this process can execute code for this target."""
        if self.triple != llvm.get_process_triple():
            return False
        if self.name == "host" or self.architecture != "x86_64":
            return True
        available = llvm.get_host_cpu_features()
        return all(available.get(feature, False) for feature in _x86_requirements(self.name))


def target_names() -> tuple[str, ...]:
    """Every name that `cpu_target` accepts, aliases left out."""
    return ("host", "x86-64-v4", "x86-64-v3", "x86-64-v2", "aarch64-neon", *_WASM_FEATURES)


def cpu_target(name: str) -> CpuTarget:
    """The target called `name`; ``"sse"`` is an alias of ``"x86-64-v2"``."""
    name = {"sse": "x86-64-v2"}.get(name, name)
    if name == "host":
        return host_target()
    if name in _X86_LEVELS:
        return _x86_level(name)
    if name == "aarch64-neon":
        return _neon_target(name, _triple_for("aarch64"), "generic", "+neon")
    if name in _WASM_FEATURES:
        return _wasm_target(name)
    known = ", ".join(target_names())
    raise UnsupportedError(f"there is no CPU target {name!r}", help=f"the targets are {known}")


@lru_cache(maxsize=1)
def host_target() -> CpuTarget:
    """The machine that this process runs on, with every feature that LLVM can see."""
    triple = llvm.get_process_triple()
    cpu = llvm.get_host_cpu_name()
    available = llvm.get_host_cpu_features()
    architecture = _architecture(triple)
    caches = _host_caches()
    if architecture == "x86_64":
        return _x86_target("host", triple, cpu, available.flatten(), available, caches)
    if architecture == "aarch64":
        return _neon_target("host", triple, cpu, available.flatten(), caches)
    raise UnsupportedError(
        f"no code generator for {architecture} processors",
        help="run on x86-64 or AArch64, or compile ahead of time for another target",
    )


@lru_cache(maxsize=8)
def target_machine(target: CpuTarget) -> llvm.TargetMachine:
    """LLVM's code generator for `target`. Making one takes 0.5 ms, hence the memory."""
    if _architecture(llvm.get_process_triple()) == target.architecture:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
    else:
        llvm.initialize_all_targets()
        llvm.initialize_all_asmprinters()
    machine = llvm.Target.from_triple(target.triple).create_target_machine(
        cpu=target.cpu,
        features=target.features,
        opt=CODEGEN_LEVEL,
        reloc="static" if target.architecture == "wasm32" else "pic",
        codemodel="small",
    )
    machine.set_asm_verbosity(False)
    return machine


def _architecture(triple: str) -> str:
    name = triple.partition("-")[0]
    return {"arm64": "aarch64", "amd64": "x86_64"}.get(name, name)


def _triple_for(architecture: str) -> str:
    """This process's triple where the architecture fits, else Linux on that architecture."""
    triple = llvm.get_process_triple()
    return triple if _architecture(triple) == architecture else f"{architecture}-unknown-linux-gnu"


def _x86_target(
    name: str,
    triple: str,
    cpu: str,
    features: str,
    available: Mapping[str, bool],
    caches: CacheSizes,
) -> CpuTarget:
    has_avx512 = all(available.get(feature, False) for feature in _V4_FEATURES)
    has_avx2 = has_avx512 or available.get("avx2", False)
    return CpuTarget(
        name=name,
        triple=triple,
        cpu=cpu,
        features=features,
        vector_bits=512 if has_avx512 else 256 if has_avx2 else 128,
        vector_registers=32 if has_avx512 else 16,
        has_fma=available.get("fma", False),
        has_masked_memory=has_avx512,
        has_gather=has_avx512,
        has_byte_tables=has_avx512 and available.get("avx512vbmi", False),
        has_half_conversion=available.get("f16c", False),
        caches=caches,
    )


def _x86_requirements(level: str) -> tuple[str, ...]:
    return _X86_LEVELS[level]


@lru_cache(maxsize=len(_X86_LEVELS))
def _x86_level(name: str) -> CpuTarget:
    """A level of the x86-64 psABI; LLVM knows the levels as CPU names."""
    available = dict.fromkeys(_x86_requirements(name), True)
    return _x86_target(name, _triple_for("x86_64"), name, "", available, CacheSizes())


def _neon_target(
    name: str, triple: str, cpu: str, features: str, caches: CacheSizes | None = None
) -> CpuTarget:
    return CpuTarget(
        name=name,
        triple=triple,
        cpu=cpu,
        features=features,
        vector_bits=128,
        vector_registers=32,
        has_fma=True,
        has_half_conversion=True,
        caches=caches or CacheSizes(),
    )


def _wasm_target(name: str) -> CpuTarget:
    return CpuTarget(
        name=name,
        triple="wasm32-unknown-unknown",
        cpu="generic",
        features=_WASM_FEATURES[name],
        vector_bits=128,
        vector_registers=16,  # V8 maps onto the 16 of x86-64 and spills beyond them
        index_bits=32,
        has_relaxed_madd=name == "wasm32-relaxed",
        has_threads=False,
    )


def _host_caches() -> CacheSizes:
    """Sizes from sysfs; the defaults where the system does not say (glibc's sysconf can be wrong:
    on this family of AMD servers it reports ten times the L3)."""
    found: dict[str, int] = {}
    for number in range(_MOST_CACHES):
        try:
            kind, level, size = (_cache_fact(number, fact) for fact in ("type", "level", "size"))
        except OSError:
            break
        if kind != "Instruction" and level in "123" and size.endswith("K"):
            found[f"l{level}"] = int(size[:-1]) << 10
    return CacheSizes(**found)


def _cache_fact(number: int, fact: str) -> str:
    with open(f"/sys/devices/system/cpu/cpu0/cache/index{number}/{fact}", encoding="ascii") as file:
        return file.read().strip()


_WASM_FEATURES: Final = {
    "wasm32-simd128": "+simd128",
    "wasm32-relaxed": "+simd128,+relaxed-simd",
}
