"""LLVM IR texts for the wasm tests, each of which needs one more thing of the linker."""

from __future__ import annotations

from typing import Final

from tilewright.codegen_cpu.jit import compile_object
from tilewright.codegen_cpu.target import cpu_target
from tilewright.codegen_cpu.wasm_module import LinkOptions, WasmModule, link_module

_ENTRY: Final = "define i32 @tw_main(ptr %runtime, ptr %args, ptr %symbols, ptr %workspace)"


def compiled(ir_text: str, target: str = "wasm32-simd128") -> bytes:
    return compile_object(ir_text, cpu_target(target))


def linked(
    ir_text: str, target: str = "wasm32-simd128", options: LinkOptions | None = None
) -> WasmModule:
    return link_module(compiled(ir_text, target), options)


def _load_arguments(*names: str) -> str:
    lines = []
    for index, name in enumerate(names):
        lines.append(f"  %{name}.slot = getelementptr ptr, ptr %args, i32 {index}")
        lines.append(f"  %{name} = load ptr, ptr %{name}.slot")
    return "\n".join(lines)


def axpy(multiply_add: str) -> str:
    """out = a * x + y over n floats: four lanes at a time, then one; a, x, y are inputs."""
    return f"""
declare <4 x float> @llvm.wasm.relaxed.madd.v4f32(<4 x float>, <4 x float>, <4 x float>)

{_ENTRY} {{
entry:
{_load_arguments("a", "x", "y", "out")}
  %n.wide = load i64, ptr %symbols
  %n = trunc i64 %n.wide to i32
  %full = and i32 %n, -4
  %scale = load float, ptr %a
  %first = insertelement <4 x float> poison, float %scale, i32 0
  %scales = shufflevector <4 x float> %first, <4 x float> poison, <4 x i32> zeroinitializer
  br label %vector.test
vector.test:
  %i = phi i32 [0, %entry], [%i.next, %vector.body]
  %more = icmp ult i32 %i, %full
  br i1 %more, label %vector.body, label %scalar.test
vector.body:
  %x.at = getelementptr float, ptr %x, i32 %i
  %y.at = getelementptr float, ptr %y, i32 %i
  %out.at = getelementptr float, ptr %out, i32 %i
  %xs = load <4 x float>, ptr %x.at, align 16
  %ys = load <4 x float>, ptr %y.at, align 16
{multiply_add}
  store <4 x float> %sum, ptr %out.at, align 16
  %i.next = add i32 %i, 4
  br label %vector.test
scalar.test:
  %j = phi i32 [%full, %vector.test], [%j.next, %scalar.body]
  %left = icmp ult i32 %j, %n
  br i1 %left, label %scalar.body, label %done
scalar.body:
  %xj.at = getelementptr float, ptr %x, i32 %j
  %yj.at = getelementptr float, ptr %y, i32 %j
  %outj.at = getelementptr float, ptr %out, i32 %j
  %xj = load float, ptr %xj.at
  %yj = load float, ptr %yj.at
  %pj = fmul float %xj, %scale
  %sj = fadd float %pj, %yj
  store float %sj, ptr %outj.at
  %j.next = add i32 %j, 1
  br label %scalar.test
done:
  ret i32 0
}}
"""


AXPY: Final = axpy(
    "  %p = fmul <4 x float> %xs, %scales\n  %sum = fadd <4 x float> %p, %ys",
)
AXPY_RELAXED: Final = axpy(
    "  %sum = call <4 x float> @llvm.wasm.relaxed.madd.v4f32("
    "<4 x float> %xs, <4 x float> %scales, <4 x float> %ys)"
)

STACK: Final = f"""
define internal void @reverse(ptr %from, ptr %to) noinline {{
  %a = getelementptr i32, ptr %from, i32 3
  %b = getelementptr i32, ptr %from, i32 2
  %c = getelementptr i32, ptr %from, i32 1
  %k = load volatile i32, ptr %a
  %l = load volatile i32, ptr %b
  %m = load volatile i32, ptr %c
  %n = load volatile i32, ptr %from
  %q = getelementptr i32, ptr %to, i32 1
  %r = getelementptr i32, ptr %to, i32 2
  %s = getelementptr i32, ptr %to, i32 3
  store volatile i32 %k, ptr %to
  store volatile i32 %l, ptr %q
  store volatile i32 %m, ptr %r
  store volatile i32 %n, ptr %s
  ret void
}}

{_ENTRY} {{
{_load_arguments("in", "out")}
  %once = alloca [4 x i32], align 16
  %twice = alloca [4 x i32], align 16
  call void @reverse(ptr %in, ptr %once)
  call void @reverse(ptr %once, ptr %twice)
  call void @reverse(ptr %twice, ptr %out)
  %stack = ptrtoint ptr %once to i32
  %place = getelementptr i32, ptr %out, i32 4
  store i32 %stack, ptr %place
  ret i32 0
}}
"""
"""out[:4] = in[::-1] through two arrays on the stack; out[4] = the address of one of them."""

DATA: Final = f"""
@table = internal constant [4 x float] [float 1.5, float 2.5, float 3.5, float 4.5], align 16
@byte = internal constant i8 7, align 1
@aligned = internal constant [2 x i64] [i64 -1, i64 12345678901], align 64
@inner = internal constant ptr getelementptr (i8, ptr @table, i32 8), align 4
@counter = internal global i32 0, align 4

{_ENTRY} {{
{_load_arguments("out")}
  %k.wide = load i64, ptr %symbols
  %k = trunc i64 %k.wide to i32
  %indexed = getelementptr float, ptr @table, i32 %k
  %f0 = load float, ptr %indexed
  %f1 = load float, ptr getelementptr (i8, ptr @table, i32 12)
  %p = load volatile ptr, ptr @inner
  %f2 = load float, ptr %p
  %byte = load volatile i8, ptr @byte
  %f3 = uitofp i8 %byte to float
  %big = load volatile i64, ptr getelementptr (i8, ptr @aligned, i32 8)
  %small = sub i64 %big, 12345678900
  %f4 = sitofp i64 %small to float
  %old = load i32, ptr @counter
  %new = add i32 %old, 1
  store i32 %new, ptr @counter
  %f5 = sitofp i32 %new to float
  %address = ptrtoint ptr @aligned to i32
  %misplaced = and i32 %address, 63
  %f6 = sitofp i32 %misplaced to float
  store float %f0, ptr %out
  %o1 = getelementptr float, ptr %out, i32 1
  store float %f1, ptr %o1
  %o2 = getelementptr float, ptr %out, i32 2
  store float %f2, ptr %o2
  %o3 = getelementptr float, ptr %out, i32 3
  store float %f3, ptr %o3
  %o4 = getelementptr float, ptr %out, i32 4
  store float %f4, ptr %o4
  %o5 = getelementptr float, ptr %out, i32 5
  store float %f5, ptr %o5
  %o6 = getelementptr float, ptr %out, i32 6
  store float %f6, ptr %o6
  ret i32 0
}}
"""
"""out = table[k], table[3] and table[2] (through a pointer in data), 7, 1, calls so far, 0."""

COPY: Final = f"""
declare void @llvm.memcpy.p0.p0.i32(ptr, ptr, i32, i1)
declare void @llvm.memmove.p0.p0.i32(ptr, ptr, i32, i1)
declare void @llvm.memset.p0.i32(ptr, i8, i32, i1)

{_ENTRY} {{
{_load_arguments("in", "out")}
  %n.wide = load i64, ptr %symbols
  %n = trunc i64 %n.wide to i32
  call void @llvm.memcpy.p0.p0.i32(ptr %out, ptr %in, i32 %n, i1 false)
  %second = getelementptr i8, ptr %out, i32 1
  %shorter = sub i32 %n, 1
  call void @llvm.memmove.p0.p0.i32(ptr %second, ptr %out, i32 %shorter, i1 false)
  %half = lshr i32 %n, 1
  call void @llvm.memset.p0.i32(ptr %out, i8 9, i32 %half, i1 false)
  ret i32 0
}}
"""
"""out = in moved one byte on, then its first half set to 9."""

COPY_BY_CALLS: Final = f"""
declare ptr @memset(ptr, i32, i32)
declare ptr @memcpy(ptr, ptr, i32)
declare ptr @memmove(ptr, ptr, i32)

{_ENTRY} {{
{_load_arguments("in", "out")}
  %n.wide = load i64, ptr %symbols
  %n = trunc i64 %n.wide to i32
  %same = call ptr @memcpy(ptr %out, ptr %in, i32 %n)
  %second = getelementptr i8, ptr %same, i32 1
  %shorter = sub i32 %n, 1
  %moved = call ptr @memmove(ptr %second, ptr %out, i32 %shorter)
  %first = getelementptr i8, ptr %moved, i32 -1
  %half = lshr i32 %n, 1
  %set = call ptr @memset(ptr %first, i32 9, i32 %half)
  ret i32 0
}}
"""
"""The same, through the functions of the C library and what they return."""

TABLE: Final = f"""
@operations = internal constant [3 x ptr] [ptr @double, ptr @negate, ptr @double], align 4

define internal float @unrelated(float %x) noinline {{
  ret float %x
}}

define internal float @negate(float %x) noinline {{
  %y = fneg float %x
  ret float %y
}}

define internal float @double(float %x) noinline {{
  %y = fadd float %x, %x
  ret float %y
}}

define internal float @apply(ptr %operation, float %x) noinline {{
  %y = call float %operation(float %x)
  ret float %y
}}

{_ENTRY} {{
{_load_arguments("in", "out")}
  %k.wide = load i64, ptr %symbols
  %k = trunc i64 %k.wide to i32
  %slot = getelementptr ptr, ptr @operations, i32 %k
  %operation = load ptr, ptr %slot
  %x = load float, ptr %in
  %y = call float @apply(ptr %operation, float %x)
  %z = call float @apply(ptr @negate, float %y)
  %w = call float @unrelated(float %z)
  store float %w, ptr %out
  ret i32 0
}}
"""
"""out = -operations[k](in): a table of pointers in data, and a function's address in code."""

FAILURES: Final = f"""
define internal i32 @descend(i32 %depth) noinline {{
  %frame = alloca [256 x i32], align 16
  store volatile i32 %depth, ptr %frame
  %again = icmp ne i32 %depth, 0
  br i1 %again, label %deeper, label %bottom
deeper:
  %next = sub i32 %depth, 1
  %below = call i32 @descend(i32 %next)
  %mine = load volatile i32, ptr %frame
  %sum = add i32 %below, %mine
  ret i32 %sum
bottom:
  ret i32 0
}}

{_ENTRY} {{
{_load_arguments("out")}
  %depth.at = getelementptr i64, ptr %symbols, i32 1
  %depth.wide = load i64, ptr %depth.at
  %depth = trunc i64 %depth.wide to i32
  %sum = call i32 @descend(i32 %depth)
  store i32 %sum, ptr %out
  %status.wide = load i64, ptr %symbols
  %status = trunc i64 %status.wide to i32
  ret i32 %status
}}
"""
"""out = 0 + 1 + … + symbols[1], with 1 KiB of stack per step; returns symbols[0]."""

ADD_CONSTANT: Final = f"""
{_ENTRY} {{
{_load_arguments("in", "out", "constant")}
  %x = load float, ptr %in
  %c = load float, ptr %constant
  %y = fadd float %x, %c
  store float %y, ptr %out
  ret i32 0
}}
"""

UNRESOLVED: Final = f"""
@elsewhere = external global i32
declare float @helper(float)
declare void @never_called()

{_ENTRY} {{
{_load_arguments("in", "out")}
  %x = load float, ptr %in
  %y = load float, ptr %out
  %r = frem float %x, %y
  %h = call float @helper(float %r)
  store float %h, ptr %out
  %e = load i32, ptr @elsewhere
  ret i32 %e
}}
"""


BEFORE_ALL = f"""
@x = internal global float 3.5
@before = internal global ptr getelementptr (i8, ptr @x, i32 -10000000)

{_ENTRY} {{
{_load_arguments("out")}
  %far = load ptr, ptr @before
  %at = getelementptr i8, ptr %far, i32 10000000
  %value = load float, ptr %at
  store float %value, ptr %out
  ret i32 0
}}
"""
"""Keeps an address below zero, from which it comes back."""
