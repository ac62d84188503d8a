r"""Mutation testing: how many mistakes in the compiler the tests find.

    coverage and times first, in a checkout that nobody edits:
        CI=1 pytest --cov=ir --cov=compiler --cov=codegen_cpu --cov=codegen_wgsl \
            --cov=codegen_glsl --cov-context=test --cov-report= --junitxml=report.xml
    then:
        python -m tests.mutation --coverage .coverage --report report.xml --count 200 --seed 1

Every mutant is tried in a copy of the checkout, against tests that run its line: SECONDS of them
(as measured above, which is with coverage). Then survivors are tried against MORE_SECONDS of them.
"""

from __future__ import annotations

import json
import random
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import click

from tests.mutation.faults import FAULTS
from tests.mutation.selection import Tests, load_tests
from tests.mutation.slips import SLIPS
from tests.mutation.source import Mutant, Place, mutant, places
from tests.mutation.trial import Trial, Verdict, run_tests

FOLDERS = ("ir", "compiler", "codegen_cpu", "codegen_wgsl", "codegen_glsl", "runtime_web")
# What only decides how fast the code is, how it is shown, or what is said about it.
LEFT_OUT = (
    "codegen_cpu/schedule.py", "codegen_cpu/contraction_schedule.py",
    "codegen_cpu/stencil_schedule.py", "codegen_wgsl/schedule.py", "codegen_glsl/schedule.py",
    "compiler/bench", "compiler/cli", "compiler/display.py", "compiler/trace/coverage.py",
    "ir/text", "ir/printer.py",
)  # fmt: skip
File = click.Path(exists=True, path_type=Path)


@click.command()
@click.option("--coverage", type=File, required=True)
@click.option("--report", type=File, required=True)
@click.option("--root", type=File, default=Path())
@click.option("--count", default=200)
@click.option("--seed", default=0)
@click.option("--kind", "kinds", multiple=True, help="Only mutants of this kind (several times).")
@click.option("--module", "modules", multiple=True, help="Only modules whose path begins so.")
@click.option("--part", default="1/1", help="K/N: only the K-th of N parts of the sample.")
@click.option("--seconds", default=25.0)
@click.option("--more-seconds", default=75.0)
@click.option("--out", type=click.Path(path_type=Path), default=Path("mutants.jsonl"))
def main(
    coverage: Path, report: Path, root: Path, count: int, seed: int, kinds: tuple[str, ...],
    modules: tuple[str, ...], part: str, seconds: float, more_seconds: float, out: Path,
) -> None:  # fmt: skip
    """Try COUNT mutants and list the survivors. What OUT holds already is not tried again."""
    root = root.resolve()
    tests = load_tests(coverage, report, root)
    number, parts = map(int, part.split("/"))
    chosen = sample(root, count, seed, kinds, modules)[number - 1 :: parts]
    with tempfile.TemporaryDirectory() as folder:
        trial = Trial(root, Path(folder) / "copy")
        verdicts = _judge_all(trial, chosen, tests, (seconds, more_seconds), seed, out)
        trial.close()
    _print(verdicts)


Chosen = list[tuple[str, Mutant]]


def _judge_all(
    trial: Trial, chosen: Chosen, tests: Tests, budgets: tuple[float, ...], seed: int, out: Path
) -> list[Verdict]:
    """The verdicts of all; anew, and without them, where tests failed that always do."""
    known = {v.mutant: v for v in _read(out)}
    tests = tests.only(trial.names)
    while True:
        verdicts = []
        for module, change in chosen:
            place = (module, change.line, change.kind, change.before, change.after)
            if place not in known or known[place].by in tests.failing:
                known[place] = judge(trial, module, change, tests, budgets, seed)
                with out.open("a") as lines:
                    lines.write(json.dumps(asdict(known[place])) + "\n")
            verdicts.append(known[place])
        failing = _failing_anyway(trial.copy, verdicts)
        if not failing:
            return verdicts
        tests = tests.without(failing)


def sample(
    root: Path, count: int, seed: int, only: tuple[str, ...] = (), within: tuple[str, ...] = ()
) -> Chosen:
    """`count` mutants, as many of each kind (or of the kinds `only`) as there are, spread over all
    modules (or those whose path begins with one of `within`)."""
    sources: dict[str, str] = {}
    by_kind: defaultdict[str, list[tuple[str, Place]]] = defaultdict(list)
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*.py")):
            module = str(path.relative_to(root))
            if module.startswith(within or ("",)) and not module.startswith(LEFT_OUT):
                sources[module] = path.read_text()
                for place in places(sources[module], module, (*SLIPS, *FAULTS)):
                    by_kind[place.kind].append((module, place))
    pick = random.Random(seed)
    chosen: Chosen = []
    kinds = sorted(only or by_kind, key=lambda kind: len(by_kind[kind]))
    for number, kind in enumerate(kinds):
        most = len(chosen) + (count - len(chosen)) // (len(kinds) - number)
        pick.shuffle(by_kind[kind])
        for module, place in by_kind[kind]:
            made = mutant(sources[module], place) if len(chosen) < most else None
            if made is not None:
                chosen.append((module, made))
    pick.shuffle(chosen)
    return chosen


def judge(
    trial: Trial, module: str, change: Mutant, tests: Tests, budgets: tuple[float, ...], seed: int
) -> Verdict:
    """The verdict of as many tests as the last budget allows, fewer if they find the change."""
    lines = None if change.at_import else range(change.line, change.last_line + 1)
    branch = range(change.branch[0], change.branch[1] + 1) if change.branch[0] else range(0)
    outcome, by = "not run", ""
    tried: set[str] = set()
    for budget in budgets:
        chosen = [t for t in tests.of(module, lines, branch, budget, seed) if t not in tried]
        if chosen:
            seconds = sum(tests.seconds[t] for t in chosen)
            outcome, by = trial.outcome(module, change, chosen, seconds)
            tried.update(chosen)
        if outcome == "killed":
            break
    return Verdict(module, change.line, change.kind, change.before, change.after, outcome, by)


def _read(out: Path) -> Iterator[Verdict]:
    if out.exists():
        for line in out.read_text().splitlines():
            yield Verdict(**json.loads(line))


def _failing_anyway(copy: Path, verdicts: list[Verdict]) -> list[str]:
    """Tests that killed mutants and fail in the copy without any change, too."""
    killers = sorted({v.by for v in verdicts if "::" in v.by})
    _, failed = run_tests(copy, killers, 600) if killers else ("survived", "")
    return failed.splitlines()


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
