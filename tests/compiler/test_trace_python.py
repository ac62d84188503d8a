"""What Python itself does in a kernel: names, built-ins, control flow, scalars."""

from __future__ import annotations

import functools
import math
import time
import warnings
from collections import namedtuple
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.linalg as la
import pytest
from numpy import exp as natural_exp
from numpy import maximum, pi

import tilewright as tw
from tests.compiler.trace_oracle import check, traced
from tilewright.compiler.trace.run import trace
from tilewright.ir.dtypes import F32
from tilewright.ir.errors import (
    TraceError,
)
from tilewright.ir.graph import Constant
from tilewright.ir.signature import ArraySpec, ScalarSpec, StaticSpec

RNG = np.random.default_rng(2)
X = RNG.standard_normal((4, 6)).astype(np.float32)
TABLE = RNG.standard_normal(6).astype(np.float32)
SCALE = 3
OPTIONS: dict[str, Any] = {"bias": 0.5, "weights": [TABLE, TABLE * 2]}
WEIGHT = RNG.standard_normal((64, 64)).astype(np.float32)
Pair = namedtuple("Pair", "first second")


def helper(x, factor=2.0):
    return second_helper(x) * factor + np.zeros(6)


def second_helper(x):
    out = np.empty_like(x)
    out[...] = natural_exp(x) + math.sqrt(SCALE)
    return out


def uses_globals(x):
    return maximum(x * SCALE + TABLE * pi, OPTIONS["bias"]) + OPTIONS["weights"][1]


def make_closure(k, table):
    def inner(x):
        return x * k + table

    return inner


def static_control(x, mode, sizes, flag):
    for size in sizes:
        x = x * size
    if flag and mode == "double" and x.ndim == 2 and x.dtype == np.float32:
        x = x * 2
    elif mode is None:
        x = x + 1
    try:
        shape = {"rows": x.shape[0]}
        x = x.reshape(shape["rows"], -1)
    finally:
        parts = [x[i] for i in range(x.shape[0]) if i % 2]
    with np.errstate(all="ignore"):
        return np.stack(parts)


def local_imports(x):
    import math as m

    import numpy as xp
    from numpy import tanh

    return tanh(x) + xp.sin(x) * m.pi


def walrus_and_friends(x):
    total = 0
    while (count := total) < 3:
        total = count + 1
    acc = functools.reduce(lambda a, b: a + b, [x[:, i] for i in range(6)])
    first, *_ = sorted([3, 1, 2])
    return acc * total * first, next(float(v) for v in (1, 2)) * x


CASES: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "helpers": (lambda x: helper(x), (X,)),
    "globals": (uses_globals, (X,)),
    "closure": (make_closure(2.5, TABLE), (X,)),
    "static": (static_control, (X, "double", (2, 3), True)),
    "static none": (static_control, (X, None, (), False)),
    "imports": (local_imports, (X,)),
    "python": (walrus_and_friends, (X,)),
    "linalg": (lambda x: la.norm(x, axis=1) + np.linalg.norm(x), (X,)),
    "partial": (lambda x: functools.partial(np.sum, axis=0)(x), (X,)),
    "math": (lambda x: math.sin(x[0, 0]) * x + math.floor(x[0, 1]), (X.astype(np.float64),)),
    "float of an element": (lambda x: x * float(x[0, 0]) + int(x[0, 1] * 10), (X,)),
    "item": (lambda x: x * x[0, 0].item(), (X,)),
    "built-ins": (
        lambda x: (abs(x), sum(x), round(x[0, 0] * 1, 2), max(x[0, 0], x[0, 1], 0.0), min(x[0])),
        (X,),
    ),
    "any all": (lambda x: any(v > 0 for v in x[0]) & (x > 0), (X,)),
    "divmod pow": (lambda x: (*divmod(x, 2), pow(x, 2)), (X,)),
    "structures": (lambda x: {"a": (x * 1, [x * 2]), "b": Pair(x * 3, x.sum())}, (X,)),
    "zip enumerate": (
        lambda x: sum(i * a * b for i, (a, b) in enumerate(zip(x[0], x[1], strict=True))),
        (X,),
    ),
    "scalars": (lambda x, a, n: (x * a + n, x / n, x**2 * a, a * 2 + n), (X, 2.5, 3)),
    "scalar math": (lambda x, a: x * math.exp(a) + (a // 2) - (a % 1.5), (X, 2.5)),
    "scalar of numpy": (lambda x, a: x * np.float32(a) + np.sqrt(a), (X, 2.25)),
    "int as size": (lambda x, n: x[:n] * n + np.ones((n, 6), np.float32), (X, 2)),
    "int as bound": (lambda x, n: sum(x[i] for i in range(n)), (X, 3)),
    "int in if": (lambda x, n: x * 2 if n > 2 else x + 1, (X, 3)),
    "int in power": (lambda x, n: x**n, (np.arange(1, 5), 3)),
    "default": (lambda x, k=4: x * k, (X,)),
    "isinstance": (
        lambda x, a: (
            (x * 2 if isinstance(x, np.ndarray) else x) * (a if isinstance(a, float) else 0)
        ),
        (X, 1.5),
    ),
    "returned twice": (lambda x: (lambda y: (y, y))(x + 1), (X,)),
    "returned argument": (lambda x: (x, x.T, x[0]), (X,)),
    "returned constants": (lambda x: (np.arange(3), 1.5, 2, np.float32(3), x.shape[0], True), (X,)),
    "0-d": (
        lambda x: (x + 1, x.sum(), np.exp(x), x.reshape(1), x[()] if False else x * 2),
        (np.array(2.5, np.float32),),
    ),
    "numpy scalar argument": (lambda x, s: x * s, (X, np.float64(2))),
    "keyword only": (lambda x, *, k=2: x * k, (X,)),
    "no arguments": (lambda: np.arange(4) * 2, ()),
    "many reassignments": (
        lambda x: functools.reduce(lambda a, _: a * 1.5 + 1, range(50), x),
        (X,),
    ),
    "list operand": (lambda x: x * [1, 2, 3, 4, 5, 6], (X,)),
    "array on the left": (lambda x: TABLE * x + np.float64(2) * x, (X,)),
    "ternary on shape": (lambda x: x.sum(0) if x.shape[0] > x.shape[1] else x.sum(1), (X,)),
    "foreign numpy": (lambda x: SPACE.function(x), (X,)),
    "string formatting": (lambda x: {f"rows{x.shape[0]}": x * 2}[f"rows{len(x)}"], (X,)),
}


class Space:
    """A method of a foreign object: it runs with real NumPy, which dispatches back."""

    @staticmethod
    def function(x: Any) -> Any:
        return np.add(np.exp(x), 1) + np.concatenate([x[:2], x[2:]])


SPACE: Any = Space()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", CASES)
def test_as_python(name: str) -> None:
    function, args = CASES[name]
    check(function, *args, tolerance=4e-6)


def test_kernels_inline() -> None:
    kernel = SimpleNamespace(python=second_helper)

    class Kernel:
        python = staticmethod(second_helper)

        def __call__(self, x: Any) -> Any:
            raise AssertionError("a kernel must be traced, not called")

    inner = Kernel()
    check_function = make_closure(1.0, TABLE)
    assert kernel.python is second_helper

    def function(x):
        return inner(x) + 1

    result = trace(function, [ArraySpec(F32, (4, 6))])
    assert any(n.label == "np.exp" for n in result.graph.nodes())
    check(check_function, X)


def test_functions_without_source() -> None:
    space: dict[str, Any] = {"np": np}
    exec("def f(x):\n    return np.exp(x) * undefined_name if x.ndim > 5 else -x\n", space)
    check(space["f"], X)
    exec("def g(x):\n    return x if x[0, 0] > 0 else -x\n", space)
    with pytest.raises(TraceError, match="use np\\.where"):
        traced(space["g"], X)


def test_ints_become_static_only_where_they_must() -> None:
    free = traced(lambda x, n: x * n, X, 3)
    assert free.specialized == frozenset()
    assert free.input_names == ("x", "n")
    needed = traced(lambda x, n, m: np.ones(n) * m, X, 3, 2)
    assert needed.specialized == {"n"}
    assert needed.input_names == ("x", "m")
    assert needed.specs["n"] == StaticSpec(3)
    with pytest.raises(TraceError, match="the value of 'n' is needed while tracing"):
        trace(lambda x, n: np.ones(n), {"x": ArraySpec(F32, (3,)), "n": ScalarSpec("int")})


def test_results_say_what_numpy_returns() -> None:
    result = traced(lambda x, a: (x, x.sum(), a * 2, x.mean(0)), X, 1.5)
    assert [o.kind for o in result.outputs] == ["array", "scalar", "python", "array"]


def test_changed_globals_make_a_trace_stale() -> None:
    space: dict[str, Any] = {"np": np, "K": 2, "W": np.ones(6, np.float32), "L": [1, 2]}
    exec("def h(v):\n    return v * K\ndef f(x):\n    return h(x) + W + L[0]\n", space)
    result = traced(space["f"], X)
    assert not result.is_stale()
    space["K"] = 2.0
    assert result.is_stale()
    space["K"] = 2
    assert not result.is_stale()
    space["W"][3] = 5
    assert [d.name for d in result.dependencies.changed()] == ["W"]
    space["W"][3] = 1
    space["L"].append(3)
    assert result.is_stale()
    space["L"].pop()
    space["h"] = lambda v: v
    assert result.is_stale()


def test_changed_closures_make_a_trace_stale() -> None:
    function = make_closure(2, TABLE)
    result = traced(function, X)
    assert not result.is_stale()
    assert function.__closure__ is not None
    function.__closure__[0].cell_contents = 3
    assert result.is_stale()


def test_captured_arrays_are_copied_and_nothing_is_patched() -> None:
    before = (np.exp, np.zeros, TABLE.copy(), dict(globals()))
    result = traced(uses_globals, X)
    constants = [n for n in result.graph.nodes() if isinstance(n, Constant)]
    assert constants
    assert not any(np.shares_memory(c.array, TABLE) for c in constants)
    assert np.exp is before[0]
    assert np.zeros is before[1]
    np.testing.assert_array_equal(TABLE, before[2])
    assert {k: id(v) for k, v in globals().items()} == {k: id(v) for k, v in before[3].items()}


def test_a_graph_of_many_operations_traces_quickly() -> None:
    def block(x):
        for _ in range(10):
            h = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
            q, k, v = (h @ w for w in (WEIGHT, WEIGHT, WEIGHT))
            s = np.exp(q @ k.T - (q @ k.T).max(-1, keepdims=True))
            x = x + (s / s.sum(-1, keepdims=True)) @ v
            x = x + tw.gelu(h @ WEIGHT) @ WEIGHT
        return x

    spec = ArraySpec(F32, (32, 64))
    trace(block, [spec])
    start = time.perf_counter()
    graph = trace(block, [spec]).graph
    assert time.perf_counter() - start < 0.5
    assert len(graph.nodes()) > 200


def test_warnings_may_be_silenced() -> None:
    def function(x):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return x / 2

    check(function, np.ones(3))
