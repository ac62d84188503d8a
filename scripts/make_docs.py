"""Rewrites the generated blocks of the pages in docs/: ``python scripts/make_docs.py [--check]``.

In: pages with blocks ``<!-- generated:NAME -->`` … ``<!-- end -->``. Out: the same pages with each
block made anew by the generator of that name, from the Python block that stands before it in the
page. With ``--check`` nothing is written, and pages that would change are an error.
"""

from __future__ import annotations

import argparse
import functools
import linecache
import re
import sys
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

from tilewright.codegen_cpu import backend
from tilewright.codegen_cpu.jit import assembly
from tilewright.codegen_cpu.target import cpu_target
from tilewright.compiler.compiled import Compiled
from tilewright.compiler.stage_text import stage_text
from tilewright.compiler.trace.coverage import Entry, numpy_coverage
from tilewright.ir.element_types import f32
from tilewright.ir.errors import TilewrightError
from tilewright.ir.lower.reduction_plan import PRODUCT_RUN, SUM_RUN, height, plan_levels

DOCS = Path(__file__).resolve().parent.parent / "docs"
# A level of x86-64 and not this machine, so that the pages are the same wherever they are made.
MACHINE = "x86-64-v3"
PREAMBLE = "import numpy as np\nimport tilewright as tw\n"

_BLOCK = re.compile(r"(<!-- generated:(\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
_PYTHON = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_EXAMPLE_FILE = "example.py"


def regenerate(page: str, only: Callable[[str], bool] = lambda _: True) -> str:
    """The text of a page with its generated blocks made anew; `only` chooses them by name."""

    def made(found: re.Match[str]) -> str:
        opening, name, closing = found.groups()
        if not only(name):
            return found.group()
        sources = _PYTHON.findall(page[: found.start()])
        text = GENERATORS[name](sources[-1] if sources else "")
        return f"{opening}{text.rstrip()}\n{closing}"

    return _BLOCK.sub(made, page)


def run_example(source: str) -> dict[str, Any]:
    """The names that a Python block defines; NumPy and Tilewright are imported already."""
    names: dict[str, Any] = {"__name__": "example"}
    exec(PREAMBLE, names)
    # Messages quote the line that they are about, which they look for here.
    linecache.cache[_EXAMPLE_FILE] = (len(source), None, source.splitlines(True), _EXAMPLE_FILE)
    exec(compile(source, _EXAMPLE_FILE, "exec"), names)
    return names


# --- one kernel at every stage ---


@functools.cache
def _softmax(source: str, target: str) -> Compiled:
    return run_example(source)["softmax"].compile(f32[4, 100], target=target)  # type: ignore[no-any-return]


def _stage(name: str, target: str = "cpu", language: str = "") -> Callable[[str], str]:
    return lambda source: _fenced(stage_text(_softmax(source, target).stage(name)), language)


@functools.cache
def _cpu_stages(source: str) -> dict[str, object]:
    """What the CPU's back end makes of the program, for `MACHINE`."""
    stages: dict[str, object] = {}
    program: Any = _softmax(source, "cpu").stage("program")
    backend.build(program, cpu_target(MACHINE), None, stages.__setitem__)
    return stages


def _kernel(source: str) -> str:
    stages = _cpu_stages(source)
    return _fenced(stage_text(stages["schedule"])) + "\n" + _fenced(stage_text(stages["kernel"]))


def _llvm(source: str) -> str:
    text = str(_cpu_stages(source)["llvm"])
    return _fenced(_block_with(text, "fdiv <8 x float>", r"^\w+:$"), "llvm")


def _assembly(source: str) -> str:
    text = assembly(str(_cpu_stages(source)["llvm"]), cpu_target(MACHINE))
    return _fenced(_block_with(text, "vdivps\t", r"^\.\w+:$"), "asm")


def _wat(source: str) -> str:
    text = str(_softmax(source, "wasm").stage("wat"))
    lines = text.splitlines()
    division = next(i for i, line in enumerate(lines) if "f32x4.div" in line)
    first = max(i for i, line in enumerate(lines[:division]) if line.strip() == "loop")
    depth = len(lines[first]) - len(lines[first].lstrip())
    last = next(i for i in range(first + 1, len(lines)) if lines[i] == " " * depth + "end")
    return _fenced("\n".join(line[depth:] for line in lines[first : last + 1]), "wat")


def _block_with(text: str, needle: str, label: str) -> str:
    """The first stretch of `text` from a label to the next one that has `needle` in it."""
    starts = [m.start() for m in re.finditer(label, text, re.MULTILINE)]
    stretches = (text[a:b] for a, b in zip(starts, [*starts[1:], len(text)], strict=True))
    return next(s for s in stretches if needle in s)


# --- NumPy ---


def _numpy_summary(_: str) -> str:
    entries = numpy_coverage()
    counts = {s: sum(e.status == s for e in entries) for s in ("traced", "known", "refused")}
    return (
        f"Of {len(entries)} public callables of `np`, `np.linalg` and `np.random`,"
        f" {counts['traced']} are traced, {counts['known']} work on known values, and"
        f" {counts['refused']} are refused."
    )


def _numpy_traced(_: str) -> str:
    return ", ".join(f"`{e.name}`" for e in numpy_coverage() if e.status == "traced")


def _numpy_known(_: str) -> str:
    rows = [f"| `{e.name}` | {_advice(e)} |" for e in numpy_coverage() if e.status == "known"]
    return "\n".join(["| callable | instead |", "| --- | --- |", *rows])


def _numpy_refused(_: str) -> str:
    return ", ".join(f"`{e.name}`" for e in numpy_coverage() if e.status == "refused")


def _advice(entry: Entry) -> str:
    """What the error advises; a guess at a misspelt name is no advice for a name that exists."""
    guess = entry.advice.startswith("did you mean")
    general = entry.advice.startswith("compute it outside")
    return "–" if guess or general else entry.advice.replace("|", r"\|")


# --- reductions ---

_SIZES = (100, 1000, 10_000, 100_000, 1_000_000)
_LANES = (1, 16, 32, 64)


def _reduction_runs(_: str) -> str:
    runs = [(size, len([*same])) for size, same in groupby(plan_levels([1 << 60], SUM_RUN)[0][1:])]
    levels = [f"{size} in {count} level{'s' * (count > 1)}" for size, count in runs[:-1]]
    above = ", then ".join([*levels, f"{runs[-1][0]} in all above"])
    return (
        f"   A run has at most {SUM_RUN} elements, in sums of products at most {PRODUCT_RUN};"
        f"\n   above the first level it has {above}."
    )


def _reduction_heights(_: str) -> str:
    head = " | ".join(f"sum, *L* = {lanes}" for lanes in _LANES)
    head = f"{head} | 24 + ⌈log₂ *n*⌉ | products, *L* = 1"
    rows = [f"| *n* | {head} |", "| --- |" + " --- |" * (len(_LANES) + 2)]
    for size in _SIZES:
        heights = [_height(size, SUM_RUN, lanes) for lanes in _LANES]
        heights += [24 + (size - 1).bit_length(), _height(size, PRODUCT_RUN, 1)]
        rows.append(f"| {size:,} | {' | '.join(map(str, heights))} |".replace(",", " "))
    return "\n".join(rows)


def _height(size: int, run: int, lanes: int) -> int:
    return height([-(-size // lanes)], run, lanes)


# --- errors ---


def _message(source: str) -> str:
    try:
        run_example(source)
    except TilewrightError as error:
        return _fenced(f"{type(error).__name__}: {error}", "text")
    raise ValueError(f"this example raises nothing:\n{source}")


def _fenced(text: str, language: str = "") -> str:
    return f"```{language}\n{text.rstrip()}\n```"


GENERATORS: dict[str, Callable[[str], str]] = {
    "graph": _stage("graph"),
    "optimized": _stage("optimized"),
    "program": _stage("program"),
    "kernel": _kernel,
    "llvm": _llvm,
    "asm": _assembly,
    "wgsl": _stage("wgsl", "wgsl", "wgsl"),
    "glsl": _stage("glsl", "glsl", "glsl"),
    "wat": _wat,
    "numpy-summary": _numpy_summary,
    "numpy-traced": _numpy_traced,
    "numpy-known": _numpy_known,
    "numpy-refused": _numpy_refused,
    "reduction-runs": _reduction_runs,
    "reduction-heights": _reduction_heights,
    "message": _message,
}


def main() -> int:
    parser = argparse.ArgumentParser(description="Rewrite the generated blocks in docs/.")
    parser.add_argument("--check", action="store_true", help="fail where a block is out of date")
    check = parser.parse_args().check
    stale = 0
    for path in sorted(DOCS.glob("*.md")):
        old = path.read_text(encoding="utf-8")
        new = regenerate(old)
        if new == old:
            continue
        stale += 1
        print(f"{path.name} is out of date" if check else f"wrote {path.name}")
        if not check:
            path.write_text(new, encoding="utf-8")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
