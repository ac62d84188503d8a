"""Which tests run which line: from a coverage file with contexts and the times of a test report."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from coverage import CoverageData

_FASTEST = 60
_FILES = 40


@dataclass(frozen=True, slots=True)
class Tests:
    """`covering`: by module and line, the tests that run it. `seconds`: by test."""

    covering: Mapping[str, Mapping[int, Collection[str]]]
    seconds: Mapping[str, float]

    def of(self, module: str, lines: range, budget: float, seed: int) -> list[str]:
        """Tests that run one of `lines`, at most `budget` seconds of them, the fastest first.

        The fastest, and besides them one of every test file: what one test overlooks another of
        its file often does, too.
        """
        by_line = self.covering.get(module, {})
        found = {t for line in lines for t in by_line.get(line, ()) if t in self.seconds}
        ordered = sorted(found, key=lambda t: (self.seconds[t], t))
        chosen = ordered[:_FASTEST] + self._one_of_each_file(ordered, seed)
        return self._within(dict.fromkeys(chosen), budget)

    def _one_of_each_file(self, tests: list[str], seed: int) -> list[str]:
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
    """From ``pytest --cov=src --cov-context=test --junitxml=…`` in `root`."""
    data = CoverageData(str(coverage_file))
    data.read()
    covering: dict[str, dict[int, set[str]]] = {}
    for name in data.measured_files():
        module = str(Path(name).resolve().relative_to(root.resolve()))
        lines = covering.setdefault(module, {})
        for line, contexts in data.contexts_by_lineno(name).items():
            tests = {c.partition("|")[0] for c in contexts if c}
            lines.setdefault(line, set()).update(tests)
    return Tests(covering, _seconds(report))


def _seconds(report: Path) -> dict[str, float]:
    """Of every test that passed."""
    seconds: dict[str, float] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        if len(case.findall("failure")) + len(case.findall("error")) + len(case.findall("skipped")):
            continue
        module = case.get("classname", "").replace(".", "/")
        seconds[f"{module}.py::{case.get('name')}"] = float(case.get("time", "0"))
    return seconds
