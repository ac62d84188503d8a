"""``tilewright show``: a kernel at one stage of its compilation."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from tilewright.compiler.cli.argument_values import Argument, kernel_arguments, kernel_specs
from tilewright.compiler.cli.kernel_file import KernelPath, load_kernel
from tilewright.compiler.cli.options import argument_option, examples, kernel_path, target_option
from tilewright.compiler.output_file import check_writable, write_atomically
from tilewright.compiler.targets import GPU_TARGETS

if TYPE_CHECKING:
    from tilewright.compiler.compiled import Compiled

STAGES = (
    "graph", "optimized", "program", "schedule", "kernel", "llvm", "asm", "wat", "wgsl", "glsl"
)  # fmt: skip
# Stages that only one target has choose it.
_TARGET_OF = {"wat": "wasm", "wgsl": "wgsl", "glsl": "glsl"}


@click.command(
    short_help="The IR or the generated code of a kernel.",
    epilog=examples(
        "tilewright show kernels.py:softmax --arg x=f32[64,1000]",
        "tilewright show kernels.py:softmax --arg x=f32[N,1000] --stage program",
        "tilewright show kernels.py:softmax --arg x=f32[64,1000] --stage wgsl",
        "tilewright show kernels.py:softmax --arg x=f32[64,1000] --after lower_reshapes",
        "tilewright show kernels.py:softmax --arg x=f32[64,1000] --target wgsl --html page.html",
        after="""Stages: graph is what is computed, optimized the same after the passes, program
        what is fused and kept where, schedule how each nest runs, kernel its loops; then the code:
        llvm and asm on cpu, llvm and wat on wasm, wgsl, glsl.

        An open dimension is a name in place of a size: x=f32[N,1000]. FILE.py may be `-`
        for standard input. No device is needed but for --time.""",
    ),
)
@kernel_path()
@argument_option
@target_option
@click.option(
    "--stage",
    type=click.Choice(STAGES),
    metavar="|".join(STAGES),
    help="What to show.  [default: graph]",
)
@click.option("--after", metavar="PASS", help="The graph as this pass left it.")
@click.option("--locations", is_flag=True, help="Say which of your lines each operation is from.")
@click.option("--html", metavar="FILE", help="Write all stages as a page for a browser there.")
@click.option("--time", "timed", is_flag=True, help="With --html: run the kernel and time it.")
def show(
    path: KernelPath,
    arguments: Sequence[Argument],
    target: str | None,
    stage: str | None,
    after: str | None,
    locations: bool,
    html: str | None,
    timed: bool,
) -> None:
    """Print the IR or the generated code of a kernel, or draw them."""
    from tilewright.compiler.stage_text import stage_text

    if html is not None and (stage or after or locations):
        raise click.UsageError("--html shows it all: leave --stage, --after and --locations out")
    if timed and html is None:
        raise click.UsageError("--time is for --html; `tilewright bench` measures")
    if html is not None:
        _write_page(path, arguments, target, html, timed)
        return
    if stage and after:
        raise click.UsageError("--after shows a graph: leave --stage out")
    if after:
        _check_pass(after)
    kernel = load_kernel(path)
    stage = stage or "graph"
    chosen = target or _TARGET_OF.get(stage) or kernel.target
    compiled = kernel.compile(**kernel_specs(kernel, arguments), target=chosen)
    if stage in GPU_TARGETS and stage == chosen:
        from tilewright.compiler.shader_listing import shader_listing

        text = shader_listing(compiled.specialization)
    elif stage == "schedule":
        text = _schedules(compiled)
    else:
        text = stage_text(
            _graph_after(compiled, after) if after else compiled.stage(stage), locations
        )
    click.echo(text.rstrip("\n"))


def _schedules(compiled: Compiled) -> str:
    """A line for each nest, with what the user wrote in it."""
    from tilewright.compiler.owners import Owners, plain_name
    from tilewright.ir.printer import print_schedule

    program: Any = compiled.stage("program")
    owners = Owners(program)
    lines = []
    for name, schedule in compiled.schedule.items():
        label = owners.labels_of(owners.named(plain_name(name)))
        lines.append(f"{name}: {print_schedule(schedule)}" + (f"  # {label}" if label else ""))
    return "\n".join(lines)


def _write_page(
    path: KernelPath,
    arguments: Sequence[Argument],
    target: str | None,
    html: str,
    timed: bool,
) -> None:
    from tilewright.compiler.view.model import make_view
    from tilewright.compiler.view.page import page

    check_writable(html)
    kernel = load_kernel(path)
    kernel = kernel.on(target or kernel.target)
    times, call_seconds = None, None
    if timed:
        from tilewright.compiler.view.timing import timed_call

        made, times, call_seconds = timed_call(kernel, kernel_arguments(kernel, arguments))
    else:
        made = kernel.compile(**kernel_specs(kernel, arguments)).specialization
    view = make_view(kernel.__name__, kernel.python, made, times, call_seconds)
    write_atomically(html, page(view))


def _check_pass(name: str) -> None:
    from tilewright.ir.passes import GRAPH_PASSES

    names = [p.__name__ for p in GRAPH_PASSES]
    if name not in names:
        close = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"the passes are {', '.join(names)}"
        raise click.BadParameter(f"there is no pass {name!r}; {hint}", param_hint="'--after'")


def _graph_after(compiled: Compiled, name: str) -> object:
    from tilewright.ir.passes import run_passes

    graphs: dict[str, object] = {}
    run_passes(compiled.specialization.traced.graph, observe=graphs.__setitem__)
    return graphs[name]
