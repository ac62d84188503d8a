"""`python -m tests.fuzz --seeds 0:2000 --targets cpu,wasm,wgsl,glsl --jobs 2`

Prints what was run per operation, dtype and pass, and for each disagreement the smallest program
that shows it.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path

import click

from tests.fuzz.workers import run_seeds


def _shown(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.most_common())


@click.command()
@click.option("--seeds", default="0:500", help="first:end")
@click.option("--targets", default="cpu,wasm,wgsl,glsl")
@click.option("--jobs", default=2)
@click.option("--counts", type=click.Path(path_type=Path), help="a file for the counts, as JSON")
def main(seeds: str, targets: str, jobs: int, counts: Path | None) -> None:
    """Compare random kernels on several targets."""
    first, end = map(int, seeds.split(":"))
    folder = tempfile.mkdtemp(prefix="tilewright-fuzz-")  # its own disk cache: no old artifacts
    os.environ["XDG_CACHE_HOME"] = folder
    os.environ.setdefault("XDG_RUNTIME_DIR", folder)
    started = time.monotonic()
    try:
        totals = run_seeds(range(first, end), targets.split(","), jobs)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if counts:
        found = {k: len(v) for k, v in totals.findings.items()}
        counts.write_text(json.dumps({**vars(totals), "findings": found}))
    click.echo(f"{totals.programs} programs in {time.monotonic() - started:.0f} s")
    click.echo(f"compared: {_shown(totals.compared)}; unsupported: {_shown(totals.unsupported)}")
    click.echo(f"elements: {_shown(totals.elements)}")
    click.echo(f"modes: {_shown(totals.modes)}")
    click.echo(f"operations: {_shown(totals.ops)}\nargument dtypes: {_shown(totals.dtypes)}")
    click.echo(f"programs changed by each pass: {_shown(totals.passes)}")
    for key, texts in sorted(totals.findings.items(), key=lambda item: -len(item[1])):
        click.echo(f"\n=== {len(texts)}x {key}\n{min(texts, key=len)}")
    raise SystemExit(1 if totals.findings else 0)


if __name__ == "__main__":
    main()
