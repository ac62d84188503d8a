"""Every kind of failure has its exit code, and says on stderr what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from tests.compiler.cli.conftest import KERNELS, Run
from tilewright.compiler.cli import main, show, tilewright_command
from tilewright.compiler.cli.failures import ExitCode, report
from tilewright.ir.errors import DeviceError, IRError, ShapeError, UnsupportedError

SOFTMAX = f"{KERNELS}:softmax"
ARG = ("--arg", "x=f32[4,5]")


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        ((), "Usage: tilewright"),
        (("--taget",), "No such option"),
        (("bnech",), "bench"),
        (("show",), "Missing argument"),
        (("show", SOFTMAX), "add --arg 'x=f32[…]'"),
        (("show", SOFTMAX, "--arg", "x"), "x=f32[64,1000]"),
        (("show", SOFTMAX, "--arg", "x=f33[4]"), "there is no dtype 'f33'"),
        (("show", SOFTMAX, "--arg", "x=f32[4;5]"), "neither a size nor the name"),
        (("show", SOFTMAX, "--arg", "x=open('f')"), "neither an array"),
        (("show", SOFTMAX, *ARG, "--arg", "y=3"), "no argument 'y'; it takes x"),
        (("show", SOFTMAX, *ARG, "--target", "cpuu"), "'cpuu' is not one of"),
        (("show", SOFTMAX, *ARG, "--after", "fuse"), "there is no pass 'fuse'"),
        (("diff", SOFTMAX, *ARG), "Missing option '--targets'"),
        (("diff", SOFTMAX, *ARG, "--targets", "cpu,cpu"), "is not two targets"),
        (("diff", SOFTMAX, "--arg", "x=f32[N]", "--targets", "cpu,wasm"), "open dimension N"),
        (("bench", "--family", "stencil"), "stencils"),
        (("bench", *ARG), "name FILE.py:KERNEL"),
        (("bench", "--plot", "plot.txt"), ".png"),
        (("bench", "--against", "numbra"), "is none of numpy, numba"),
        (("--threads", "0", "targets"), "--threads"),
    ],
)
def test_usage(run: Run, arguments: tuple[str, ...], hint: str) -> None:
    done = run(*arguments)
    assert done.code == ExitCode.USAGE
    assert done.err.startswith("Usage: ")
    assert hint in done.err
    assert done.out == ""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ShapeError("no"), 1),
        (UnsupportedError("no"), 4),
        (DeviceError("no", help="install one"), 5),
        (IRError("no"), 70),
        (AssertionError("no"), 70),
        (KeyboardInterrupt(), 130),
        (click.Abort(), 130),
        (OSError(28, "No space left on device", "/tmp/out"), 1),
    ],
)
def test_each_error_has_its_code(
    error: BaseException, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(error) == code
    assert capsys.readouterr().err


def test_a_bug_asks_for_a_report(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(IRError("verify: a buffer is read before it is written"), ["show", "k.py"]) == 70
    told = capsys.readouterr().err
    assert "Please report it" in told
    assert "command: tilewright show k.py" in told
    assert "numpy " in told
    assert "llvmlite " in told


def test_an_error_of_the_users_code_is_not_our_bug(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "k.py"
    file.write_text(
        "import tilewright as tw\n@tw.kernel\ndef k(x):\n    return x + {}['missing']\n"
    )
    done = run("show", f"{file}:k", *ARG)
    assert done.code == ExitCode.FAILED
    lines = done.err.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1] == f'  File "{file}", line 4, in k'
    assert lines[2] == "    return x + {}['missing']"
    assert lines[-2:] == ["KeyError: 'missing'", "error: the file's own code raised KeyError"]
    assert "report" not in done.err


def test_a_kernel_error_shows_the_line(run: Run) -> None:
    done = run("show", f"{KERNELS}:wrong_shapes", *ARG)
    assert done.code == ExitCode.FAILED
    assert "kernels.py:" in done.err
    assert "return x + np.ones(7, np.float32)" in done.err
    assert "^" in done.err


def test_a_stage_of_another_target_is_unsupported(run: Run) -> None:
    done = run("show", SOFTMAX, *ARG, "--stage", "llvm", "--target", "wgsl")
    assert done.code == ExitCode.UNSUPPORTED
    assert "wgsl has no stage 'llvm'" in done.err


def test_interrupt(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(show, "load_kernel", interrupted)
    assert main(["show", SOFTMAX]) == ExitCode.INTERRUPTED
    assert capsys.readouterr().err.strip() == "interrupted"


def test_a_closed_pipe_is_quiet() -> None:
    """`tilewright show … | true`: no traceback about stdout, at exit either."""
    command = "import sys; from tilewright.compiler.cli import main; sys.exit(main())"
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-c", command, "show", SOFTMAX, *ARG],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writer)
    assert done.returncode == ExitCode.FAILED
    assert done.stderr == ""


def all_commands(group: click.Group) -> list[click.Command]:
    found: list[click.Command] = [group]
    for command in group.commands.values():
        found += all_commands(command) if isinstance(command, click.Group) else [command]
    return found


@pytest.mark.parametrize("command", all_commands(tilewright_command), ids=lambda c: c.name)
def test_every_help_has_examples(command: click.Command) -> None:
    text = command.get_help(click.Context(command))
    assert "Examples:\n    tilewright " in text
    assert command.help
