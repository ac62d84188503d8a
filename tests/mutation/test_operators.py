"""Mutants are one change each, compile, and are of the kinds that they claim to be."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.mutation.faults import FAULTS
from tests.mutation.slips import SLIPS
from tests.mutation.source import Mutant, mutant, places


def mutants(source: str, module: str = "ir/some_pass.py") -> Iterator[Mutant]:
    for place in places(source, module, (*SLIPS, *FAULTS)):
        made = mutant(source, place)
        if made is not None:
            yield made


def changes(source: str, module: str = "ir/some_pass.py") -> set[tuple[str, str, str]]:
    return {(m.kind, m.before, m.after) for m in mutants(source, module)}


@pytest.mark.parametrize(
    ("source", "change"),
    [
        ("def f(n):\n    return n // 4", ("off by one", "4", "5")),
        ("x = build.index(0)", ("off by one", "0", "1")),
        ("def f(n):\n    return n // 4", ("arithmetic", "n // 4", "n % 4")),
        ("def f(a, b):\n    return a < b", ("boundary", "a < b", "a <= b")),
        ("def f(a, b):\n    return a is b", ("negation", "a is b", "a is not b")),
        ("x = a - b", ("swapped operands", "a - b", "(b) - (a)")),
        ("x = select(c, a, b)", ("swapped operands", "select(c, a, b)", "select(c, b, a)")),
        ("def f(a):\n    a.append(1)", ("lost statement", "a.append(1)", "pass")),
        ("def f(a):\n    a += 1", ("lost statement", "a += 1", "pass")),
        ("x = 1 if is_nan else 2", ("condition", "is_nan", "(not (is_nan))")),
        ("x = a and b", ("condition", "a and b", "(a) or (b)")),
        ("x = a and b and c", ("lost case", "a and b and c", "((a) and (c))")),
        ("x = reversed(axes)", ("order", "reversed(axes)", "list(axes)")),
        ("x = [load(), store()]", ("lost item", "[load(), store()]", "[store()]")),
        ("x = ops.FLOOR", ("rounding", "ops.FLOOR", "ops.TRUNC")),
        ("y = build.minimum(a, b)", ("min and max", "build.minimum", "build.maximum")),
        ("x = ops.LT", ("operation", "ops.LT", "ops.LE")),
        ("x = F32", ("dtype", "F32", "F64")),
        ("x = where(isnan(a), a, b)", ("lost NaN", "where(isnan(a), a, b)", "b")),
        ("x = a | isnan(b)", ("lost NaN", "a | isnan(b)", "a")),
        ("x = -(-n // tile)", ("tile", "-(-n // tile)", "(n // tile)")),
        ("x = range(n)", ("tile", "n", "(n) - 1")),
        ("x = i * stride + j", ("stride", "i * stride", "(i)")),
        ("x = Load(a, (i, j))", ("axes", "(i, j)", "(j, i)")),
        ("x = [a, Barrier(), b]", ("barrier", "[a, Barrier(), b]", "[a, b]")),
        ("def key(a, b):\n    return (a, b)", ("stale key", "(a, b)", "(a,)")),
        ("if a:\n    raise ShapeError('b')", ("guard", "a", "False")),
    ],
)
def test_the_mistake_is_made(source: str, change: tuple[str, str, str]) -> None:
    assert change in changes(source)


@pytest.mark.parametrize(
    "source",
    [
        "def f(x: 1 < 2): pass",
        "raise ValueError(1 + 2)",
        "if TYPE_CHECKING:\n    f()",
        "x = 'a' + b",
        'x = f"{a + b}"',
        "Value = Name | Literal | int",
        "Value = tuple[int, F32]",
        "x = isinstance(a, (list, tuple))",
        "x = a if a < b else b",
        "x = known.add",
        "if a < b:\n    raise IRError('our own fault')",
        "def __repr__(self):\n    return shown(self.a + 1)",
    ],
)
def test_what_changes_no_behaviour_is_left_alone(source: str) -> None:
    assert not changes(source)


def test_the_checks_of_the_verifier_are_not_left_alone() -> None:
    assert changes("if a < b:\n    raise IRError('a wrong program')", "ir/verify/graph.py")


def test_every_mutant_is_another_program_and_compiles() -> None:
    source = "def f(a, n):\n    # é\n    if a[0] < n and n % 2:\n        f(a[1:], n - 1)\n"
    found = list(mutants(source))
    assert len(found) >= 8
    for made in found:
        assert made.source != source
        compile(made.source, "mutant", "exec")
        assert made.line in (3, 4)
        assert not made.at_import


def test_what_a_condition_decides_is_known() -> None:
    source = "def f(a, b):\n    if a < 1 and b:\n        f(1)\n        f(2)\n    return a < 2\n"
    found = {(m.kind, m.line, m.branch) for m in mutants(source)}
    assert ("boundary", 2, (3, 4)) in found
    assert ("condition", 2, (3, 4)) in found
    assert ("lost statement", 3, (0, 0)) in found
    assert ("boundary", 5, (0, 0)) in found
