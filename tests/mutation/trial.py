"""Whether tests find a mutant: a copy of the checkout with one line changed, and pytest in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.mutation.source import Mutant

_NOT_COPIED = shutil.ignore_patterns(".git", ".venv", ".*_cache", "__pycache__")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a mutant: killed (and by which test), survived, or run by no test."""

    module: str
    line: int
    kind: str
    before: str
    after: str
    outcome: str
    by: str = ""

    @property
    def mutant(self) -> tuple[str, int, str, str, str]:
        return self.module, self.line, self.kind, self.before, self.after


def copy_checkout(root: Path, target: Path) -> None:
    shutil.copytree(root, target, symlinks=True, ignore=_NOT_COPIED)


def try_mutant(
    copy: Path, module: str, mutant: Mutant, tests: list[str], seconds: float
) -> Verdict:
    """`seconds`: what the tests take without the change; ten times as long is a hang."""
    path = copy / module
    original = path.read_text()
    try:
        path.write_text(mutant.source)
        outcome, by = run_tests(copy, tests, 60 + 10 * seconds, "-x")
    finally:
        path.write_text(original)
    if by.startswith("exit"):  # a conftest that cannot be imported, unless there are no such tests
        without = run_tests(copy, tests, 60 + 10 * seconds, "--collect-only")
        if without != ("survived", ""):
            raise RuntimeError(f"{without[1]} of {tests}")
    return Verdict(module, mutant.line, mutant.kind, mutant.before, mutant.after, outcome, by)


def run_tests(copy: Path, tests: Sequence[str], timeout: float, *options: str) -> tuple[str, str]:
    """The outcome of `tests`, and those that failed; a hang or a crash counts as found."""
    with tempfile.TemporaryDirectory() as scratch:
        arguments = Path(scratch) / "tests.txt"
        arguments.write_text("\n".join(tests))
        environment = {
            **os.environ,
            "CI": "1",  # the same examples of Hypothesis every time
            "PYTHONPATH": f"{copy / 'src'}{os.pathsep}{copy}",
            "XDG_RUNTIME_DIR": scratch,
            "TILEWRIGHT_CACHE_DIR": str(Path(scratch) / "cache"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        command = [sys.executable, "-m", "pytest", "-q", "--tb=no", "-p", "no:cacheprovider"]
        try:
            done = subprocess.run(
                [*command, *options, f"@{arguments}"],
                cwd=copy, env=environment, timeout=timeout, capture_output=True, text=True,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return "killed", "no end"
    if done.returncode == 0:
        return "survived", ""
    lines = [line.partition(" ") for line in done.stdout.splitlines()]
    failed = [rest.partition(" - ")[0] for word, _, rest in lines if word in ("FAILED", "ERROR")]
    return "killed", "\n".join(failed) or f"exit {done.returncode}"
