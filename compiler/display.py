"""Kernels as a notebook shows them: what is compiled for what, and the code of every stage.

In: a `Kernel`, or what one was compiled to. Out: HTML that needs no script and no style sheet, as
hosts of notebooks remove both.
"""

from __future__ import annotations

from html import escape
from inspect import signature
from typing import TYPE_CHECKING

from tilewright.compiler.stage_text import stage_text

if TYPE_CHECKING:
    from tilewright.compiler.api import Kernel
    from tilewright.compiler.specialization import Specialization
    from tilewright.ir.graph import Tensor

_COMMON_STAGES = ("graph", "optimized", "program")
_MOST_LINES = 300
_TABLE = "border-collapse: collapse; margin: 0.3em 0"
_CELL = "text-align: left; padding: 0.1em 1em 0.1em 0"


def kernel_html(kernel: Kernel) -> str:
    """Signature, target, and every specialisation so far."""
    compiled = kernel.specializations
    title = f"<b>{escape(kernel.__name__)}</b>{escape(str(signature(kernel)))}"
    facts = [f"on {kernel.target}", f"numerics {kernel.options.numerics}"]
    if kernel.bound:
        facts.append(f"bound: {', '.join(kernel.bound)}")
    if not compiled:
        facts.append("not compiled yet: that happens at the first call")
    head = f"<div><code>{title}</code> {escape(' · '.join(facts))}</div>"
    return head + "".join(specialization_html(s) for s in compiled)


def specialization_html(compiled: Specialization) -> str:
    """Arguments and results, and one fold per stage."""
    traced = compiled.traced
    rows = [(name, str(spec)) for name, spec in traced.specs.items()]
    rows += [
        ("result" if len(traced.outputs) == 1 else f"result {number}", _tensor_text(tensor))
        for number, tensor in enumerate(traced.graph.outputs)
    ]
    table = "".join(
        f'<tr><td style="{_CELL}"><code>{escape(name)}</code></td>'
        f'<td style="{_CELL}"><code>{escape(text)}</code></td></tr>'
        for name, text in rows
    )
    folds = "".join(_fold(name, stage_text(value)) for name, value in _distinct(compiled))
    title = f"compiled for {compiled.target.name}"
    return (
        f"<details open><summary>{escape(title)}</summary>"
        f'<table style="{_TABLE}">{table}</table>{folds}</details>'
    )


def _distinct(compiled: Specialization) -> list[tuple[str, object]]:
    """The stages; those that changed nothing hold the very object of the one before.

    Assembly is left out: LLVM would have to run for it, at every display.
    """
    names = [n for n in (*_COMMON_STAGES, *compiled.target.stages) if n != "asm"]
    stages = [(name, compiled.stage(name)) for name in names]
    before = [None, *(value for _, value in stages)]
    return [stage for stage, last in zip(stages, before, strict=False) if stage[1] is not last]


def _tensor_text(tensor: Tensor) -> str:
    return f"{tensor.dtype.short}[{', '.join(map(str, tensor.shape))}]"


def _fold(name: str, text: str) -> str:
    lines = text.rstrip("\n").split("\n")
    shown = "\n".join(lines[:_MOST_LINES])
    if len(lines) > _MOST_LINES:
        shown += f"\n… {len(lines) - _MOST_LINES} more lines: stage({name!r})"
    count = f"{len(lines)} line{'' if len(lines) == 1 else 's'}"
    return (
        f"<details><summary>{escape(name)}, {count}</summary><pre>{escape(shown)}</pre></details>"
    )
