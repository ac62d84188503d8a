"""Worker processes that run seeds: a crash or a hang of one is a finding, not the end.

In: seeds and targets. Out: `Totals`, with the smallest program found for each disagreement.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing import Pipe

from tests.fuzz.seed import SeedResult

LONGEST = 1800.0
"""Seconds after which a worker that neither works nor answers has met a deadlock."""
SEEDS_PER_PROCESS = 400
"""Machine code stays loaded as long as its process lives."""


@dataclass
class Totals:
    programs: int = 0
    ops: Counter[str] = field(default_factory=Counter)
    dtypes: Counter[str] = field(default_factory=Counter)
    compared: Counter[str] = field(default_factory=Counter)
    unsupported: Counter[str] = field(default_factory=Counter)
    modes: Counter[str] = field(default_factory=Counter)
    passes: Counter[str] = field(default_factory=Counter)
    elements: Counter[str] = field(default_factory=Counter)
    findings: dict[str, list[str]] = field(default_factory=dict)

    def add(self, result: SeedResult) -> None:
        for name in ("ops", "dtypes", "compared", "unsupported", "modes", "passes", "elements"):
            getattr(self, name).update(getattr(result, name))
        for key, text in result.findings:
            self.report(key, text)

    def report(self, key: str, text: str) -> None:
        """Said at once too: a long run may be stopped before its summary."""
        print(f"{text.splitlines()[0]}: {key}", file=sys.stderr, flush=True)
        self.findings.setdefault(key, []).append(text)


class Worker:
    """A process that runs one seed after the other, and is replaced if it dies or gets old."""

    def __init__(self, targets: Sequence[str]) -> None:
        self._targets = targets
        self.seed: int | None = None
        self._start()

    def _start(self) -> None:
        self.pipe, theirs = Pipe()
        number = theirs.fileno()
        command = [sys.executable, "-m", "tests.fuzz.worker", str(number), ",".join(self._targets)]
        self.process = subprocess.Popen(command, pass_fds=(number,))
        theirs.close()
        self._age = 0

    def give(self, seed: int) -> None:
        """Start on a seed."""
        if self._age >= SEEDS_PER_PROCESS:
            self.stop()
            self._start()
        self._age += 1
        self.seed, self._since = seed, time.monotonic()
        self.pipe.send(seed)

    def result(self) -> SeedResult | str | None:
        """What the worker sent, or a text about how it ended, or None while it works."""
        if self.pipe.poll(0.05):
            try:
                found: SeedResult = self.pipe.recv()
                return found
            except (EOFError, OSError):
                text = f"worker ended with status {self.process.wait()}"
                self._start()
                return text
        if time.monotonic() - self._since > LONGEST:
            self.process.kill()
            self._start()
            return f"no result after {LONGEST:.0f} s"
        return None

    def stop(self) -> None:
        """Let the process end."""
        self.pipe.send(None)
        self.process.wait()
        self.pipe.close()


def run_seeds(seeds: Sequence[int], targets: Sequence[str], jobs: int) -> Totals:
    """All seeds on all targets."""
    totals = Totals()
    left = list(reversed(seeds))
    workers = [Worker(targets) for _ in range(min(jobs, len(left)))]
    for worker in workers:
        worker.give(left.pop())
    while any(w.seed is not None for w in workers):
        for worker in workers:
            if worker.seed is None or (result := worker.result()) is None:
                continue
            if isinstance(result, str):
                totals.report(f"crash: {result}", f"seed {worker.seed}")
            else:
                totals.add(result)
            totals.programs += 1
            worker.seed = None
            if left:
                worker.give(left.pop())
    for worker in workers:
        worker.stop()
    return totals
