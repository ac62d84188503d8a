"""Which tests run which line: from a coverage file with contexts and the times of a test report."""

from __future__ import annotations

import random
import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree import ElementTree

from coverage.numbits import num_in_numbits

_TAKING = 20
_FASTEST = 60
_FILES = 40


@dataclass(frozen=True, slots=True)
class Tests:
    """`coverage`: a connection to the coverage file; `files`: its numbers of modules; `seconds`: of
    every test that passed. `failing`: tests that do not pass without any change."""

    coverage: sqlite3.Connection
    files: Mapping[str, int]
    seconds: Mapping[str, float]
    failing: frozenset[str] = frozenset()

    def only(self, names: Collection[str]) -> Tests:
        """Those of these names."""
        seconds = {test: s for test, s in self.seconds.items() if test in names}
        return replace(self, seconds=seconds)

    def without(self, failing: Collection[str]) -> Tests:
        """All but those that fail anyway."""
        seconds = {test: s for test, s in self.seconds.items() if test not in failing}
        return replace(self, seconds=seconds, failing=self.failing | frozenset(failing))

    def of(
        self, module: str, lines: range | None, branch: range, budget: float, seed: int
    ) -> list[str]:
        """Tests that run one of `lines`, or any (if None), at most `budget` seconds of them.

        First some that run a line of `branch`, then those whose file bears the name of the module
        or its folder, then the fastest, then some of every test file (what one test overlooks
        another of its file often does, too), then any.
        """
        found = {test for test in self._covering(module, lines) if test in self.seconds}
        if not found:  # what runs once in a process is seen in the first test only
            found = {test for test in self._covering(module, None) if test in self.seconds}
        stem, folder = Path(module).stem.strip("_"), Path(module).parent.name
        namesakes = {f"test_{name}" for name in (stem, folder, f"{folder}_{stem}")}
        namesake = {t for t in self.seconds if Path(t.partition("::")[0]).stem in namesakes}
        if lines is None or not found:  # what runs when it is imported belongs to no test
            found |= namesake
        ordered = sorted(found, key=lambda t: (self.seconds[t], t))
        nearest = [t for t in ordered if t in namesake]
        decided = set(self._covering(module, branch)) if branch else set()
        taking = [t for t in ordered if t in decided][:_TAKING]
        chosen = taking + nearest + ordered[:_FASTEST] + self._some_of_each_file(ordered, seed)
        random.Random(seed).shuffle(ordered)
        return self._within(dict.fromkeys(chosen + ordered), budget)

    def _covering(self, module: str, lines: range | None) -> Iterator[str]:
        """By the documented schema of coverage files: which lines a context ran is a bit set."""
        query = (
            "SELECT context.context, line_bits.numbits FROM line_bits JOIN context"
            " ON context.id = line_bits.context_id WHERE line_bits.file_id = ?"
        )
        for context, bits in self.coverage.execute(query, (self.files.get(module, -1),)):
            if lines is None or any(num_in_numbits(line, bits) for line in lines):
                yield context.partition("|")[0]

    def _some_of_each_file(self, tests: list[str], seed: int) -> list[str]:
        files: defaultdict[str, list[str]] = defaultdict(list)
        for test in tests:
            files[test.partition("::")[0]].append(test)
        pick = random.Random(seed)
        several = [t for group in files.values() for t in pick.sample(group, min(3, len(group)))]
        return sorted(several, key=self.seconds.__getitem__)[: 3 * _FILES]

    def _within(self, tests: Collection[str], budget: float) -> list[str]:
        chosen: list[str] = []
        for test in tests:
            budget -= self.seconds[test]
            if budget < 0 and chosen:
                break
            chosen.append(test)
        return chosen


def load_tests(coverage_file: Path, report: Path, root: Path) -> Tests:
    """From ``pytest --cov=… --cov-context=test --junitxml=…`` in `root`."""
    coverage = sqlite3.connect(coverage_file, check_same_thread=False)
    files = {
        str(Path(path).resolve().relative_to(root.resolve())): number
        for number, path in coverage.execute("SELECT id, path FROM file")
    }
    return Tests(coverage, files, _seconds(report))


def _seconds(report: Path) -> dict[str, float]:
    """Of every test that passed."""
    seconds: dict[str, float] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        if len(case.findall("failure")) + len(case.findall("error")) + len(case.findall("skipped")):
            continue
        module = case.get("classname", "").replace(".", "/")
        seconds[f"{module}.py::{case.get('name')}"] = float(case.get("time", "0"))
    return seconds
