"""Rows 1 to 14: kernels that cannot be traced, or look as if they could not."""

from __future__ import annotations

import logging
from functools import wraps
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tests.bad_inputs.calls import X, as_numpy, body, call, defined, refused


class Point:
    def __init__(self, x: int) -> None:
        self.x = x


def test_row_1_a_function_without_a_source_file_works() -> None:
    as_numpy(defined("def f(a): return np.exp(a) * 0 + 1"), X)


def test_row_1_its_errors_name_the_line_without_an_excerpt() -> None:
    message = refused(body("b = a + 1", "return undefined_name(b)"), X)
    assert message == "<string>:3:12: error: name 'undefined_name' is not defined"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("async def f(a): return a", "kernel 'f' is an async function"),
        ("def f(a): yield a", "kernel 'f' is a generator (it uses yield)"),
        ("async def f(a): yield a", "kernel 'f' is an async generator"),
        ("def f(*a): return a[0]", "kernel 'f' takes *args"),
        ("def f(**a): return a['a']", "kernel 'f' takes **kwargs"),
    ],
)
def test_row_2_constructs_that_cannot_be_kernels(source: str, said: str) -> None:
    kernel = tw.kernel(defined(source))
    arguments: dict[str, Any] = {"a": X} if "**" in source else {}
    with pytest.raises(tw.TraceError) as caught:
        call(kernel, *([] if arguments else [X]), **arguments)
    assert str(caught.value) == (
        f"<string>:1: error: {said}\n"
        "help: a kernel is a plain function that names its parameters and returns arrays"
    )


def test_row_2_lambdas_and_nested_functions_work() -> None:
    def inner(b: Any) -> Any:
        return b * 2

    as_numpy(lambda a: inner(a) + (lambda b: b + 1)(a), X)


def test_row_2_methods_of_objects() -> None:
    class Model:
        factor = np.float32(3)

        @tw.kernel
        def forward(self, a):
            return a * self.factor

    np.testing.assert_array_equal(Model().forward(X), X * 3)


def test_row_3_decorated_twice() -> None:
    with pytest.raises(tw.TraceError) as caught:
        tw.kernel(tw.kernel(lambda a: a))
    assert str(caught.value) == "'<lambda>' is decorated twice\nhelp: decorate it once"


def test_row_3_wrapped_by_another_decorator() -> None:
    def logged(function: Any) -> Any:
        @wraps(function)
        def inner(*args: Any) -> Any:
            return function(*args)

        return inner

    message = refused(logged(lambda a: a + 1), X)
    assert "takes *args" in message
    assert message.endswith("it is wrapped by another decorator: put that one above @tw.kernel")


@pytest.mark.parametrize("thing", [len, np.sin, 3, int, object()])
def test_row_3_what_is_not_a_function(thing: Any) -> None:
    with pytest.raises(tw.TraceError, match="a kernel is made from a plain function, not from"):
        tw.kernel(thing)


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("np.softmx(a)", "module 'numpy' has no attribute 'softmx'"),
        ("np.sinn(a)", "module 'numpy' has no attribute 'sinn'\nhelp: did you mean 'sin'?"),
        ("tw.sigmoidd(a)", "no attribute 'sigmoidd'\nhelp: did you mean 'sigmoid'?"),
        ("a.summ()", "arrays have no attribute 'summ' that can be traced"),
        ("a.summ()", "help: did you mean 'sum'?"),
        ("nump(a)", "name 'nump' is not defined"),
        ("rnge(3)", "name 'rnge' is not defined\nhelp: did you mean 'range'?"),
    ],
)
def test_row_4_unknown_names(expression: str, said: str) -> None:
    assert said in refused(body(f"return {expression}"), X)


def test_row_6_recursion_without_end() -> None:
    def even(a: Any) -> Any:
        return odd(a)

    def odd(a: Any) -> Any:
        return even(a)

    said = "calls itself without end, or its Python nests too deeply"
    assert said in refused(body("return f(a)"), X)
    assert said in refused(even, X)


def test_row_6_recursion_with_an_end_works() -> None:
    def power(a: Any, n: Any) -> Any:
        return a if n == 0 else power(a, n - 1) * a

    np.testing.assert_array_equal(call(power, X, 3), X**4)


def test_row_8_used_before_assignment() -> None:
    message = refused(body("if False: q = 1", "return a + q"), X)
    assert message.startswith("<string>:3:16: error: cannot access local variable 'q'")
    assert "help" not in message


@pytest.mark.parametrize("line", ["if a.sum() > 0: return a", "while a.sum() > 0: a = a - 1"])
def test_row_8_a_branch_on_data(line: str) -> None:
    message = refused(body(line, "return -a"), X)
    assert "the truth of a value is known at run time only" in message
    assert message.startswith("<string>:2:")


@pytest.mark.parametrize("line", ["return a * {1: 2.0}[k]", "return a * len(f'{k:03}' + str(k))"])
def test_row_10_arguments_whose_value_python_needs_become_static(line: str) -> None:
    function = defined(f"def f(a, k):\n    {line}")
    np.testing.assert_array_equal(call(function, X, 1), function(X, 1))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "return round(a)",
            "round() takes a number, not an array of shape (6,)\nhelp: use np.round",
        ),
        ("return pow(a, 2, 3)", "pow() with three arguments is not defined on arrays"),
        ("return {a: 1}", "an array cannot be a key of a dict or a member of a set"),
    ],
)
def test_row_10_what_arrays_cannot_do_in_numpy_either(line: str, said: str) -> None:
    assert refused(body(line), X, kind=tw.DTypeError).endswith(said)


def test_row_9_no_result() -> None:
    assert refused(body("a + 1"), X) == (
        "<string>:1: error: the kernel returns None\n"
        "help: end it with return and the resulting array"
    )


@pytest.mark.parametrize("line", ["return 'x'", "return np", "return {1}", "return object()"])
def test_row_9_results_that_are_not_arrays(line: str) -> None:
    message = refused(body(line), X)
    assert "a kernel returns arrays and numbers, not" in message
    assert "Namespace" not in message


def test_row_9_a_result_that_holds_itself() -> None:
    message = refused(body("r = [a]", "r.append(r)", "return r"), X)
    assert "error: the result holds itself, or nests too deeply\nhelp: " in message


def test_row_10_an_error_of_ours_that_the_kernel_catches_is_still_an_error() -> None:
    message = refused(
        body("b = 2", "try:", "    if a[0] > 0: b = 1", "except Exception: pass", "return a + b"), X
    )
    assert message.startswith("<string>:4:12: error: the truth of a value is known at run time")
    assert "truth" in refused(body("try: b = a if a[0] else 1", "except: b = 2", "return a + b"), X)


def test_row_10_an_error_of_numpys_that_the_kernel_catches_is_none() -> None:
    as_numpy(body("try: b = a[9]", "except IndexError: b = a + 1", "return b"), X)
    as_numpy(body("try: b = a + np.ones(5)", "except ValueError: b = -a", "return b"), X)
    as_numpy(body("return a.nothing if hasattr(a, 'nothing') else a + 1"), X)


def test_row_10_a_value_that_a_bare_except_hid_makes_its_argument_static() -> None:
    function = defined(
        """
        def f(a, k):
            try: b = {1: 2.0, 3: 4.0}[k]
            except: b = 0.0
            return a * b
        """
    )
    for k in (1, 2, 3):
        np.testing.assert_array_equal(call(function, X, k), function(X, k))


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["print(a)", "return a"], "print() cannot be compiled"),
        (["open('f')", "return a"], "open() cannot be compiled"),
        (["a.name = 1", "return a"], "'f' assigns to the attribute 'name'"),
        (["global Q", "Q = a", "return a"], "'f' assigns to the global 'Q'"),
        (["a[0] = 1", "return a"], "a kernel cannot write into its argument 'a'"),
        (["return a + np.random.rand(6)"], "np.random.rand would give the same numbers"),
        (["return a[a > 1]"], "the size of x[mask] depends on data"),
        (["import random", "return a * random.random()"], "random.random would give the same"),
        (["import random", "return a * random.Random(1).random()"], "random.Random would give"),
        (["return a * RNG.random()"], "np.random.Generator.random would give the same numbers"),
        (["from time import perf_counter", "return a * perf_counter()"], "time.perf_counter would"),
        (["import logging", "logging.info(a)", "return a"], "logging.info cannot be compiled"),
        (["LOG.info('called')", "return a"], "logging.Logger.info cannot be compiled"),
        (["return a * len(f'{a[0]:.2f}')"], "known at run time only, so it cannot be text"),
        (["return a * len(str(a))"], "known at run time only, so it cannot be text"),
        (["return a * {0.0: 1}[a[0]]"], "known at run time only, so it cannot be a key of a dict"),
    ],
)
def test_row_10_python_that_cannot_be_compiled(lines: list[str], said: str) -> None:
    function = body(*lines)
    function.__globals__.update(RNG=np.random.default_rng(1), LOG=logging.getLogger("kernel"))
    message = refused(function, X)
    assert said in message
    assert message.startswith("<string>:")
    assert "\nhelp: " in message


@pytest.mark.parametrize(
    "lines",
    [
        ["try: b = a + 1", "except Exception: pass", "return b"],
        ["with np.errstate(all='ignore'): b = a + 1", "return b"],
        ["b = f'{a.shape}'", "return a + len(b)"],
        ["d = {'u': a}", "return d['u'] + 1"],
        ["rows = []", "rows.append(a)", "return rows[0] * 2"],
        ["import numpy", "return numpy.negative(a)"],
        ["t = 0", "for v in a: t = t + v", "return t"],
        ["return a * (type(a) is np.ndarray) + (type(a[0]) is np.float32)"],
        ["return a * isinstance(type(a), type) + (type(1) is int)"],
        ["return a * (type(POINT) is POINT.__class__) + type(POINT)(2).x"],
    ],
)
def test_row_10_python_that_runs_while_tracing_means_what_it_says(lines: list[str]) -> None:
    function = body(*lines)
    function.__globals__.update(POINT=Point(3))
    as_numpy(function, X)


def test_row_11_hundreds_of_terms_and_nested_parentheses() -> None:
    np.testing.assert_array_equal(
        call(body("return " + "+".join(["a"] * 400)), X), X * np.float32(400)
    )
    nested = body("return " + "(" * 90 + "a" + "+1)" * 90)
    np.testing.assert_array_equal(call(nested, X), X + 90)


def test_row_11_a_deep_chain_of_operations() -> None:
    def chain(a: Any) -> Any:
        for _ in range(250):
            a = a * 1.5
            a = a - 1
        return a

    assert np.shape(call(chain, np.zeros(2))) == (2,)


def test_row_12_no_parameters_many_parameters_and_keyword_only() -> None:
    as_numpy(lambda: np.arange(3.0))
    names = [f"p{k}" for k in range(200)]
    total = defined(f"def f({', '.join(names)}): return {' + '.join(names)}")
    np.testing.assert_array_equal(call(total, *[X] * 200), X * np.float32(200))
    np.testing.assert_array_equal(call(lambda a, *, b=2: a * b, X, b=3), X * 3)


@pytest.mark.parametrize("target", ["cpu", "wgsl", "glsl"])
@pytest.mark.parametrize(
    "name", ["fn", "loop", "active", "self", "null", "_", "__a", "gl_X", "a__b", "ключ", "v" * 3000]
)
def test_row_13_names_never_reach_generated_code(name: str, target: str) -> None:
    kernel = tw.kernel(defined(f"def f({name}):\n    return {name} * 2"))
    text = kernel.compile(tw.f32[4], target=target).source
    if len(name) > 4 or not name.isascii():
        assert name not in text
    if target == "cpu":
        np.testing.assert_array_equal(call(kernel, X), X * 2)


def test_row_14_hostile_function_names() -> None:
    function = defined("def f(a): return a + 1")
    function.__name__ = 'x"\n}\ndefine void @evil() {'
    kernel = tw.kernel(function)
    np.testing.assert_array_equal(call(kernel, X), X + 1)
    assert "evil" not in kernel.compile(tw.f32[4]).source
