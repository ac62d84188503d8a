"""The loops of a kernel as boxes inside of each other: kind, size and what is done inside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tilewright.compiler.view.markup import Element, append, element
from tilewright.ir.kernel import Barrier, Exchange, For, If, Kernel, Stmt, Store, WhileLoop
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
_MOST_STORES: Final = 3


def loop_boxes(kernel: Kernel, key: str) -> Element:
    """The boxes of a whole kernel. Each has a number, which its lines in `kernel_text` have too."""
    pane = element("div", {"class": "loops", "tabindex": "0", "aria-label": "loops"})
    shared = [b for b in kernel.locals if b.base is None and b.space != "register"]
    for buffer in shared:
        size = ", ".join(size_text(n, _NAMES) for n in buffer.shape)
        text = f"{buffer.name}: {buffer.dtype.short}[{size}] in {buffer.space} memory"
        append(pane, element("div", {"class": "memory"}, text))
    _Boxes(key).add(pane, kernel.body)
    return pane


def kernel_text(text: str, key: str) -> Element:
    """The text of a kernel, each of its blocks an element with the number of the block's box."""
    pane = element("pre", {"class": "kernel"})
    open_blocks, number = [pane], 0
    lines = text.rstrip("\n").split("\n")
    for k, line in enumerate(lines):
        words = line.strip()
        begins = words.endswith("{") and k > 0 and words != "else {"
        if begins:
            block = element("span", {"class": "block", "data-pair": f"{key}-{number}"})
            append(open_blocks[-1], block)
            open_blocks.append(block)
            number += 1
        append(open_blocks[-1], f"{line}\n")
        follows = lines[k + 1].strip() if k + 1 < len(lines) else ""
        if words == "}" and len(open_blocks) > 1 and follows != "else {":
            open_blocks.pop()
    return pane


class _Boxes:
    """Makes boxes with numbers in the order in which their heads are printed."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._count = 0

    def add(self, parent: Element, body: Sequence[Stmt]) -> None:
        """Statements in order; runs of stores are one line that counts them."""
        stores: list[Store] = []
        for stmt in body:
            if isinstance(stmt, Store):
                stores.append(stmt)
                continue
            _flush(parent, stores)
            append(parent, self._box(stmt))
        _flush(parent, stores)

    def _box(self, stmt: Stmt) -> Element:
        match stmt:
            case For():
                extent = size_text(stmt.extent, _NAMES)
                lanes = f" of {stmt.width}" if stmt.width else ""
                head = f"{_WORDS[stmt.kind]}{lanes}"
                box = self._headed(stmt.kind, head, f"{stmt.var.name} < {extent}")
                self.add(box, stmt.body)
            case If():
                box = self._headed("if", "if", _condition(stmt))
                self.add(box, stmt.body)
                if stmt.otherwise:
                    append(box, element("div", {"class": "else"}, "else"))
                    self.add(box, stmt.otherwise)
            case WhileLoop():
                box = self._headed("while", "while", _condition(stmt))
                self.add(box, stmt.body)
            case Barrier():
                return element("div", {"class": "barrier"}, "barrier")
            case Exchange():
                return element("code", {"class": "store register"}, print_statement(stmt))
            case _:
                return element("div", {}, type(stmt).__name__)
        return box

    def _headed(self, kind: str, word: str, rest: str) -> Element:
        pair = f"{self._key}-{self._count}"
        self._count += 1
        head = element(
            "div", {"class": "head"}, element("b", {}, word), " ", element("code", {}, rest)
        )
        return element("div", {"class": f"box {kind}", "data-pair": pair}, head)


def _flush(parent: Element, stores: list[Store]) -> None:
    shown_stores = stores if len(stores) <= _MOST_STORES else stores[: _MOST_STORES - 1]
    for stmt in shown_stores:
        text = print_statement(stmt).splitlines()[-1]
        if stmt.value.operands and text.startswith("let "):
            text = f"{stmt.buffer.name} = …"
        shown = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
        append(
            parent, element("code", {"class": f"store {stmt.buffer.space}", "title": text}, shown)
        )
    rest = len(stores) - len(shown_stores)
    if rest:
        append(parent, element("div", {"class": "more"}, f"and {rest} more stores"))
    stores.clear()


def _condition(stmt: If | WhileLoop) -> str:
    text = print_statement(stmt).splitlines()[-1]
    return text.removeprefix("if ").removeprefix("while ").removesuffix(" {")
