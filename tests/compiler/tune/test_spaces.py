"""The schedules of each target's spaces: the default is one of them, and all of them are right."""

from __future__ import annotations

import random
from functools import cache
from itertools import islice
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tests.bad_inputs.calls import HEAVY
from tilewright.compiler.specialization import Specialization
from tilewright.compiler.targets import NAMES, BuildOptions
from tilewright.compiler.tune import candidates as candidates_module
from tilewright.compiler.tune.candidates import Candidates, WrongResultError
from tilewright.compiler.tune.nests import tunable_nests
from tilewright.compiler.tune.session import TunableNest
from tilewright.compiler.tune.subject import family_digest, graph_digest, traced_call
from tilewright.ir.analysis.error_rules import Bounded
from tilewright.ir.schedule import Schedule

TARGETS = [pytest.param(n, marks=() if n == "cpu" else getattr(pytest.mark, n)) for n in NAMES]
EXAMPLES = 400 if HEAVY else 5
RNG = np.random.default_rng(1)


def f32(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def convolution(x: Any, w: Any) -> Any:
    return tw.compute(
        (10, 12, 16),
        lambda i, j, o: tw.sum(lambda p, q, c: x[i + p, j + q, c] * w[p, q, c, o], (3, 3, 8)),
    )


def softmax(x: Any) -> Any:
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def product(a: Any, b: Any) -> Any:
    return a @ b


def blur(x: Any) -> Any:
    return (x[:-2] + x[1:-1] + x[2:]) / 3


def columns(x: Any) -> Any:
    return (x * x).sum(axis=0)


def wave(x: Any) -> Any:
    return np.sin(x) * 2 + 1


KERNELS: dict[str, tuple[Any, tuple[np.ndarray, ...]]] = {
    "product": (product, (f32(33, 48), f32(48, 40))),
    "convolution": (convolution, (f32(12, 14, 8), f32(3, 3, 8, 16))),
    "softmax": (softmax, (f32(13, 100),)),
    "columns": (columns, (f32(50, 37),)),
    "blur": (blur, (f32(35, 52),)),
    "wave": (wave, (f32(4099),)),
}


def subject(name: str, target: str) -> tuple[Any, list[np.ndarray]]:
    function, arrays = KERNELS[name]
    names = function.__code__.co_varnames
    traced, values = traced_call(
        tw.kernel(target=target)(function),
        dict(zip(names, arrays, strict=False)),
    )
    return traced, [values[n] for n in traced.input_names]


@cache
def nests(name: str, target: str) -> list[TunableNest]:
    return tunable_nests(subject(name, target)[0], target, BuildOptions())


@pytest.mark.parametrize("target", NAMES)
@pytest.mark.parametrize("name", KERNELS)
def test_the_default_is_the_start_of_its_space(name: str, target: str) -> None:
    function, arrays = KERNELS[name]
    defaults = tw.kernel(function).compile(*arrays, target=target).schedule
    for nest in tunable_nests(subject(name, target)[0], target, BuildOptions(portable=True)):
        assert nest.space.schedule(nest.space.default) == defaults[nest.name]
        assert nest.work > 0


@pytest.mark.parametrize("name", ["product", "convolution", "softmax", "columns"])
@pytest.mark.parametrize("target", NAMES)
def test_there_is_something_to_choose(name: str, target: str) -> None:
    (largest, *_) = sorted(nests(name, target), key=lambda nest: -nest.work)
    points = islice(largest.space.points(), 20_000)
    legal = set(map(largest.space.schedule, points))
    assert len(legal - {None}) >= 8


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", KERNELS)
def test_every_schedule_is_right(name: str, target: str) -> None:
    traced, inputs = subject(name, target)
    candidates = Candidates(traced, target, BuildOptions(), inputs)
    rng = random.Random(name)
    for nest in nests(name, target):
        tried = 0
        for _ in range(EXAMPLES * 20):
            point = tuple(rng.randrange(len(knob.values)) for knob in nest.space.knobs)
            schedule = nest.space.schedule(point)
            if schedule is not None and tried < EXAMPLES:
                candidates._timer({nest.name: schedule})  # compiles it, and checks its results
                tried += 1
        assert tried


def test_a_wrong_result_never_gets_to_be_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    traced, inputs = subject("product", "cpu")
    candidates = Candidates(traced, "cpu", BuildOptions(), inputs)
    run = Specialization.run

    def wrong(self: Any, *args: Any) -> Any:
        found = run(self, *args)
        found[0][0, 0] += 1
        return found

    monkeypatch.setattr(Specialization, "run", wrong)
    with pytest.raises(WrongResultError, match="expected"):
        candidates.race({"t1": Schedule(tile=(4, 16), vector=1, width=16)}, {}, 0.01)


def test_where_the_default_is_not_within_its_bounds_it_is_the_reference(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Such a kernel can be tuned, and its schedules agree with each other."""

    def impossible(graph: Any, *_: Any) -> list[Bounded]:
        return [Bounded(np.full(t.shape, 7.0), np.zeros(t.shape)) for t in graph.outputs]

    monkeypatch.setattr(candidates_module, "bound_graph", impossible)
    traced, inputs = subject("product", "cpu")
    candidates = Candidates(traced, "cpu", BuildOptions(), inputs)
    assert candidates.race({"t1": Schedule(tile=(4, 16), vector=1, width=16)}, {}, 0.01)
    run = Specialization.run
    monkeypatch.setattr(Specialization, "run", lambda *args: [a + 1 for a in run(*args)])
    with pytest.raises(WrongResultError):
        candidates.race({"t1": Schedule(tile=(2, 16), vector=1, width=16)}, {}, 0.01)


def test_digests_tell_shapes_apart_and_families_do_not() -> None:
    def graph(*shape: int) -> Any:
        return traced_call(tw.kernel(softmax), {"x": f32(*shape)})[0].graph

    a, b, again = graph(4, 100), graph(4, 200), graph(4, 100)
    options = BuildOptions()
    assert graph_digest(a, "cpu", options) == graph_digest(again, "cpu", options)
    assert graph_digest(a, "cpu", options) != graph_digest(b, "cpu", options)
    assert graph_digest(a, "cpu", options) != graph_digest(a, "wgsl", options)
    fast = BuildOptions(numerics="fast")
    assert graph_digest(a, "cpu", options) != graph_digest(a, "cpu", fast)
    assert family_digest(a, "cpu", options) == family_digest(b, "cpu", options)
    other = traced_call(tw.kernel(wave), {"x": f32(4, 100)})[0].graph
    assert family_digest(a, "cpu", options) != family_digest(other, "cpu", options)


@pytest.mark.parametrize("name", KERNELS)
def test_large_kernels_are_compared_with_their_default(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The float64 reference of a product of 1024 rows would not fit into memory."""
    monkeypatch.setattr(candidates_module, "_MOST_WORK", 0)
    monkeypatch.setattr(candidates_module, "bound_graph", None)
    traced, inputs = subject(name, "cpu")
    candidates = Candidates(traced, "cpu", BuildOptions(), inputs)
    (nest,) = nests(name, "cpu")
    rng = random.Random(name)
    for _ in range(5):
        point = tuple(rng.randrange(len(knob.values)) for knob in nest.space.knobs)
        schedule = nest.space.schedule(point)
        if schedule is not None:
            candidates._timer({nest.name: schedule})
    wanted = [np.asarray(allowed.value) for allowed in candidates._allowed]
    wrong = [(w + 1e-3 * (1 + np.abs(w).max())).astype(np.float32) for w in wanted]
    monkeypatch.setattr(Specialization, "run", lambda *_: wrong)
    with pytest.raises(WrongResultError):
        candidates.race({nest.name: Schedule()}, {}, 0.01)
