"""The loops of a kernel as boxes inside of each other: kind, size and what is done inside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tilewright.compiler.view.markup import Element, append, element
from tilewright.ir.kernel import Barrier, For, If, Kernel, Stmt, Store, WhileLoop
from tilewright.ir.printer import print_statement
from tilewright.ir.text.expressions import size_text
from tilewright.ir.text.names import GivenNames
from tilewright.ir.text.style import READABLE

_NAMES: Final = GivenNames(READABLE)
_WORDS: Final = {
    "serial": "loop",
    "parallel": "parallel tasks",
    "unroll": "unrolled",
    "vector": "vector",
    "group": "workgroups",
    "local": "invocations",
    "fragment": "fragments",
}
_LONGEST: Final = 110


def loop_boxes(kernel: Kernel) -> Element:
    """The boxes of a whole kernel."""
    pane = element("div", {"class": "loops"})
    shared = [b for b in kernel.locals if b.base is None and b.space != "register"]
    for buffer in shared:
        size = ", ".join(size_text(n, _NAMES) for n in buffer.shape)
        text = f"{buffer.name}: {buffer.dtype.short}[{size}] in {buffer.space} memory"
        append(pane, element("div", {"class": "memory"}, text))
    _add(pane, kernel.body)
    return pane


def _add(parent: Element, body: Sequence[Stmt]) -> None:
    """Statements in order; runs of stores are one line that counts them."""
    stores: list[Store] = []
    for stmt in body:
        if isinstance(stmt, Store):
            stores.append(stmt)
            continue
        _flush(parent, stores)
        append(parent, _box(stmt))
    _flush(parent, stores)


def _flush(parent: Element, stores: list[Store]) -> None:
    for stmt in stores[:2]:
        text = print_statement(stmt).splitlines()[-1]
        if stmt.value.operands and text.startswith("let "):
            text = f"{stmt.buffer.name} = …"
        shown = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
        append(
            parent, element("code", {"class": f"store {stmt.buffer.space}", "title": text}, shown)
        )
    if len(stores) > 2:
        append(parent, element("div", {"class": "more"}, f"and {len(stores) - 2} more stores"))
    stores.clear()


def _box(stmt: Stmt) -> Element:
    match stmt:
        case For():
            extent = size_text(stmt.extent, _NAMES)
            lanes = f" of {stmt.width}" if stmt.width else ""
            head = f"{_WORDS[stmt.kind]}{lanes}"
            box = _headed(stmt.kind, head, f"{stmt.var.name} < {extent}")
            _add(box, stmt.body)
        case If():
            box = _headed("if", "if", _condition(stmt))
            _add(box, stmt.body)
            if stmt.otherwise:
                append(box, element("div", {"class": "else"}, "else"))
                _add(box, stmt.otherwise)
        case WhileLoop():
            box = _headed("while", "while", _condition(stmt))
            _add(box, stmt.body)
        case Barrier():
            return element("div", {"class": "barrier"}, "barrier")
        case _:
            return element("div", {}, type(stmt).__name__)
    return box


def _headed(kind: str, word: str, rest: str) -> Element:
    return element(
        "div",
        {"class": f"box {kind}"},
        element("div", {"class": "head"}, element("b", {}, word), " ", element("code", {}, rest)),
    )


def _condition(stmt: If | WhileLoop) -> str:
    text = print_statement(stmt).splitlines()[-1]
    return text.removeprefix("if ").removeprefix("while ").removesuffix(" {")
