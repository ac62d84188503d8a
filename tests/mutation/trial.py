"""Whether tests find a mutant: a copy of the checkout with one line changed, and pytest in it."""

from __future__ import annotations

import json
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


class Trial:
    """A copy of the checkout in which mutants are tried, one after the other; `names` of its
    tests."""

    def __init__(self, root: Path, copy: Path) -> None:
        shutil.copytree(root, copy, symlinks=True, ignore=_NOT_COPIED)
        self.copy = copy
        self._zygote = subprocess.Popen(
            [sys.executable, "-m", "tests.mutation.zygote"],
            cwd=copy,
            env=_environment(copy),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.names = frozenset(self._answer())

    def close(self) -> None:
        self._zygote.kill()

    def outcome(
        self, module: str, mutant: Mutant, tests: list[str], seconds: float
    ) -> tuple[str, str]:
        """`seconds`: what the tests take without the change; ten times as long is a hang."""
        timeout = 60 + 10 * seconds
        if not mutant.at_import:
            found, by = self._ask(module, mutant.source, tests, timeout)
            # A fork may also wait for a lock that a thread of its parent held.
            if found != "cannot" and by != "no end":
                return found, by
        path = self.copy / module
        original = path.read_text()
        try:
            path.write_text(mutant.source)
            found, by = run_tests(self.copy, tests, timeout, "-x")
        finally:
            path.write_text(original)
        return found, by

    def _ask(self, module: str, source: str, tests: list[str], timeout: float) -> tuple[str, str]:
        asked = self._zygote.stdin
        assert asked is not None
        request = {"module": module, "source": source, "tests": tests, "seconds": timeout}
        asked.write(json.dumps(request) + "\n")
        asked.flush()
        outcome, by = self._answer()
        return outcome, by

    def _answer(self) -> list[str]:
        answers = self._zygote.stdout
        assert answers is not None
        found: list[str] = json.loads(answers.readline())
        return found


def _environment(copy: Path) -> dict[str, str]:
    return {
        **os.environ,
        "CI": "1",  # the same examples of Hypothesis every time
        "MALLOC_PERTURB_": "165",  # as under scripts/run_tests.sh
        "PYTHONPATH": f"{copy / 'src'}{os.pathsep}{copy}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def run_tests(copy: Path, tests: Sequence[str], timeout: float, *options: str) -> tuple[str, str]:
    """The outcome of `tests`, and those that failed; a hang or a crash counts as found."""
    with tempfile.TemporaryDirectory() as scratch:
        arguments = Path(scratch) / "tests.txt"
        arguments.write_text("\n".join(tests))
        environment = {**_environment(copy), "XDG_RUNTIME_DIR": scratch}
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
