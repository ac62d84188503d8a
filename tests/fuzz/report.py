"""`python -m tests.fuzz.report COUNTS…`: what one or several runs did, as Markdown.

In: the files that `python -m tests.fuzz --counts` writes. Out: the section for the documentation.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import click

Counts = dict[str, Counter[str]]
TARGETS = ("cpu", "wasm", "wgsl", "glsl")


def added(files: Iterable[Path]) -> tuple[int, Counts]:
    """The number of programs, and the sums of all counts."""
    programs = 0
    counts: Counts = {}
    for file in files:
        found = json.loads(file.read_text())
        programs += found.pop("programs")
        for name, values in found.items():
            counts.setdefault(name, Counter()).update(values)
    return programs, counts


def markdown(programs: int, counts: Counts) -> str:
    """A table by target, and lists of the rest."""
    rows = [
        "| target | programs | elements compared | of these free |",
        "| --- | --- | --- | --- |",
    ]
    for target in TARGETS:
        checked, free = (counts.get("elements", Counter())[target + end] for end in ("", " free"))
        share = f"{100 * free / max(1, checked + free):.2f} %"
        rows.append(f"| {target} | {counts['compared'][target]} | {checked + free} | {share} |")
    kinds = Counter({_kind(op): 0 for op in counts["ops"]})
    for op, count in counts["ops"].items():
        kinds[_kind(op)] += count
    passes = {p.removeprefix("ir/").replace("/", "."): n for p, n in counts["passes"].items()}
    return "\n\n".join(
        [
            f"{programs} programs, {sum(counts['ops'].values())} statements.",
            "\n".join(rows),
            f"*Under other conditions*: {_listed(counts['modes'])}.",
            f"*Dtypes of arguments*: {_listed(counts['dtypes'])}.",
            f"*Operations*: {_listed(kinds)}.",
            f"*Programs that a pass changed*: {_listed(passes)}.",
        ]
    )


def _kind(op: str) -> str:
    """Casts are counted together, whatever their dtypes."""
    for kind in ("raw cast", "cast", "scalar argument", "scalar", "NumPy scalar"):
        if op.startswith(f"{kind} "):
            return kind
    return op


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"`{name}` {count}" for name, count in Counter(counts).most_common())


@click.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path, exists=True))
def main(files: tuple[Path, ...]) -> None:
    """Print the section."""
    click.echo(markdown(*added(files)))


if __name__ == "__main__":
    main()
