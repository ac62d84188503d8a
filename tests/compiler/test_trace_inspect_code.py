"""What a kernel's code must not do is found in its instructions, however many names it has."""

from __future__ import annotations

from types import CodeType
from typing import Any

import pytest

from tilewright.compiler.trace.inspect_code import check_code
from tilewright.ir.errors import TraceError


def code_of(source: str) -> CodeType:
    """The code of the function `kernel` that a module defines."""
    module = compile(source, "kernels.py", "exec")
    waiting = [module]
    while waiting:
        code = waiting.pop()
        if code.co_name == "kernel":
            return code
        waiting += [c for c in code.co_consts if isinstance(c, CodeType)]
    raise AssertionError("no kernel in the source")


def with_names(count: int, last: str, outer: str = "") -> CodeType:
    """A function that reads `count` attributes, and has as many locals, before its last line."""
    reads = "".join(f"    v{k} = x.name{k}\n" for k in range(count))
    inner = f"def kernel(x):\n{outer}{reads}    {last}\n"
    shifted = "".join(f"    {line}\n" for line in inner.splitlines())
    return code_of(f"def maker():\n    held = 0\n    other = 0\n{shifted}    return kernel, held\n")


@pytest.mark.parametrize("count", [0, 3, 255, 256, 257, 600])
@pytest.mark.parametrize(
    ("last", "said"),
    [
        ("x.attribute = 1", "'kernel' assigns to the attribute 'attribute'"),
        ("del x.attribute", "'kernel' deletes the attribute 'attribute'"),
    ],
)
def test_names_are_found_behind_any_number_of_others(count: int, last: str, said: str) -> None:
    code = with_names(count, last)
    with pytest.raises(TraceError) as caught:
        check_code(code)
    assert caught.value.message == said
    assert caught.value.loc is not None
    assert caught.value.loc.line == count + 5
    check_code(with_names(count, "return x.attribute"))


@pytest.mark.parametrize("count", [0, 254, 255, 256, 700])
def test_outer_variables_are_found_behind_any_number_of_locals(count: int) -> None:
    code = with_names(count, "held = 1", outer="    nonlocal held, other\n")
    with pytest.raises(TraceError) as caught:
        check_code(code)
    assert caught.value.message == "'kernel' assigns to the outer variable 'held'"
    check_code(code, frozenset(["held"]))
    with pytest.raises(TraceError, match="outer variable 'held'"):
        check_code(code, frozenset(["other"]))


def test_variables_of_the_function_itself_may_be_assigned_by_what_it_defines() -> None:
    source = """
def kernel(x):
    total = 0
    def add(v):
        nonlocal total
        total = total + v
        def deeper():
            nonlocal total
            total = 1
        return deeper
    add(x)
    return total
"""
    check_code(code_of(source))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("global counter\n    counter = 1", "assigns to the global 'counter'"),
        ("global counter\n    del counter", "deletes the global 'counter'"),
    ],
)
def test_other_constructs(body: str, said: str) -> None:
    with pytest.raises(TraceError) as caught:
        check_code(code_of(f"def kernel(x):\n    {body}\n"))
    assert said in caught.value.message


def test_classes_inside_may_have_attributes() -> None:
    source: Any = "def kernel(x):\n    class Pair:\n        left = 1\n    return Pair.left * x\n"
    check_code(code_of(source))
