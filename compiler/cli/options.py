"""Options and texts that several commands share."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import click

from tilewright.compiler.cli.argument_values import parse_argument
from tilewright.compiler.cli.kernel_file import split_path
from tilewright.compiler.targets import NAMES

F = TypeVar("F", bound=Callable[..., Any])

TARGET = click.Choice(list(NAMES))


def examples(*lines: str, after: str = "") -> str:
    """The epilogue of a help text: command lines as they would be typed."""
    shown = "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)
    return f"{shown}\n\n{inspect.cleandoc(after)}"


def kernel_path(required: bool = True) -> Callable[[F], F]:
    """The argument ``FILE.py:KERNEL``."""
    shown = "FILE.py[:KERNEL]" if required else "[FILE.py[:KERNEL]]"
    return click.argument("path", metavar=shown, type=split_path, required=required)


def target_option(command: F) -> F:
    """``--target``."""
    return click.option(
        "--target",
        type=TARGET,
        metavar="|".join(NAMES),
        help="Where the kernel runs.  [default: the kernel's own]",
    )(command)


def argument_option(command: F) -> F:
    """``--arg x=f32[4,4]``, as often as there are arguments."""
    return click.option(
        "--arg",
        "arguments",
        type=parse_argument,
        multiple=True,
        metavar="NAME=VALUE",
        help="An argument of the kernel: an array by dtype and shape (x=f32[64,1000]), from a"
        " file (x=@data.npy), or a Python value (n=3). Give one for each.",
    )(command)


def database_option(command: F) -> F:
    """``--database FILE``, as a `TuningDatabase`."""

    def opened(context: click.Context, parameter: click.Parameter, value: str | None) -> object:
        from tilewright.compiler.runtime import runtime
        from tilewright.compiler.tune.database import TuningDatabase

        return runtime().tuning if value is None else TuningDatabase(value)

    return click.option(
        "--database",
        metavar="FILE",
        callback=opened,
        help="Where tuning records are.  [default: the user's own]",
    )(command)
