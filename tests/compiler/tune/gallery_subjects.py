"""The gallery's kernels at small sizes: the same nests, and results that are soon compared."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping

import numpy as np

import tilewright as tw
from benchmarks.gallery import Entry
from benchmarks.gallery.entry import TOLERANCES, Array, as_tuple
from tilewright.compiler.targets import BuildOptions
from tilewright.compiler.tune.candidates import Candidates, WrongResultError
from tilewright.compiler.tune.nests import tunable_nests
from tilewright.compiler.tune.subject import traced_call
from tilewright.ir.schedule import Schedule

OPTIONS = BuildOptions()
LONG = 32
FACTORS = (16, 8, 4, 2)
"""By which axes that are `LONG` are cut, as far as a kernel's meaning allows."""
DRAWS = 200


class GallerySubject:
    """An entry on a target: what its schedules may be, and whether results under them are right.

    Right is what keeps the promises of docs/numerics.md, and the entry's own tolerance.
    """

    def __init__(self, entry: Entry, target: str) -> None:
        self.entry = entry
        inputs = small_inputs(entry)
        self.wanted = as_tuple(entry.reference(*inputs))
        names = entry.kernel.__code__.co_varnames
        kernel = tw.kernel(target=target)(entry.kernel)
        traced, values = traced_call(kernel, dict(zip(names, inputs, strict=False)))
        self.nests = tunable_nests(traced, target, OPTIONS)
        arrays = [np.ascontiguousarray(values[n]) for n in traced.input_names]
        self.candidates = Candidates(traced, target, OPTIONS, arrays)

    def draw(self, rng: random.Random) -> dict[str, Schedule]:
        """A random schedule of its space for every nest; for some the default."""
        drawn: dict[str, Schedule] = {}
        for nest in self.nests:
            for _ in range(DRAWS):
                point = tuple(rng.randrange(len(knob.values)) for knob in nest.space.knobs)
                schedule = nest.space.schedule(point)
                if schedule is not None:
                    drawn[nest.name] = schedule
                    break
        return drawn

    def wrong_under(self, schedules: Mapping[str, Schedule]) -> str:
        """What is wrong with the results under these schedules; nothing where they are right."""
        made = self.candidates.compiled(schedules)
        try:
            found = made.result(self.candidates.check(made))
        except WrongResultError as error:
            return str(error)
        tolerance = TOLERANCES[self.entry.tolerance]
        pairs = zip(as_tuple(found), self.wanted, strict=True)
        excess = max(tolerance.excess(got, wanted) for got, wanted in pairs)
        return "" if excess <= 1 else f"{excess:.3g} times the entry's tolerance"


def small_inputs(entry: Entry) -> tuple[Array, ...]:
    """The entry's inputs, cut where its own NumPy code then still gives what its reference does."""
    inputs = entry.inputs()
    return next((cut for cut in _cuts(inputs) if _makes_sense(entry, cut)), inputs)


def _cuts(inputs: tuple[Array, ...]) -> Iterator[tuple[Array, ...]]:
    """All arrays, or the first: others may be tables, whose length means something."""
    for factor in FACTORS:
        yield tuple(_cut(array, factor) for array in inputs)
    for factor in FACTORS:
        yield _cut(inputs[0], factor), *inputs[1:]


def _cut(array: Array, factor: int) -> Array:
    """Equal lengths stay equal; they become odd ones, so that tiles do not divide them."""
    lengths = (n if n <= LONG else max(n // factor, 24 + n % 13) for n in array.shape)
    return np.ascontiguousarray(array[tuple(map(slice, lengths))])


def _makes_sense(entry: Entry, inputs: tuple[Array, ...]) -> bool:
    def results(function: Callable[..., object]) -> tuple[Array, ...]:
        return as_tuple(function(*inputs))

    try:
        with np.errstate(all="ignore"):
            pairs = zip(results(entry.kernel), results(entry.reference), strict=True)
            tolerance = TOLERANCES[entry.tolerance]
            return all(a.size and tolerance.excess(a, b) <= 1 for a, b in pairs)
    except (ValueError, IndexError):
        return False
