"""What a compiled kernel costs, read off its program and its code: nothing runs, nothing is timed.

In: an entry of the gallery and the name of a target. Out: a `Row` of numbers of which less is
better.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from functools import cache

from benchmarks.gallery import Entry
from tests.code_quality.program_costs import cpu_costs, gpu_costs
from tilewright.codegen_cpu import backend as cpu
from tilewright.codegen_cpu.jit import compile_object, verbose_assembly
from tilewright.codegen_cpu.target import cpu_target
from tilewright.codegen_glsl import backend as glsl
from tilewright.codegen_wgsl import backend as wgsl
from tilewright.codegen_wgsl.options import WgslOptions
from tilewright.compiler.arguments import describe
from tilewright.compiler.trace.run import trace
from tilewright.ir.fuse.options import CPU, FRAGMENT, WORKGROUP, FusionOptions
from tilewright.ir.fuse.program_builder import build_program
from tilewright.ir.graph import Graph
from tilewright.ir.passes import run_passes
from tilewright.ir.passes.narrow_positions import narrow_positions
from tilewright.ir.program import Program

CPU_TARGETS = ("x86-64-v4", "x86-64-v3", "aarch64-neon", "wasm32-simd128")
TARGETS = (*CPU_TARGETS, "wgsl", "glsl")


@dataclass(frozen=True)
class Row:
    """`moved` and `scratch` are in bytes, `code` in bytes of object code or characters of shaders.

    `moved` counts each buffer that a launch reads or writes once, `scratch` the temporaries of the
    program and the largest local memory of a launch. `reloads` are the instructions in loops that
    fetch a spilled vector, `calls` those of functions that are not ours.
    """

    launches: int
    moved: int
    scratch: int
    code: int
    reloads: int = 0
    calls: int = 0

    def worse_than(self, other: Row) -> list[str]:
        """In what: code may grow by an eighth before it counts."""
        room = {"code": max(other.code // 8, 256)}
        return [
            f"{f.name} {getattr(other, f.name)} -> {getattr(self, f.name)}"
            for f in fields(self)
            if getattr(self, f.name) > getattr(other, f.name) + room.get(f.name, 0)
        ]


def measure(entry: Entry, target: str) -> Row:
    """The costs of one kernel on one target."""
    graph = _graph(entry)
    if target == "wgsl":
        return _measure_wgsl(narrow_positions(graph))
    if target == "glsl":
        return _measure_glsl(narrow_positions(graph))
    return _measure_cpu(graph, target)


@cache
def _graph(entry: Entry) -> Graph:
    names = entry.kernel.__code__.co_varnames
    specs = {n: describe(a, n)[0] for n, a in zip(names, entry.inputs(), strict=False)}
    return trace(entry.kernel, specs).graph


def _program(graph: Graph, options: FusionOptions) -> Program:
    return build_program(run_passes(graph), options, "program")


def _measure_cpu(graph: Graph, name: str) -> Row:
    target = cpu_target(name)
    lowered = cpu.lower(_program(graph, CPU), target)
    text = cpu.emit(lowered, target)
    shown = verbose_assembly(text, target)
    costs = cpu_costs(lowered.program)
    return Row(*costs, len(compile_object(text, target)), _reloads(shown), _foreign_calls(shown))


def _measure_wgsl(graph: Graph) -> Row:
    made = wgsl.build(_program(graph, WORKGROUP), WgslOptions(f64="f32"))
    return Row(*gpu_costs(made.program), len(wgsl.source(made.program)))


def _measure_glsl(graph: Graph) -> Row:
    made = glsl.build(_program(graph, FRAGMENT))
    return Row(*gpu_costs(made), len(glsl.source(made)))


# Assembly, with LLVM's comments on loops and spilled registers.

_BLOCK = re.compile(r"^(?:\.?LBB\d+_\d+:|(?:#|//) %bb\.\d+:)")
_LOOP = re.compile(r"Loop Header|in Loop")
_VECTOR_RELOAD = re.compile(r"(?:16|32|64)-byte (?:Folded )?Reload")
_CALL = re.compile(r"^\s+(?:callq?|bl|jmp)\s+([A-Za-z_]\w*)", re.MULTILINE)
_LABEL = re.compile(r"^([A-Za-z_]\w*):", re.MULTILINE)


def _reloads(text: str) -> int:
    """Vectors that loops fetch from where they were spilled."""
    found, in_loop = 0, False
    for line in text.splitlines():
        if _BLOCK.match(line):
            in_loop = False
        in_loop = in_loop or _LOOP.search(line) is not None
        found += in_loop and _VECTOR_RELOAD.search(line) is not None
    return found


def _foreign_calls(text: str) -> int:
    """Calls of functions that are not in the module: a mathematical library's, for example."""
    own = {*_LABEL.findall(text), "tw_poll"}
    return sum(name not in own for name in _CALL.findall(text))
