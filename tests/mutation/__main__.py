r"""Mutation testing: how many mistakes in the compiler the tests find.

    coverage and times first, in a checkout that nobody edits:
        pytest --cov=ir --cov=compiler --cov=codegen_cpu --cov=codegen_wgsl --cov=codegen_glsl \
            --cov-context=test --cov-report= --junitxml=report.xml
    then:
        python -m tests.mutation --coverage .coverage --report report.xml --count 200

Every mutant is tried in a copy of the checkout, against the tests that run its line.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import SimpleQueue

import click

from tests.mutation.operators import Mutant, Place, mutant, places
from tests.mutation.selection import Tests, load_tests

FOLDERS = ("ir", "compiler", "codegen_cpu", "codegen_wgsl", "codegen_glsl")
# What only decides how fast the code is, how it is shown, or what is said about it.
LEFT_OUT = (
    "codegen_cpu/schedule.py", "codegen_cpu/contraction_schedule.py", "compiler/bench",
    "compiler/cli", "compiler/display.py", "compiler/trace/coverage.py", "ir/text", "ir/printer.py",
)  # fmt: skip
SECONDS_OF_TESTS = 25.0
SECONDS_AT_MOST = 240


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


@click.command()
@click.option("--coverage", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--report", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--root", type=click.Path(exists=True, path_type=Path), default=Path())
@click.option("--count", default=200)
@click.option("--seed", default=0)
@click.option("--jobs", default=2)
@click.option("--out", type=click.Path(path_type=Path), default=Path("mutants.jsonl"))
def main(
    coverage: Path, report: Path, root: Path, count: int, seed: int, jobs: int, out: Path
) -> None:
    """Try COUNT mutants and list the survivors."""
    root = root.resolve()
    tests = load_tests(coverage, report, root)
    chosen = sample(root, count, seed)
    copies: SimpleQueue[Path] = SimpleQueue()
    verdicts: list[Verdict] = []
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(jobs) as pool:
        for number in range(jobs):
            copy = Path(folder) / str(number)
            shutil.copytree(root, copy, symlinks=True, ignore=shutil.ignore_patterns(".*"))
            copies.put(copy)
        with out.open("w") as lines:
            for verdict in pool.map(
                lambda pair: _try(copies, pair[0], pair[1], tests, seed), chosen
            ):
                verdicts.append(verdict)
                lines.write(json.dumps(asdict(verdict)) + "\n")
                lines.flush()
    _print(verdicts)


def sample(root: Path, count: int, seed: int) -> list[tuple[str, Mutant]]:
    """`count` mutants, as many of each kind as there are, spread over all modules."""
    sources: dict[str, str] = {}
    by_kind: defaultdict[str, list[tuple[str, Place]]] = defaultdict(list)
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*.py")):
            module = str(path.relative_to(root))
            if not module.startswith(LEFT_OUT):
                sources[module] = path.read_text()
                for place in places(sources[module]):
                    by_kind[place.kind].append((module, place))
    pick = random.Random(seed)
    chosen: list[tuple[str, Mutant]] = []
    kinds = sorted(by_kind, key=lambda kind: len(by_kind[kind]))
    for number, kind in enumerate(kinds):
        most = len(chosen) + (count - len(chosen)) // (len(kinds) - number)
        pick.shuffle(by_kind[kind])
        for module, place in by_kind[kind]:
            made = mutant(sources[module], place) if len(chosen) < most else None
            if made is not None:
                chosen.append((module, made))
    pick.shuffle(chosen)
    return chosen


def _try(
    copies: SimpleQueue[Path], module: str, mutant: Mutant, tests: Tests, seed: int
) -> Verdict:
    lines = range(mutant.line, mutant.last_line + 1)
    chosen = tests.of(module, lines, SECONDS_OF_TESTS, seed)
    found = Verdict(module, mutant.line, mutant.kind, mutant.before, mutant.after, "not run")
    if not chosen:
        return found
    copy = copies.get()
    path = copy / module
    original = path.read_text()
    try:
        path.write_text(mutant.source)
        outcome, by = _run(copy, chosen)
    finally:
        path.write_text(original)
        copies.put(copy)
    return Verdict(module, mutant.line, mutant.kind, mutant.before, mutant.after, outcome, by)


def _run(copy: Path, tests: list[str]) -> tuple[str, str]:
    """Run `tests` until one fails; a hang or a crash counts as found."""
    with tempfile.TemporaryDirectory() as scratch:
        arguments = Path(scratch) / "tests.txt"
        arguments.write_text("\n".join(tests))
        environment = {
            **os.environ,
            "PYTHONPATH": f"{copy / 'src'}{os.pathsep}{copy}",
            "XDG_RUNTIME_DIR": scratch,
            "TILEWRIGHT_CACHE_DIR": str(Path(scratch) / "cache"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        command = [sys.executable, "-m", "pytest", "-x", "-q", "--tb=no", "-p", "no:cacheprovider"]
        try:
            done = subprocess.run(
                [*command, f"@{arguments}"],
                cwd=copy, env=environment, timeout=SECONDS_AT_MOST, capture_output=True, text=True,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return "killed", "no end"
    if done.returncode == 0:
        return "survived", ""
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return "killed", failed[0] if failed else f"exit {done.returncode}"


def _print(verdicts: list[Verdict]) -> None:
    outcomes = Counter(v.outcome for v in verdicts)
    print(f"{len(verdicts)} mutants: " + ", ".join(f"{n} {o}" for o, n in outcomes.most_common()))
    for kind in sorted({v.kind for v in verdicts}):
        of_kind = Counter(v.outcome for v in verdicts if v.kind == kind)
        print(f"  {kind}: " + ", ".join(f"{n} {o}" for o, n in of_kind.most_common()))
    for v in verdicts:
        if v.outcome != "killed":
            print(f"{v.outcome}: {v.module}:{v.line} ({v.kind}) {v.before!r} -> {v.after!r}")


if __name__ == "__main__":
    main()
