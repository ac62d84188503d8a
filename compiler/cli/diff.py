"""``tilewright diff``: where two targets part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from tilewright.compiler.cli.argument_values import Argument, kernel_arguments
from tilewright.compiler.cli.failures import ExitCode
from tilewright.compiler.cli.kernel_file import KernelPath, load_kernel
from tilewright.compiler.cli.options import argument_option, examples, kernel_path
from tilewright.compiler.cli.tables import console
from tilewright.compiler.targets import NAMES

if TYPE_CHECKING:
    from tilewright.compiler.compare_targets import Comparison, TargetDifference


def target_pair(text: str) -> tuple[str, str]:
    """The two different targets in ``cpu,glsl``; a usage error for anything else."""
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in NAMES:
            known = ", ".join(NAMES)
            raise click.BadParameter(f"there is no target {name!r}; the targets are {known}")
    if len(names) != 2 or names[0] == names[1]:
        raise click.BadParameter(f"{text!r} is not two targets, such as cpu,glsl")
    return names[0], names[1]


@click.command(
    short_help="The first operation at which two targets part.",
    epilog=examples(
        "tilewright diff kernels.py:softmax --targets cpu,glsl --arg x=f32[64,1000]",
        "tilewright diff kernels.py:softmax --targets cpu,wasm --arg x=@failing.npy",
        after="The exit code is 1 where the targets part.",
    ),
)
@kernel_path()
@argument_option
@click.option("--targets", type=target_pair, required=True, metavar="A,B", help="Which two.")
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    default=1e-5,
    show_default=True,
    help="The relative difference of floats up to which they agree.",
)
def diff(
    path: KernelPath, arguments: Sequence[Argument], targets: tuple[str, str], tolerance: float
) -> int:
    """Run a kernel on two targets and name the first operation at which they part.

    Every operation of the kernel's graph is computed on both targets and compared, from the
    arguments to the result.
    """
    from tilewright.compiler.compare_targets import compare_targets

    kernel = load_kernel(path)
    values = kernel_arguments(kernel, arguments)
    found = compare_targets(kernel, values, targets, tolerance)
    _print(found, targets)
    return ExitCode.OK if found.agree else ExitCode.FAILED


def _print(found: TargetDifference, targets: tuple[str, str]) -> None:
    from rich.table import Table

    one, other = targets
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in ("operation", "result", "largest difference", "line"):
        table.add_column(title)
    for comparison in found.nodes:
        tensor = comparison.tensor
        shape = f"{tensor.dtype.short}[{', '.join(map(str, tensor.shape))}]"
        style = "" if comparison.agree else "red"
        where = str(tensor.loc) if tensor.loc else ""
        label = tensor.label or type(tensor).__name__.lower()
        table.add_row(label, shape, _difference(comparison), where, style=style)
    out = console()
    out.print(table)
    out.print()
    if found.first is not None:
        out.print(_first(found.first, one, other), soft_wrap=True)
    elif not found.agree:
        worst = next(c for c in found.results if not c.agree)
        out.print(
            f"every operation alone agrees, but the fused result differs by {worst.difference:.2g}"
            f" at {list(worst.index)}: {one} {worst.values[0]}, {other} {worst.values[1]}",
            markup=False,
        )
    else:
        out.print(f"{one} and {other} agree on all {len(found.nodes)} operations")


def _difference(comparison: Comparison) -> str:
    return f"{comparison.difference:.1e}" if comparison.difference else "equal"


def _first(first: Comparison, one: str, other: str) -> str:
    from rich.markup import escape

    tensor = first.tensor
    lines = [
        f"[bold]{one} and {other} part at {escape(tensor.label or repr(tensor))}[/],"
        f" element {escape(str(list(first.index)))}:"
        f" {one} has {first.values[0]}, {other} has {first.values[1]}"
    ]
    if tensor.loc is not None:
        lines += [escape(str(tensor.loc)), *map(escape, tensor.loc.excerpt())]
    return "\n".join(lines)
