"""What names mean where the parser stands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tilewright.ir.expr import Expr, Source

Meaning = Expr | Source


class Scope:
    """Names of variables, lets, buffers and tensors (these with their ``%``)."""

    def __init__(self) -> None:
        self._meanings: dict[str, Meaning] = {}

    def get(self, name: str) -> Meaning | None:
        return self._meanings.get(name)

    def add(self, name: str, meaning: Meaning) -> bool:
        """Whether `name` was free: a name that is visible may not be given again."""
        if name in self._meanings:
            return False
        self._meanings[name] = meaning
        return True

    @contextmanager
    def inner(self) -> Iterator[None]:
        """Names added inside are forgotten at the end."""
        before = dict(self._meanings)
        yield
        self._meanings = before

    @contextmanager
    def without_tensors(self) -> Iterator[None]:
        """A nested graph: symbols are visible, the outer graph's tensors are not."""
        before = self._meanings
        self._meanings = {n: m for n, m in before.items() if not n.startswith("%")}
        yield
        self._meanings = before
