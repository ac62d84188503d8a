"""Mutants are one change each, compile, and are of the kinds that they claim to be."""

from __future__ import annotations

import ast

import pytest

from tests.mutation.operators import mutants


def changes(source: str) -> set[tuple[str, str, str]]:
    return {(m.kind, m.before, m.after) for m in mutants(source)}


@pytest.mark.parametrize(
    ("source", "change"),
    [
        ("def f(n):\n    return n // 4", ("off by one", "4", "5")),
        ("def f(n):\n    return n // 4", ("arithmetic", "n // 4", "n % 4")),
        ("def f(a, b):\n    return a < b", ("boundary", "a < b", "a <= b")),
        ("x = ops.FLOOR", ("operation", "ops.FLOOR", "ops.TRUNC")),
        ("y = build.minimum(a, b)", ("operation", "build.minimum", "build.maximum")),
        ("def f(a):\n    a.append(1)", ("forgotten statement", "a.append(1)", "pass")),
        ("def f(a):\n    a += 1", ("forgotten statement", "a += 1", "pass")),
        ("x = 1 if is_nan else 2", ("condition", "is_nan", "(not (is_nan))")),
        ("x = a and b", ("condition", "a and b", "(a) or (b)")),
        ("x = a and b and c", ("lost case", "a and b and c", "((a) and (c))")),
        ("x = reversed(axes)", ("order", "reversed(axes)", "list(axes)")),
        (
            "x = [load(), barrier(), store()]",
            ("lost item", "[load(), barrier(), store()]", "[load(), store()]"),
        ),
        ("def key(a, b):\n    return (a, b)", ("stale key", "(a, b)", "(a,)")),
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
        "x = isinstance(a, (list, tuple))",
    ],
)
def test_what_changes_no_behaviour_is_left_alone(source: str) -> None:
    assert not changes(source)


def test_every_mutant_is_another_program_and_compiles() -> None:
    source = "def f(a, n):\n    # é\n    if a[0] < n and n % 2:\n        f(a[1:], n - 1)\n"
    found = list(mutants(source))
    assert len(found) >= 8
    for mutant in found:
        assert ast.dump(ast.parse(mutant.source)) != ast.dump(ast.parse(source))
        assert mutant.line in (3, 4)
