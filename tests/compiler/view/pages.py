"""Pages for the tests: kernels of every shape of program, and a reader of what is written."""

from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import numpy as np

import tilewright as tw
from tilewright.compiler.view.model import View, make_view

Attributes = dict[str, str | None]
_VOID = ("meta",)


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def product(a, b):
    return np.maximum(a @ b, 0)


def rounds(x):
    return tw.loop(5, lambda k, s: (s.T * 2 + k,), x)


def until(x):
    return tw.while_loop(lambda s: s.sum() < 100, lambda s: (s * 2,), x)


def sorted_rows(x):
    return np.sort(x, axis=1), x.cumsum(axis=0)


def view_of(function: Callable[..., Any], *specs: Any, target: str = "cpu", **given: Any) -> View:
    made = tw.kernel(function).compile(*specs, target=target)
    return make_view(function.__name__, function, made.specialization, **given)


class Document(HTMLParser):
    """Elements in order, with their attributes and texts; elements must close as they opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, Attributes]] = []
        self.texts: list[tuple[str, str]] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts.append((self._open[-1], data))

    def values(self, name: str) -> list[str]:
        """The values of an attribute, in order."""
        return [str(a[name]) for _, a in self.elements if name in a]

    def with_class(self, name: str) -> list[Attributes]:
        return [a for _, a in self.elements if name in str(a.get("class")).split()]
