"""Code and records for tests of calls through the dispatcher."""

from __future__ import annotations

from typing import Any

import numpy as np

from tilewright.codegen_cpu.fast_callable import FastCallable
from tilewright.codegen_cpu.fast_spec import (
    Argument,
    ArrayArgument,
    FastSpec,
    Linear,
    Open,
    Output,
    ScalarArgument,
)
from tilewright.codegen_cpu.jit import compile_object
from tilewright.codegen_cpu.loader import LoadedObject, load_object
from tilewright.codegen_cpu.target import host_target

F32 = np.dtype(np.float32)
F64 = np.dtype(np.float64)
I64 = np.dtype(np.int64)

ENTRY = "define i32 @tw_main(ptr %runtime, ptr %args, ptr %symbols, ptr %workspace) nounwind"


def build(body: str) -> LoadedObject:
    return load_object(compile_object(f"{ENTRY} {{\n{body}\n}}\n", host_target()))


def load_pointers(*names: str) -> str:
    return "".join(
        f"%{name}_at = getelementptr ptr, ptr %args, i64 {k}\n%{name} = load ptr, ptr %{name}_at\n"
        for k, name in enumerate(names)
    )


def add3(count: str) -> LoadedObject:
    """out[i] = a[i] + b[i] + c[i] for float32 and `count` elements, a literal or ``%n``."""
    return build(f"""
      %n = load i64, ptr %symbols
      {load_pointers("a", "b", "c", "out")}
      br label %loop
    loop:
      %i = phi i64 [ 0, %0 ], [ %i_next, %body ]
      %more = icmp slt i64 %i, {count}
      br i1 %more, label %body, label %done
    body:
      %i_next = add i64 %i, 1
      %a_i = getelementptr float, ptr %a, i64 %i
      %b_i = getelementptr float, ptr %b, i64 %i
      %c_i = getelementptr float, ptr %c, i64 %i
      %out_i = getelementptr float, ptr %out, i64 %i
      %x = load float, ptr %a_i
      %y = load float, ptr %b_i
      %z = load float, ptr %c_i
      %xy = fadd float %x, %y
      %xyz = fadd float %xy, %z
      store float %xyz, ptr %out_i
      br label %loop
    done:
      ret i32 0""")


class Kernel(FastCallable):
    """Counts the calls that take the slow path."""

    def __init__(self) -> None:
        self.slow_calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.slow_calls.append((args, kwargs))
        return "slow"


def unexpected(status: int, *arguments: object) -> None:
    raise AssertionError(f"status {status}")


def add3_spec(shape: tuple[int, ...] = (4, 6), **changes: Any) -> FastSpec:
    code = add3(str(int(np.prod(shape))))
    argument = ArrayArgument(F32, shape)
    fields: dict[str, Any] = {
        "arguments": (argument,) * 3,
        "outputs": (Output(F32, shape),),
        "entry": code.address(),
        "on_error": unexpected,
        "keep": (code,),
    }
    return FastSpec(**fields | changes)


def arrays(count: int, shape: tuple[int, ...], seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(F32) for _ in range(count)]


def misaligned(array: np.ndarray) -> np.ndarray:
    """The same elements at an odd address."""
    memory = np.zeros(array.nbytes + 1, np.uint8)
    result = memory[1:].view(array.dtype).reshape(array.shape)
    result[...] = array
    return result


VIEWS: dict[str, np.ndarray] = {
    "Fortran order": np.arange(24, dtype=F32).reshape(6, 4).T,
    "strided": np.arange(48, dtype=F32).reshape(4, 12)[:, ::2],
    "negative strides": np.arange(24, dtype=F32).reshape(4, 6)[::-1],
    "broadcast": np.broadcast_to(np.arange(6, dtype=F32), (4, 6)),
    "misaligned": misaligned(np.arange(24, dtype=F32).reshape(4, 6)),
}
"""Arrays of add3_spec's dtype and shape that lie otherwise in memory."""


def open_spec(output: tuple[int | Linear, ...] = (Linear(0, 1, 0),)) -> FastSpec:
    code = add3("%n")
    shapes: tuple[Argument, ...] = (ArrayArgument(F32, (Open(0),)),) * 3
    return FastSpec(shapes, (Output(F32, output),), code.address(), unexpected, keep=(code,))


STATUS = """
  %p = load ptr, ptr %args
  %v = load i32, ptr %p
  ret i32 %v"""


def failing(on_error: Any, **changes: Any) -> FastSpec:
    code = build(STATUS)
    arguments = (ScalarArgument(np.dtype(np.int32)), ArrayArgument(F32, (2,)))
    outputs = (Output(F32, (3,)),)
    return FastSpec(arguments, outputs, code.address(), on_error, keep=(code,), **changes)
