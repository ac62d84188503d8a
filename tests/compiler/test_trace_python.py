"""What Python itself does in a kernel: names, built-ins, control flow, scalars, messages."""

from __future__ import annotations

import functools
import math
import time
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
    DTypeError,
    LimitError,
    ShapeError,
    TraceError,
    UnsupportedError,
)
from tilewright.ir.graph import Constant
from tilewright.ir.signature import ArraySpec, ScalarSpec, StaticSpec

RNG = np.random.default_rng(2)
X = RNG.standard_normal((4, 6)).astype(np.float32)
TABLE = RNG.standard_normal(6).astype(np.float32)
SCALE = 3
OPTIONS: dict[str, Any] = {"bias": 0.5, "weights": [TABLE, TABLE * 2]}
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


WEIGHT = RNG.standard_normal((64, 64)).astype(np.float32)

# Errors. Each: the function, its class, and the whole message below the first line's location.


def branch(x):
    if x[0, 0] > 0:  # noqa: SIM108
        y = x * 2
    else:
        y = x + 1
    return y


def branch_return(x):
    if x.sum() > 0:
        return x
    else:
        return -x


def truth_of_array(x):
    return x if x > 0 else -x


def chained(x):
    return 0 < x < 1


def both(x):
    return x > 0 and x < 1


def negated(x):
    return not x[0, 0]


def branch_on_both(x):
    y = x
    if x[0, 0] > 0 and not 0 < x[0, 1] < 1:
        y = x * 2
    return y


def loop_on_data(x):
    while x[0, 0] > 1:
        x = x / 2
    return x


def built_in_max(x):
    return max(x, 0)


def shapes(x):
    y = x[:3]
    return x + y


def product(x):
    return x @ x


def misspelt(x):
    return np.maximun(x, 0)  # type: ignore[attr-defined]


def misspelt_name(x):
    return halper(x)  # type: ignore[name-defined]  # noqa: F821


def misspelt_method(x):
    return x.mear()


def unsupported(x):
    return np.unique(x)


def unsupported_inverse(x):
    return np.linalg.inv(x @ x.T)


def random(x):
    return x + np.random.random(6)


def printing(x):
    print(x)
    return x


def stores_global(x):
    global SCALE
    SCALE = 4
    return x


def stores_attribute(x):
    SPACE.kept = x
    return x


def stores_outer():
    count = 0

    def function(x):
        nonlocal count
        count += 1
        return x

    return function


def appends(x):
    OPTIONS["weights"].append(x)
    return x


def recursive(x):
    return recursive(x) + 1


def returns_nothing(x):
    x + 1


def returns_text(x):
    return "text"


def unassigned(x):
    if x.ndim > 5:
        y = 1
    return x + y


def long_loop(x):
    for _ in range(10**9):
        x = x + 1
    return x


def many_nodes(x):
    for _ in range(60_000):
        x = x + 1
    return x


def writes_table(x):
    TABLE[0] = 1
    return x


def writes_traced_into_table(x):
    OPTIONS["weights"][0][0] = x[0, 0]
    return x


def text_operand(x):
    return x + "a"


def none_operand(x):
    return x * None


def complex_operand(x):
    return x * 1j


def wrong_axis(x):
    return x.sum(axis=2)


def wrong_reshape(x):
    return x.reshape(5, 5)


def wrong_keyword(x):
    return np.mean(x, axes=1)  # type: ignore[call-overload]


def concatenates(x):
    return np.concatenate([x, x[:, :2]])


def size_from_data(x):
    return np.zeros(int(x[0, 0]))


def empty_max(x):
    return x[:0].max(axis=0)


ERRORS: list[tuple[Callable[..., Any], type[Exception], str, str]] = [
    (
        branch,
        TraceError,
        "the truth of a value is known at run time only, so Python cannot branch on it",
        "write y = np.where(x[0, 0] > 0, x * 2, x + 1)",
    ),
    (
        branch_return,
        TraceError,
        "the truth of a value is known at run time only, so Python cannot branch on it",
        "write return np.where(x.sum() > 0, x, -x)",
    ),
    (
        truth_of_array,
        TraceError,
        "the truth of an array is one per element, so Python cannot branch on it",
        "write np.where(x > 0, x, -x)",
    ),
    (
        chained,
        TraceError,
        "the truth of an array is one per element, so Python cannot branch on it",
        "write np.logical_and(0 < x, x < 1)",
    ),
    (
        both,
        TraceError,
        "the truth of an array is one per element, so Python cannot branch on it",
        "write np.logical_and(x > 0, x < 1)",
    ),
    (
        negated,
        TraceError,
        "the truth of a value is known at run time only, so Python cannot branch on it",
        "write np.logical_not(x[0, 0])",
    ),
    (
        branch_on_both,
        TraceError,
        "the truth of a value is known at run time only, so Python cannot branch on it",
        "write y = np.where(np.logical_and(x[0, 0] > 0, "
        "np.logical_not(np.logical_and(0 < x[0, 1], x[0, 1] < 1))), x * 2, y)",
    ),
    (
        loop_on_data,
        TraceError,
        "the truth of a value is known at run time only, so Python cannot branch on it",
        "write it as tw.while_loop(condition, body, *state)",
    ),
    (
        built_in_max,
        TraceError,
        "max() of arrays would need the truth of an array",
        "use np.maximum (element by element) or x.max()",
    ),
    (shapes, ShapeError, "cannot add shapes (4, 6) and (3, 6)", "axis -2 must be equal or 1"),
    (
        product,
        ShapeError,
        "np.matmul cannot contract shapes (4, 6) and (4, 6)",
        "sizes (6, 4) must be equal",
    ),
    (misspelt, TraceError, "module 'numpy' has no attribute 'maximun'", "did you mean 'maximum'?"),
    (misspelt_name, TraceError, "name 'halper' is not defined", "did you mean 'helper'?"),
    (
        misspelt_method,
        TraceError,
        "arrays have no attribute 'mear' that can be traced",
        "did you mean 'mean'?",
    ),
    (
        unsupported,
        UnsupportedError,
        "np.unique is not supported on traced arrays",
        "its result's size depends on the data; sort, then mark where neighbours differ",
    ),
    (unsupported_inverse, UnsupportedError, "np.linalg.inv is not supported on traced arrays", ""),
    (
        random,
        TraceError,
        "np.random.random would give the same numbers at every call of a compiled kernel",
        "make the random numbers outside and pass them as an argument",
    ),
    (
        printing,
        TraceError,
        "print() cannot be compiled",
        "return the value, or print it while running kernel.python(…)",
    ),
    (
        stores_global,
        TraceError,
        "'stores_global' assigns to the global 'SCALE'",
        "return the value instead",
    ),
    (
        stores_attribute,
        TraceError,
        "'stores_attribute' assigns to the attribute 'kept'",
        "a compiled kernel runs without Python objects: return the value instead",
    ),
    (
        stores_outer(),
        TraceError,
        "'function' assigns to the outer variable 'count'",
        "return the value instead",
    ),
    (
        appends,
        TraceError,
        "the kernel changes \"OPTIONS['weights']\", which lives outside of it",
        "a compiled kernel runs without Python: return the value instead",
    ),
    (
        recursive,
        TraceError,
        "'recursive' calls itself without end, or its Python nests too deeply",
        "use tw.loop or tw.while_loop",
    ),
    (
        returns_nothing,
        TraceError,
        "the kernel returns None",
        "end it with return and the resulting array",
    ),
    (
        returns_text,
        TraceError,
        "a kernel returns arrays and numbers, not str",
        "return arrays, or tuples, lists and dicts of them",
    ),
    (
        long_loop,
        LimitError,
        "a Python loop of 1000000000 steps is unrolled; the limit is 65536",
        "use tw.loop(n, lambda i, *state: (…), *state)",
    ),
    (
        many_nodes,
        LimitError,
        "the kernel has more than 50000 operations",
        "a Python loop is unrolled while tracing; use tw.loop for long ones",
    ),
    (
        writes_table,
        TraceError,
        "a kernel cannot write into its captured array 'TABLE'",
        "work on a copy: TABLE = TABLE.copy(), and return it",
    ),
    (text_operand, DTypeError, "np.add takes arrays and numbers, not 'a'", ""),
    (none_operand, DTypeError, "np.multiply takes arrays and numbers, not None", ""),
    (complex_operand, UnsupportedError, "complex numbers are not supported", ""),
    (wrong_axis, Exception, "axis 2 is out of bounds for an array of 2 dimensions", ""),
    (
        wrong_reshape,
        ShapeError,
        "cannot reshape (4, 6) into (5, 5)",
        "the numbers of elements must be equal",
    ),
    (
        wrong_keyword,
        UnsupportedError,
        "np.mean is not supported with these arguments: got an unexpected keyword argument 'axes'",
        "",
    ),
    (
        concatenates,
        ShapeError,
        "cannot concatenate shapes (4, 6) and (4, 2) along axis 0",
        "all other axes must be equal",
    ),
    (
        size_from_data,
        TraceError,
        "a dimension must be known when the kernel is compiled, but it depends on data (int64 ())",
        "take it from a shape, a static argument or a constant",
    ),
    (
        empty_max,
        ShapeError,
        "zero-size array to reduction operation maximum which has no identity: (0, 6)",
        "give initial=",
    ),
]


@pytest.mark.parametrize(
    ("function", "kind", "message", "help"), ERRORS, ids=lambda v: getattr(v, "__name__", None)
)
def test_errors(function: Any, kind: type[Exception], message: str, help: str) -> None:
    with pytest.raises(kind) as info:
        traced(function, X)
    error: Any = info.value
    assert error.message == message
    assert error.loc is not None
    assert error.loc.file == __file__
    if help:
        assert error.help == help


def test_a_message_in_full() -> None:
    with pytest.raises(ShapeError) as info:
        traced(shapes, X)
    line = shapes.__code__.co_firstlineno + 2
    assert str(info.value).splitlines() == [
        f"{__file__}:{line}:12: error: cannot add shapes (4, 6) and (3, 6)",
        "    return x + y",
        "           ^^^^^",
        "note: 'x' has shape (4, 6)",
        "note: 'x' has shape (3, 6)",
        "help: axis -2 must be equal or 1",
    ]


def test_used_before_assignment() -> None:
    with pytest.raises(TraceError, match="cannot access local variable 'y'") as info:
        traced(unassigned, X)
    assert info.value.loc is not None
    assert info.value.loc.line == unassigned.__code__.co_firstlineno + 3


async def asynchronous(x):
    return x


def generator(x):
    yield x


@functools.wraps(helper)
def wrapper(*args, **kwargs):
    return helper(*args, **kwargs)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (asynchronous, "is an async function"),
        (generator, "is a generator"),
        (lambda *xs: xs, r"takes \*args"),
        (lambda **xs: xs, r"takes \*\*kwargs"),
        (wrapper, "wrapped by another decorator"),
        (SPACE.__init__, "a kernel must be a Python function"),
        (np.exp, "a kernel must be a Python function, not a ufunc"),
        (functools.partial(helper), "not a partial"),
    ],
)
def test_what_cannot_be_a_kernel(function: Any, message: str) -> None:
    with pytest.raises(TraceError, match=message):
        trace(function, [])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"y": StaticSpec(1)}, "has no argument 'y'"),
        ({}, "misses its argument 'x'"),
        ([StaticSpec(1)] * 9, "takes 2 positional arguments, not 9"),
    ],
)
def test_wrong_arguments(arguments: Any, message: str) -> None:
    with pytest.raises(TraceError, match=message):
        trace(helper, arguments)


def test_leaked_arrays_are_refused() -> None:
    kept: list[Any] = []

    class Keeper:
        def keep(self, x: Any) -> None:
            kept.append(x)

    keeper: Any = Keeper()
    traced(lambda x: (x * 2, keeper.keep(x * 3))[0], X)
    with pytest.raises(TraceError, match="outside of the kernel"):
        kept[0] + 1


class Holder:
    """Holds a real array, out of the tracer's sight."""

    def __init__(self) -> None:
        self.array = np.zeros(6)

    def assign(self, x: Any) -> Any:
        self.array[0] = x[0, 0]
        return x


TABLE_HOLDER: Any = Holder()


@pytest.mark.parametrize(
    "foreign",
    [
        lambda x: TABLE_HOLDER.array[x[0].astype(np.int64)],
        lambda x: TABLE_HOLDER.assign(x),
        lambda x: math.fsum(x[0]),
    ],
)
def test_real_arrays_never_take_traced_values_silently(foreign: Callable[..., Any]) -> None:
    with pytest.raises((TraceError, UnsupportedError, DTypeError)):
        traced(foreign, X)
