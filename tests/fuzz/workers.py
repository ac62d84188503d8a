"""Worker processes that run seeds: a crash or a hang of one is a finding, not the end.

In: seeds and targets. Out: `Totals`, with the smallest program found for each disagreement.
"""

from __future__ import annotations

import re
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from tests.fuzz.compare import run_program
from tests.fuzz.generate import generate
from tests.fuzz.program import shrink

PATIENCE = 60.0  # seconds for one program, on all targets


@dataclass
class Totals:
    programs: int = 0
    ops: Counter[str] = field(default_factory=Counter)
    dtypes: Counter[str] = field(default_factory=Counter)
    compared: Counter[str] = field(default_factory=Counter)
    unsupported: Counter[str] = field(default_factory=Counter)
    findings: dict[str, list[str]] = field(default_factory=dict)


def _work(pipe: Connection, targets: Sequence[str]) -> None:
    """A worker: seeds in, outcomes out."""
    while True:
        seed = pipe.recv()
        if seed is None:
            return
        program = generate(seed)
        outcome = run_program(program, targets)
        texts = []
        for finding in outcome.findings[:2]:

            def fails(candidate: Any, wanted: Any = finding) -> bool:
                found = run_program(candidate, [wanted.target]).findings
                return any(f.kind == wanted.kind for f in found)

            small = shrink(program, fails)
            again = [f for f in run_program(small, [finding.target]).findings]
            same = next((f for f in again if f.kind == finding.kind), finding)
            op = ",".join(s.op for s in small.statements)
            if " in " in finding.kind:  # an exception: grouped by what it says
                op = re.sub(r"\d+", "", _last_lines(same.detail))
            key = f"{finding.target}: {finding.kind}: {op}"
            texts.append((key, f"seed {seed}\n{same.detail}\n{small.reproducer()}"))
        ops = [s.op for s in program.statements]
        dtypes = [a.dtype.name for a in program.arguments.values()]
        pipe.send((ops, dtypes, outcome.compared, outcome.unsupported, texts))


def _last_lines(text: str) -> str:
    """What an exception says, without the frames above."""
    lines = [line for line in text.splitlines() if not line.startswith("  ")]
    return " ".join(lines[-3:])[:100]


class Worker:
    """A process that runs one seed after the other, and is replaced if it dies."""

    def __init__(self, targets: Sequence[str]) -> None:
        self._targets = targets
        self.seed: int | None = None
        self.start()

    def start(self) -> None:
        context = get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, self._targets), daemon=True)
        self.process.start()
        theirs.close()
        self.since = time.monotonic()

    def give(self, seed: int | None) -> None:
        self.seed, self.since = seed, time.monotonic()
        self.pipe.send(seed)

    def result(self) -> Any:
        """What the worker sent, or a text about how it ended, or None while it works."""
        if self.pipe.poll(0.002):
            try:
                return self.pipe.recv()
            except (EOFError, OSError):
                self.process.join(5)
                return f"worker ended with status {self.process.exitcode}"
        if time.monotonic() - self.since > PATIENCE:
            self.process.kill()
            return f"no result after {PATIENCE:.0f} s"
        return None


def run_seeds(seeds: Sequence[int], targets: Sequence[str], jobs: int) -> Totals:
    """All seeds on all targets."""
    totals = Totals()
    left = list(reversed(seeds))
    workers = [Worker(targets) for _ in range(jobs)]
    for worker in workers:
        if left:
            worker.give(left.pop())
    while any(w.seed is not None for w in workers):
        for worker in workers:
            if worker.seed is None or (result := worker.result()) is None:
                continue
            if isinstance(result, str):
                _report(totals, f"crash: {result}", f"seed {worker.seed}")
                worker.start()
            else:
                _add(totals, result)
            totals.programs += 1
            if left:
                worker.give(left.pop())
            else:
                worker.seed = None
    for worker in workers:
        worker.give(None)
        worker.process.join(10)
    return totals


def _add(totals: Totals, result: Any) -> None:
    ops, dtypes, compared, unsupported, texts = result
    totals.ops.update(ops)
    totals.dtypes.update(dtypes)
    totals.compared.update(compared)
    totals.unsupported.update(unsupported)
    for key, text in texts:
        _report(totals, key, text)


def _report(totals: Totals, key: str, text: str) -> None:
    """Said at once too: a long run may be stopped before its summary."""
    print(f"{text.splitlines()[0]}: {key}", file=sys.stderr, flush=True)
    totals.findings.setdefault(key, []).append(text)
