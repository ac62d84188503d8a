"""Random schedules of the gallery's kernels: each must give the same, right results.

    python -m tests.compiler.tune.gallery_schedules --target wgsl --count 5000 [--seed N]

Points are drawn from the spaces that the tuner searches; results are compared with the entry's
float64 reference under its tolerance.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import click
import numpy as np
from msgspec.structs import replace

import tilewright as tw
from benchmarks.gallery import Entry, entries
from benchmarks.gallery.entry import TOLERANCES, as_tuple
from tilewright.compiler.driver import compile_traced
from tilewright.compiler.runtime import runtime
from tilewright.compiler.targets import NAMES, BuildOptions
from tilewright.compiler.tune.nests import tunable_nests
from tilewright.compiler.tune.subject import traced_call
from tilewright.ir.errors import LimitError, UnsupportedError
from tilewright.ir.schedule import Schedule

OPTIONS = BuildOptions()


@click.command()
@click.option("--target", type=click.Choice(NAMES), required=True)
@click.option("--count", default=5000)
@click.option("--seed", default=0)
def main(target: str, count: int, seed: int) -> None:
    """Try COUNT schedules, the same number for each kernel that the target can run."""
    rng = random.Random(seed)
    tried, wrong, limited, refused = 0, [], 0, []
    everything = entries()
    for number, entry in enumerate(everything):
        share = (count - tried) // (len(everything) - number)
        try:
            for outcome in outcomes(entry, target, share, rng):
                tried += 1
                if outcome.startswith("limit"):
                    limited += 1
                elif outcome:
                    wrong.append(f"{entry.name}: {outcome}")
                    click.echo(wrong[-1])
        except UnsupportedError:
            refused.append(entry.name)
    click.echo(f"{target}: {tried} schedules, {limited} beyond a limit, {len(wrong)} wrong")
    click.echo(f"not for this target: {', '.join(refused) or 'none'}")
    raise SystemExit(bool(wrong))


def outcomes(entry: Entry, target: str, count: int, rng: random.Random) -> Iterator[str]:
    """For each of `count` schedules: nothing, or what is wrong."""
    inputs = entry.inputs()
    names = entry.kernel.__code__.co_varnames
    kernel = tw.kernel(target=target)(entry.kernel)
    traced, values = traced_call(kernel, dict(zip(names, inputs, strict=False)))
    nests = [n for n in tunable_nests(traced, target, OPTIONS) if n.space.size > 1]
    arrays = [np.ascontiguousarray(values[n]) for n in traced.input_names]
    wanted = entry.reference(*inputs)
    for _ in range(count if nests else 0):
        chosen: dict[str, Schedule] = {}
        for nest in nests:
            point = tuple(rng.randrange(len(knob.values)) for knob in nest.space.knobs)
            schedule = nest.space.schedule(point)
            if schedule is not None:
                chosen[nest.name] = schedule
        try:
            made = compile_traced(traced, target, replace(OPTIONS, schedules=chosen), runtime())
            found = made.result(made.run(arrays))
        except LimitError as error:
            yield f"limit: {error}"
            continue
        pairs = zip(as_tuple(found), as_tuple(wanted), strict=True)
        excess = max(TOLERANCES[entry.tolerance].excess(a, b) for a, b in pairs)
        yield "" if excess <= 1 else f"{excess:.3g} times the tolerance with {chosen}"


if __name__ == "__main__":
    main()
