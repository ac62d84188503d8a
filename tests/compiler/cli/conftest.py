"""A command line without a process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tilewright.compiler.cli import main
from tilewright.compiler.runtime import runtime

KERNELS = Path(__file__).with_name("kernels.py")


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """`run("targets", "--json")`. What a command changes in the process ends with the test."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(runtime(), "cache", runtime().cache)

    def run_command(*arguments: str) -> Done:
        code = main(arguments)
        printed = capsys.readouterr()
        return Done(code, printed.out, printed.err)

    return run_command
