"""Random schedules of the gallery's kernels: under each, results must be right.

    python -m tests.compiler.tune.gallery_schedules --target wgsl --count 5000 [--seed N] [--jobs N]
        [--kernel NAME …]

Points are drawn from the spaces that the tuner searches, for all nests of a kernel at a time.
"""

from __future__ import annotations

import multiprocessing
import random
import warnings
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat

import click
from msgspec import Struct

from benchmarks.gallery import Entry, entries
from tests.compiler.tune.gallery_subjects import GallerySubject
from tilewright.compiler.targets import NAMES
from tilewright.ir.errors import LimitError, UnsupportedError


class Outcome(Struct):
    """Of the schedules of one kernel: how many were tried, how many of them are different, how many
    are beyond a limit of the device, and what is wrong. `refused`: not a kernel for the target."""

    name: str
    tried: int = 0
    different: int = 0
    limited: int = 0
    wrong: Sequence[str] = ()
    refused: bool = False


def outcome(name: str, target: str, count: int, seed: int) -> Outcome:
    """Try `count` schedules of the entry called `name`."""
    warnings.simplefilter("ignore")
    (entry,) = (e for e in entries() if e.name == name)
    try:
        subject = GallerySubject(entry, target)
    except UnsupportedError:
        return Outcome(name, refused=True)
    return tried(subject, count, random.Random(f"{name} {seed}"))


def tried(subject: GallerySubject, count: int, rng: random.Random) -> Outcome:
    """Try `count` schedules of a kernel, or none if it has nothing to choose."""
    found = Outcome(subject.entry.name)
    seen: set[str] = set()
    wrong: list[str] = []
    for _ in range(count if subject.nests else 0):
        chosen = subject.draw(rng)
        found.tried += 1
        seen.add(repr(chosen))
        try:
            problem = subject.wrong_under(chosen)
        except LimitError:
            found.limited += 1
            continue
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
        if problem:
            wrong.append(f"{problem} with {chosen}")
    found.different, found.wrong = len(seen), wrong
    return found


def chosen_entries() -> list[Entry]:
    """One of each family that the gallery has."""
    return list({entry.family: entry for entry in entries()}.values())


@click.command()
@click.option("--target", type=click.Choice(NAMES), required=True)
@click.option("--count", default=5000)
@click.option("--seed", default=0)
@click.option("--jobs", default=1)
@click.option("--kernel", "only", multiple=True, help="Of the gallery; all, if none is named.")
def main(target: str, count: int, seed: int, jobs: int, only: Sequence[str]) -> None:
    """Try about COUNT schedules, the same number for each kernel of the gallery."""
    names = list(only) or [entry.name for entry in entries()]
    share = -(-count // len(names))
    context = multiprocessing.get_context("spawn")
    total, refused = Outcome("all"), []
    with ProcessPoolExecutor(jobs, context) as pool:
        work = pool.map(outcome, names, repeat(target), repeat(share), repeat(seed))
        for found in work:
            click.echo(f"{found.name}: {found.tried} schedules, {found.different} different")
            for problem in found.wrong:
                click.echo(f"{found.name}: {problem}")
            total.tried += found.tried
            total.different += found.different
            total.limited += found.limited
            total.wrong = [*total.wrong, *found.wrong]
            refused += [found.name] if found.refused else []
    click.echo(
        f"{target}: {total.tried} schedules, {total.different} of them different, of"
        f" {len(names) - len(refused)} kernels: {total.limited} beyond a limit of the device,"
        f" {len(total.wrong)} wrong"
    )
    click.echo(f"not for this target: {', '.join(refused) or 'none'}")
    raise SystemExit(bool(total.wrong))


if __name__ == "__main__":
    main()
