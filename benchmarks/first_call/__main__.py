"""Prints how long first calls take: with an empty cache, and with what an earlier process left.

    python -m benchmarks.first_call [--rounds N] [--package DIRECTORY] [CASE …]

Each round starts one process per case and kind, so that what else the machine does meets all of
them. What is measured is a copy of this checkout, laid out as pip installs it: in a checkout each
process also looks at every source file, in case one was edited. `--package` measures an
installation where it is: the directory that holds its `tilewright`, such as ``src``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

CASES = ("small", "softmax", "sine", "transformer", "residual")
ROOT = Path(__file__).parents[2]
COLD, CACHED = "nothing cached", "cached"

Samples = dict[tuple[str, str], list[dict[str, float]]]


def measure(cases: list[str], rounds: int, package: Path) -> Samples:
    """What each process printed, by case and kind. The first round compiles Python files."""
    found: Samples = defaultdict(list)
    for number in range(rounds + 1):
        for case in cases:
            with tempfile.TemporaryDirectory() as cache:
                for kind in (COLD, CACHED):
                    sample = run(case, package, cache)
                    if number:
                        found[case, kind].append(sample)
    return found


def installed(directory: Path) -> Path:
    """A copy of this checkout's package, without links, in `directory`."""
    ignored = shutil.ignore_patterns("__pycache__", "node_modules")
    return Path(shutil.copytree(ROOT / "src", directory / "site", ignore=ignored))


def run(case: str, package: Path, cache: str) -> dict[str, float]:
    """The line that a fresh process printed."""
    environment = {**os.environ, "PYTHONPATH": f"{package}{os.pathsep}{ROOT}"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # users have compiled Python files
    environment["XDG_CACHE_HOME"] = cache
    command = [sys.executable, "-m", "benchmarks.first_call.process", case]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=cache)
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.first_call")
    parser.add_argument("cases", nargs="*", default=CASES, metavar="CASE")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--package", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        package = options.package.absolute() if options.package else installed(Path(directory))
        samples = measure(list(options.cases), options.rounds, package)
    columns = list(dict.fromkeys(name for runs in samples.values() for name in runs[0]))
    table = Table("kernel", "cache", *columns, title="milliseconds: median (least)")
    for (case, kind), runs in samples.items():
        table.add_row(case, kind, *(cell([r[name] for r in runs if name in r]) for name in columns))
    Console(width=200).print(table)


def cell(values: list[float]) -> str:
    """The median and the least of some values."""
    if not values:
        return ""
    return f"{statistics.median(values):.1f} ({min(values):.1f})"


if __name__ == "__main__":
    main()
