"""What the compiler makes of a function of the corpus, in numbers: nothing runs, nothing is timed.

In: a case of the corpus and the name of a target. Out: `Counts` of its legal kernels and of their
code, or the class of the error with which the target refuses the function.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

import tilewright as tw
from tests.code_quality.program_costs import cpu_costs, gpu_costs
from tests.corpus.all_cases import Case
from tilewright.codegen_cpu import backend as cpu
from tilewright.codegen_cpu.target import cpu_target
from tilewright.compiler.api import Kernel, _is_number, _number
from tilewright.compiler.driver import StageRecord, build, trace_for
from tilewright.compiler.runtime import runtime
from tilewright.compiler.targets import open_target
from tilewright.compiler.trace.run import Traced
from tilewright.ir import ops
from tilewright.ir.expr import Apply, Expr, LaneReduce, Load, post_order
from tilewright.ir.fuse.options import CPU
from tilewright.ir.fuse.program_builder import build_program
from tilewright.ir.kernel import Barrier, For, If, Store, WhileLoop, expressions, statements
from tilewright.ir.kernel import Kernel as LoopNest
from tilewright.ir.passes import run_passes
from tilewright.ir.program import Program, kernels

GPU_TARGETS = ("wgsl", "glsl")
TARGETS = ("x86-64-v3", *GPU_TARGETS)


@dataclass(frozen=True)
class Counts:
    """`moved` and `scratch` are in bytes; the rest counts statements and distinct operations.

    `vectors` are the loops over lanes and those that are written out, `loops` all others. `wide`
    are the values of 64 bits. `code` are the instructions of the LLVM text or the tokens of the
    shaders, in which every loop counts once.
    """

    launches: int
    moved: int
    scratch: int
    loops: int
    vectors: int
    branches: int
    barriers: int
    stores: int
    loads: int
    operations: int
    choices: int
    casts: int
    wide: int
    code: int


def count(case: Case, target: str) -> Counts | str:
    """The counts of one function on one target, or how it is refused."""
    try:
        return _on_gpu(case, target) if target in GPU_TARGETS else _on_cpu(case, target)
    except tw.TilewrightError as error:
        return type(error).__name__


def _on_cpu(case: Case, level: str) -> Counts:
    machine = cpu_target(level)
    traced = _traced(tw.kernel(case.function), case)
    lowered = cpu.lower(build_program(run_passes(traced.graph), CPU, "program"), machine)
    instructions = len(_INSTRUCTION.findall(cpu.emit(lowered, machine)))
    made = kernels((*lowered.program.init, *lowered.program.steps))
    return _counts(cpu_costs(lowered.program), made, instructions)


def _on_gpu(case: Case, target: str) -> Counts:
    kernel = tw.kernel(target=target, f64="f32")(case.function)
    stages: dict[str, Any] = {}
    made = build(
        _traced(kernel, case),
        open_target(target, runtime()),
        replace(kernel.options, portable=True),
        StageRecord(stages, {}),
    )
    launched = stages["kernel"]
    if isinstance(launched, Program):
        launched = kernels(launched.steps)
    tokens = len(_TOKEN.findall(stages[target]))
    return _counts(gpu_costs(getattr(made, "program", made)), launched, tokens)


def _traced(kernel: Kernel, case: Case) -> Traced:
    values, specs = kernel._describe(case.args, {})
    numbers = {name: _number(v) for name, v in values.items() if _is_number(v, specs[name])}
    return trace_for(case.function, specs, numbers, kernel.target, runtime())


_INSTRUCTION = re.compile(r"^  [^ ;]", re.MULTILINE)
_TOKEN = re.compile(r"\w+|[^\w\s]")


def _counts(costs: tuple[int, int, int], made: Iterable[LoopNest], code: int) -> Counts:
    found: Counter[str] = Counter()
    for kernel in made:
        for stmt in statements(kernel.body):
            found[_kind_of_statement(stmt)] += 1
            for node in post_order(expressions(stmt)):
                found[_kind_of_value(node)] += 1
                found["wide"] += node.dtype.bits == 64 and node.dtype.kind != "x"
    del found[""]
    return Counts(*costs, **{name: found[name] for name in _COUNTED}, code=code)


_COUNTED = tuple(Counts.__annotations__)[3:-1]


def _kind_of_statement(stmt: object) -> str:
    match stmt:
        case For(kind="vector" | "unroll"):
            return "vectors"
        case For() | WhileLoop():
            return "loops"
        case If():
            return "branches"
        case Store():
            return "stores"
        case Barrier():
            return "barriers"
    raise AssertionError(f"{type(stmt).__name__} is not counted")


def _kind_of_value(node: Expr) -> str:
    match node:
        case Load():
            return "loads"
        case Apply() if node.op is ops.SELECT:
            return "choices"
        case Apply() if node.op is ops.CAST:
            return "casts"
        case Apply() | LaneReduce():
            return "operations"
    return ""
