"""The page of a kernel: what is in it, how its parts are linked, and that names stay text."""

from __future__ import annotations

import linecache
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tests.compiler.view.pages import (
    Document,
    product,
    rounds,
    softmax,
    sorted_rows,
    until,
    view_of,
)
from tilewright.compiler.view.model import View
from tilewright.compiler.view.page import page
from tilewright.ir.run_times import RunTimes

F32 = tw.f32[6, 8]
CASES: list[tuple[Callable[..., Any], tuple[Any, ...], tuple[str, ...]]] = [
    (softmax, (tw.f32[64, 100],), ("cpu", "wasm", "wgsl", "glsl")),
    (product, (tw.f32[64, 64], tw.f32[64, 64]), ("cpu", "wgsl", "glsl")),
    (rounds, (tw.f32[8, 8],), ("cpu", "wgsl", "glsl")),
    (until, (tw.f32[8],), ("cpu", "wasm")),
    (sorted_rows, (F32,), ("cpu", "wgsl", "glsl")),
    (lambda x: x, (F32,), ("cpu", "wgsl", "glsl")),
    (lambda x: x + 1, (tw.f32[0, 3],), ("cpu", "wgsl", "glsl")),
    (lambda x: x + 1, (tw.f32[tw.dim("N"), 3],), ("cpu", "wasm")),
    (lambda x, *, n=3: x[n] * np.arange(8, dtype=np.float32), (F32,), ("cpu", "glsl")),
]


def read(view: View) -> Document:
    return Document(page(view).decode())


@pytest.mark.parametrize(
    ("function", "specs", "target"), [(f, s, t) for f, s, targets in CASES for t in targets]
)
def test_parts_are_linked(function: Callable[..., Any], specs: Any, target: str) -> None:
    view = view_of(function, *specs, target=target)
    found = read(view)
    assert len(set(found.values("id"))) == len(found.values("id"))
    keys = found.values("data-key")
    assert len(set(keys)) == len(keys)
    steps = {f"g{k}" for k in range(len(view.steps))}
    assert {k for text in found.values("data-in") for k in text.split()} <= {*keys, *steps}
    assert set(found.values("aria-controls")) <= set(found.values("id"))
    assert [a["data-launch"] for a in found.with_class("detail")] == [
        k for k in keys if k.startswith("l")
    ]
    assert len(found.with_class("node")) == sum(len(p.nodes) for p in view.graphs)
    assert {k for ends in found.values("data-ends") for k in ends.split()} <= set(keys)


def test_lines_tensors_and_launches_of_one_fused_step() -> None:
    view = view_of(softmax, tw.f32[64, 100], target="wgsl")
    (launch,) = view.launches
    nodes = view.graphs[0].nodes
    assert [n.tensor.label for n in nodes if n.steps] == [
        "np.maximum.reduce",
        "np.subtract",
        "np.exp",
        "np.add.reduce",
        "np.divide",
    ]
    assert [n.stored for n in nodes] == [True, True, False, True, True, True]
    lines = {n.line for n in nodes if n.line}
    assert len(lines) == 2
    shown = view.shown_with(launch.key).split()
    assert {n.key for n in nodes if n.steps} | lines <= set(shown)


def test_tensors_that_several_steps_compute_belong_to_all_of_them() -> None:
    def twice(x):
        y = x * 2
        return y.sum(axis=0), np.sort(y + 1, axis=0)

    view = view_of(twice, tw.f32[64, 64], target="glsl")
    (doubled,) = (n for n in view.graphs[0].nodes if n.tensor.label == "np.multiply")
    assert not doubled.stored
    assert len(doubled.steps) == 2


@pytest.mark.parametrize("target", ["cpu", "wgsl", "glsl"])
def test_every_launch_belongs_to_a_step_and_has_its_texts(target: str) -> None:
    view = view_of(softmax, tw.f32[64, 1000], target=target)
    for launch in view.launches:
        assert launch.step is not None, launch.name
        assert launch.text.startswith("kernel ")
        assert launch.code
        assert launch.figures is not None
        assert launch.schedule.startswith("Schedule(")


def test_bodies_of_loops_are_graphs_of_their_own() -> None:
    view = view_of(rounds, tw.f32[8, 8])
    assert len(view.graphs) == 2
    assert {n.tensor.label for n in view.graphs[1].nodes} >= {"np.multiply", "np.add"}


def test_measured_times() -> None:
    count = len(view_of(softmax, tw.f32[64, 1000], target="glsl").launches)
    seconds = tuple(1e-3 * (k + 1) for k in range(count))
    times = RunTimes(1e-4, 2.5e-2, 3e-4, seconds, "device")
    view = view_of(softmax, tw.f32[64, 1000], target="glsl", times=times, call_seconds=3e-2)
    texts = [text for _, text in read(view).texts]
    assert {"100 µs", "25.0 ms", "300 µs", "30.0 ms", "1.00 ms"} <= set(texts)
    assert [launch.seconds for launch in view.launches] == list(seconds)


def test_launches_that_could_not_be_timed() -> None:
    times = RunTimes(1e-4, 2e-2, 3e-4, (), "host")
    texts = [t for _, t in read(view_of(softmax, F32, target="glsl", times=times)).texts]
    assert "20.0 ms" in texts


def test_nothing_is_loaded_from_elsewhere() -> None:
    found = read(view_of(softmax, F32))
    assert not {"src", "href"} & {name for _, a in found.elements for name in a}
    (policy,) = (a["content"] for _, a in found.elements if "http-equiv" in a)
    assert str(policy).startswith("default-src 'none'")


HOSTILE = "</script><script>alert(1)</script>&\"'<b>"


def test_hostile_names_are_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the name of the function, of its file, and in its lines."""
    file = f"{HOSTILE}\udc80.py"
    source = f'def f(x):  # {HOSTILE} <!-- ]]> <title>\n    return np.exp(x) + "{{}}".count("{{")\n'
    namespace: dict[str, Any] = {"np": np}
    exec(compile(source, file, "exec"), namespace)
    lines = source.splitlines(keepends=True)
    monkeypatch.setitem(linecache.cache, file, (len(source), None, lines, file))
    function = namespace["f"]
    function.__name__ = HOSTILE
    view = view_of(function, tw.f32[tw.dim("N"), 3])
    text = page(view).decode()
    found = Document(text)
    assert text.count("<script>") == text.count("</script>") == 1
    assert [tag for tag, _ in found.elements].count("script") == 1
    shown = {text for _, text in found.texts}
    assert HOSTILE in shown
    assert any(HOSTILE in t and t.startswith("def f(x)") for t in shown)


def test_a_function_without_source() -> None:
    namespace: dict[str, Any] = {}
    exec("def f(x):\n    return x + 1\n", namespace)
    texts = {t for _, t in read(view_of(namespace["f"], F32)).texts}
    assert "The source of the function is not at hand." in texts
