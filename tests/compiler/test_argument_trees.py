"""Containers and objects as arguments and as results."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pytest

import tilewright as tw

A = np.arange(6.0).reshape(2, 3)
B = np.ones(3, np.float32)


class State(NamedTuple):
    h: Any
    c: Any


@dataclass(slots=True)
class Slotted:
    x: Any
    y: int


@dataclass(frozen=True)
class Settings:
    weights: np.ndarray
    rate: float = 0.5
    steps: int = 2
    name: str = "plain"

    def scaled(self, x):
        return np.zeros_like(x) + x * self.rate


class Layer:
    bias = 1.0

    def __init__(self, weights: np.ndarray) -> None:
        self.weights = weights
        self.log = open  # what no kernel could take, and this one does not read

    @property
    def width(self) -> int:
        return len(self.weights.T)

    def __call__(self, x):
        return np.maximum(x @ self.weights, 0) + self.bias


class Net:
    def __init__(self) -> None:
        self.layers = [Layer(np.eye(3)), Layer(np.full((3, 2), 0.5))]
        self.count = 2

    @tw.kernel
    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x[: self.count] * np.ones(self.layers[-1].width)


def test_dicts() -> None:
    @tw.kernel
    def total(p):
        if p["mode"] == "sum":
            return {k: v.sum() * p["gain"] for k, v in p["arrays"].items()} | {"n": p["n"]}
        return np.zeros(p["n"])

    given = {"arrays": {"a": A, "b": B}, "gain": 2.0, "mode": "sum", "n": 3}
    assert total(given) == {"a": 30.0, "b": 6.0, "n": 3}
    assert total({**given, "gain": 3.0}) == {"a": 45.0, "b": 9.0, "n": 3}
    assert len(total.specializations) == 1
    assert total({**given, "mode": ""}).shape == (3,)
    assert total({**given, "mode": "", "n": 4}).shape == (4,)


def test_lists_and_tuples_of_arrays() -> None:
    update = tw.kernel(
        lambda params, grads: [p - 0.5 * g for p, g in zip(params, grads, strict=True)]
    )
    found = update([A, B], (A, B))
    assert type(found) is list
    np.testing.assert_array_equal(found[0], A / 2)
    assert found[1].dtype == np.float32
    with pytest.raises(tw.ShapeError, match="inhomogeneous"):
        update([[1, 2], [3]], A)


def test_named_tuples_and_ordered_dicts() -> None:
    step = tw.kernel(lambda s, x: State(s.h + x, s._replace(c=x).c))
    found = step(State(A, B), A)
    assert type(found) is State
    np.testing.assert_array_equal(found.h, 2 * A)
    ordered = tw.kernel(lambda d: OrderedDict((k, v + 1) for k, v in d.items()))
    assert type(ordered(OrderedDict(a=A))) is OrderedDict


def test_dataclasses() -> None:
    @tw.kernel
    def run(settings, x):
        for _ in range(settings.steps):
            x = settings.scaled(x) + settings.weights
        return replace(settings, weights=x)

    given = Settings(A)
    found = run(given, A)
    assert type(found) is Settings
    assert (found.name, found.rate, found.steps) == ("plain", 0.5, 2)
    np.testing.assert_array_equal(found.weights, 1.75 * A)
    np.testing.assert_array_equal(run(replace(given, rate=1.0), A).weights, 3 * A)
    assert len(run.specializations) == 1
    np.testing.assert_array_equal(run(replace(given, steps=1), A).weights, 1.5 * A)


def test_methods_follow_their_object() -> None:
    net = Net()
    np.testing.assert_array_equal(net.forward(A), [[4.0, 4.0], [8.5, 8.5]])
    net.layers[0].weights[0] = 5
    np.testing.assert_array_equal(net.forward(A)[0], [4.0, 4.0])
    assert net.forward(A)[1, 0] == 29.5
    assert len(Net.forward.specializations) == 1
    net.count = 1
    assert net.forward(A).shape == (1, 2)


def test_parts_of_the_result_that_are_no_arrays() -> None:
    both = tw.kernel(lambda x: {"x": x + 1, "name": "sum", "none": None, "rest": [], "on": True})
    found = both(B)
    assert {k: v for k, v in found.items() if k != "x"} == {
        "name": "sum",
        "none": None,
        "rest": [],
        "on": True,
    }
    with pytest.raises(tw.TraceError, match="a kernel returns no array"):
        tw.kernel(lambda x: {"rest": []})(B)


def test_leaves_are_named_in_messages() -> None:
    with pytest.raises(tw.TraceError) as caught:
        tw.kernel(lambda p: p["w"].__setitem__(0, 1))({"w": B})
    assert """cannot write into its argument "p['w']\"""" in str(caught.value)
    with pytest.raises(tw.DTypeError, match=r"argument \"p\['z'\]\" is of type complex"):
        tw.kernel(lambda p: p["w"])({"w": B, "z": 1j})


def test_containers_cannot_be_changed() -> None:
    def changes(p):
        p["w"] = p["w"] + 1
        return p["w"]

    with pytest.raises(tw.TraceError, match="the kernel changes 'p', which lives outside of it"):
        tw.kernel(changes)({"w": B})


def test_a_container_in_itself() -> None:
    loop: list[Any] = [B]
    loop.append(loop)
    with pytest.raises(tw.DTypeError, match="holds itself"):
        tw.kernel(lambda p: p[0])(loop)
    with pytest.raises(tw.DTypeError, match="holds itself"):
        tw.kernel(lambda p: p[0])(loop[1:])


def test_dataclasses_with_slots() -> None:
    moved = tw.kernel(lambda p, dx: replace(p, x=p.x + dx))(Slotted(A, 2), 1.0)
    assert type(moved) is Slotted
    assert moved.y == 2
    np.testing.assert_array_equal(moved.x, A + 1)


def test_ahead_of_time() -> None:
    compiled = tw.kernel(lambda p, n: p["w"][:n] * p["k"]).compile(
        {"w": tw.f32[3], "k": 2.0}, 2, target="cpu"
    )
    np.testing.assert_array_equal(compiled({"w": B, "k": 3.0}, 2), [3, 3])
    with pytest.raises(tw.DTypeError):
        compiled({"w": B.astype(np.float64), "k": 3.0}, 2)
    with pytest.raises(tw.DTypeError):
        compiled([B, 3.0], 2)


def test_the_signature_lists_what_a_call_passes() -> None:
    import inspect

    kernel = tw.kernel(lambda x, n=2, *, k=None: x)
    assert str(inspect.signature(kernel.bind(n=3))) == "(x, *, k=None)"


def test_floats_that_decide_are_static() -> None:
    @tw.kernel
    def focal(x, alpha):
        return x * alpha if alpha >= 0 else x

    np.testing.assert_array_equal(focal(B, 0.5), B / 2)
    np.testing.assert_array_equal(focal(B, -1.0), B)
    assert len(focal.specializations) == 2
    sized = tw.kernel(lambda x, sigma: np.zeros(int(3 * sigma + 0.5)) + x[0])
    assert sized(B, 1.5).shape == (5,)


@pytest.mark.parametrize("n", [np.int64(2), np.uint8(3), np.array(1), 4])
def test_numpy_integers_may_be_sizes(n: Any) -> None:
    sized = tw.kernel(lambda x, n: (x[:n], np.zeros(n), x * n))
    line = np.arange(6.0)
    for found, expected in zip(sized(line, n), sized.python(line, n), strict=True):
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
    placed = tw.kernel(lambda x, i: x[i] * i)
    assert placed(line, n) == line[n] * n
    placed(line, n + 1)
    assert len(placed.specializations) == 1


def test_keys_that_cannot_be_told_apart() -> None:
    kernel = tw.kernel(lambda x: x["a"] + 1)
    one = np.ones(3, np.float32)
    with pytest.raises(tw.DTypeError, match="a dict with keys of type object is no argument"):
        kernel({"a": one, object(): one})


def test_trees_have_a_limit_of_levels() -> None:
    def nested(levels: int) -> Any:
        value: Any = np.ones(3, np.float32)
        for _ in range(levels):
            value = [value]
        return value

    def innermost(x: Any) -> Any:
        while isinstance(x, list):
            x = x[0]
        return x + 1

    kernel = tw.kernel(innermost)
    np.testing.assert_array_equal(kernel(nested(8)), np.full(3, 2, np.float32))
    with pytest.raises(tw.LimitError, match=r"argument '.*' is nested more than .* levels deep"):
        kernel(nested(200))
