"""Kernels as a notebook shows them: what is compiled for what, and the code of every stage.

In: a `Kernel`, or what one was compiled to. Out: HTML that needs no script and no style sheet, as
hosts of notebooks remove both.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from inspect import signature
from typing import TYPE_CHECKING

from tilewright.compiler.stage_text import stage_text
from tilewright.compiler.targets import shown_mode
from tilewright.ir.errors import TilewrightError

if TYPE_CHECKING:
    from tilewright.compiler.api import Kernel
    from tilewright.compiler.compiled import Compiled
    from tilewright.compiler.interface import OutputInfo
    from tilewright.compiler.specialization import Specialization
    from tilewright.ir.expr import Size

_COMMON_STAGES = ("graph", "optimized", "program")
_MOST_LINES = 300
_SHOWN = 0.05  # milliseconds
_TABLE = "border-collapse: collapse; margin: 0.3em 0"
_CELL = "text-align: left; padding: 0.1em 1em 0.1em 0"


def kernel_html(kernel: Kernel) -> str:
    """Signature, target, and every specialisation so far, those on other targets with them."""
    compiled = [s for k in (kernel, *kernel.on_other_targets) for s in k.specializations]
    title = f"<b>{escape(kernel.__name__)}</b>{escape(str(signature(kernel)))}"
    facts = [f"on {kernel.target}", f"numerics {kernel.options.numerics}"]
    if kernel.bound:
        facts.append(f"bound: {', '.join(kernel.bound)}")
    if not compiled:
        facts.append("not compiled yet: that happens at the first call")
    head = f"<div><code>{title}</code> {escape(' · '.join(facts))}</div>"
    return head + "".join(specialization_html(s) for s in compiled)


def compiled_html(compiled: Compiled) -> str:
    """Name and target of what was compiled ahead of time or loaded, and its stages."""
    specialization = compiled.specialization
    head = f"<div><code><b>{escape(compiled.__name__)}</b></code></div>"
    return head + specialization_html(specialization)


def specialization_html(compiled: Specialization) -> str:
    """Arguments and results, and one fold per stage."""
    interface = compiled.interface
    rows = [(name, str(spec)) for name, spec in interface.specs.items()]
    results = list(zip(interface.outputs, interface.output_shapes, strict=True))
    rows += [
        ("result" if len(results) == 1 else f"result {number}", _result_text(info, shape))
        for number, (info, shape) in enumerate(results)
    ]
    table = "".join(
        f'<tr><td style="{_CELL}"><code>{escape(name)}</code></td>'
        f'<td style="{_CELL}"><code>{escape(text)}</code></td></tr>'
        for name, text in rows
    )
    folds = "".join(_fold(name, stage_text(value)) for name, value in _distinct(compiled))
    title = f"compiled for {compiled.target.name}{shown_mode(compiled.options)}"
    if compiled.seconds is not None:
        title += f" in {compiled.seconds * 1e3:.1f} ms"
    stages = [f"{stage} {ms:.1f}" for stage, ms in compiled.timings.items() if ms >= _SHOWN]
    if stages:
        title += f": {', '.join(stages)}"
    return (
        f"<details open><summary>{escape(title)}</summary>"
        f'<table style="{_TABLE}">{table}</table>{folds}</details>'
    )


def _distinct(compiled: Specialization) -> list[tuple[str, object]]:
    """The stages; those that changed nothing hold the very object of the one before.

    Assembly is left out: LLVM would have to run for it, at every display.
    """
    names = [n for n in (*_COMMON_STAGES, *compiled.target.stages) if n != "asm"]
    try:
        stages = [(name, compiled.stage(name)) for name in names]
    except TilewrightError:  # loaded from a file, which holds the code only
        return [] if compiled.text is None else [("source", compiled.text)]
    before = [None, *(value for _, value in stages)]
    return [stage for stage, last in zip(stages, before, strict=False) if stage[1] is not last]


def _result_text(info: OutputInfo, shape: Sequence[Size]) -> str:
    return f"{info.dtype}[{', '.join(map(str, shape))}]"


def _fold(name: str, text: str) -> str:
    lines = text.rstrip("\n").split("\n")
    shown = "\n".join(lines[:_MOST_LINES])
    if len(lines) > _MOST_LINES:
        shown += f"\n… {len(lines) - _MOST_LINES} more lines: stage({name!r})"
    count = f"{len(lines)} line{'' if len(lines) == 1 else 's'}"
    return (
        f"<details><summary>{escape(name)}, {count}</summary><pre>{escape(shown)}</pre></details>"
    )
