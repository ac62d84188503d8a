"""Times every schedule of small spaces, so that the tuner's search can be judged without a clock.

    python -m benchmarks.tuning [NAME …]

Each schedule is raced against the default one, in turns. Out: one JSON file for each space in
tests/compiler/tune/recorded/, from which test_recorded.py repeats searches.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct
from rich.progress import track

import tilewright as tw
from tilewright.compiler.targets import BuildOptions
from tilewright.compiler.tune.candidates import Candidates
from tilewright.compiler.tune.nests import tunable_nests
from tilewright.compiler.tune.subject import traced_call
from tilewright.ir.errors import KernelError
from tilewright.ir.schedule import Schedule
from tilewright.ir.schedule_space import Point, ScheduleSpace

FOLDER = Path(__file__).parents[1] / "tests" / "compiler" / "tune" / "recorded"
SECONDS = 0.15


def product(a: Any, b: Any) -> Any:
    return a @ b


def softmax(x: Any) -> Any:
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def columns(x: Any) -> Any:
    return (x * x).sum(axis=0)


def blur(x: Any) -> Any:
    return (x[:-2] + x[1:-1] + x[2:]) / 3


class Case(Struct, frozen=True):
    """A kernel, the shapes of its arguments, a target, and the knobs that are turned."""

    function: Callable[..., Any]
    shapes: Mapping[str, tuple[int, ...]]
    target: str
    knobs: tuple[str, ...]


CASES = {
    "columns_cpu": Case(
        columns,
        {"x": (1000, 512)},
        "cpu",
        ("tile 0", "vector", "width", "unroll_reduce"),
    ),
    "softmax_cpu": Case(softmax, {"x": (256, 1000)}, "cpu", ("tile 0", "width", "unroll")),
    "blur_cpu": Case(blur, {"x": (540, 960)}, "cpu", ("tile 0", "width", "chunks")),
    "product_wasm": Case(
        product,
        {"a": (96, 96), "b": (96, 96)},
        "wasm",
        ("tile 0", "tile 1", "width"),
    ),
    "product_wgsl": Case(
        product,
        {"a": (128, 128), "b": (128, 128)},
        "wgsl",
        ("form", "rows", "columns", "depth", "threads", "tile columns"),
    ),
}


def record(case: Case) -> dict[str, Any]:
    """All times of a case, relative to the default's; None for what does not run."""
    rng = np.random.default_rng(0)
    arrays = {n: rng.standard_normal(s).astype(np.float32) for n, s in case.shapes.items()}
    kernel = tw.kernel(target=case.target)(case.function)
    traced, values = traced_call(kernel, arrays)
    (nest,) = tunable_nests(traced, case.target, BuildOptions())
    space = narrowed(nest.space, case.knobs)
    inputs = [values[n] for n in traced.input_names]
    candidates = Candidates(traced, case.target, BuildOptions(), inputs)
    numbers: dict[Schedule, int] = {}
    points: dict[Point, int] = {}
    for point in space.points():
        schedule = space.schedule(point)
        if schedule is not None:
            points[point] = numbers.setdefault(schedule, len(numbers))
    default = space.schedule(space.default)
    assert default is not None

    def time(schedule: Schedule, seconds: float) -> float | None:
        try:
            found = candidates.race({nest.name: schedule}, {nest.name: default}, seconds)
        except KernelError:
            return None
        return round(found.ratio, 4)

    times = [time(schedule, SECONDS) for schedule in track(numbers, description=kernel.__name__)]
    # Of many times the least are those that were disturbed in their favour: once more, and longer.
    most = 1.3 * min(found for found in times if found is not None)
    for number, schedule in enumerate(numbers):
        found = times[number]
        if found is not None and found < most:
            times[number] = time(schedule, 4 * SECONDS)
    return {
        "knobs": [[k.name, len(k.values), k.is_ordered] for k in space.knobs],
        "default": space.default,
        "schedules": [points.get(point, -1) for point in space.points()],
        "times": times,
    }


def narrowed(space: ScheduleSpace, names: tuple[str, ...]) -> ScheduleSpace:
    """The space with only these knobs; the others stay as they are by default."""
    fixed = {k.name: k.values[n] for k, n in zip(space.knobs, space.default, strict=True)}
    kept = [(k, n) for k, n in zip(space.knobs, space.default, strict=True) if k.name in names]
    return ScheduleSpace(
        tuple(k for k, _ in kept),
        lambda chosen: space.make({**fixed, **chosen}),
        space.values_of,
        tuple(n for _, n in kept),
    )


def main() -> None:
    """Record the cases that are named, or all."""
    FOLDER.mkdir(exist_ok=True)
    for name in sys.argv[1:] or CASES:
        found = record(CASES[name])
        (FOLDER / f"{name}.json").write_text(json.dumps(found, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
