"""Places in a module that can be changed, and the changed module.

In: the source of a module. Out: mutants of it, each with one small change. What no test can see,
where the syntax tells it, is no place: annotations, what only type checkers read, the texts of
messages, `assert`; a check of the compiler's own work (`if …: raise IRError`, outside of the
verifier and the parser, whose purpose it is); how an object shows itself; `b if a < b else a`,
whose comparison may include its end; and what compiles to the same code.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import CodeType

Node = ast.expr | ast.stmt


@dataclass(frozen=True, slots=True)
class Mutant:
    """One changed place: lines `line` to `last_line` (from 1), and the whole new source.

    `at_import`: the place is outside of functions. `branch`: first and last line of what runs if
    the condition holds that was changed; without a condition (0, 0).
    """

    kind: str
    line: int
    last_line: int
    at_import: bool
    branch: tuple[int, int]
    before: str
    after: str
    source: str


@dataclass(frozen=True, slots=True)
class Place:
    """A change that could be made: bytes `start` to `end` of a module become `text`."""

    kind: str
    line: int
    last_line: int
    at_import: bool
    branch: tuple[int, int]
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Change:
    """`node` becomes `text`, which is a mistake of this kind."""

    kind: str
    node: Node
    text: str


class Editor:
    """The text of nodes, and where in the program they are: in which `module`, `inside` the
    function or class of which name, and in how many functions. `left_alone`: the ids of nodes
    that an operator has met and another must not change. `branch`: the lines that the condition
    decides about in which we are."""

    def __init__(self, source: str, module: str) -> None:
        self.module = module
        self.inside = ""
        self.functions = 0
        self.left_alone: set[int] = set()
        self.branch = (0, 0)
        self.encoded = source.encode()
        self.starts = [0]
        for line in self.encoded.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))

    def text(self, node: Node) -> str:
        start, end = self.span(node)
        return self.encoded[start:end].decode()

    def texts(self, nodes: list[ast.expr]) -> str:
        return ", ".join(map(self.text, nodes))

    def span(self, node: Node) -> tuple[int, int]:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        first = self.starts[node.lineno - 1] + node.col_offset
        return first, self.starts[node.end_lineno - 1] + node.end_col_offset


Operator = Callable[[ast.AST, Editor], Iterator[Change]]


def places(source: str, module: str, operators: tuple[Operator, ...]) -> Iterator[Place]:
    """Every change of a module, in the order of its text; a few change nothing."""
    editor = Editor(source, module)
    for node in _walk(ast.parse(source), editor):
        for operator in operators:
            for change in operator(node, editor):
                target = change.node
                last_line = target.end_lineno or target.lineno
                start, end = editor.span(target)
                outside = editor.functions == 0
                asked = isinstance(node, ast.If) and target is node.test
                branch = _lines(node) if asked else editor.branch
                yield Place(
                    change.kind, target.lineno, last_line, outside, branch, start, end, change.text
                )


def mutant(source: str, place: Place) -> Mutant | None:
    """The module with the change made; None if it is the same program, or none at all."""
    encoded = source.encode()
    before = encoded[place.start : place.end].decode()
    new = (encoded[: place.start] + place.text.encode() + encoded[place.end :]).decode()
    try:
        if _instructions(new) == _instructions(source):
            return None
    except SyntaxError:
        return None
    return Mutant(
        *(place.kind, place.line, place.last_line, place.at_import, place.branch),
        *(before, place.text, new),
    )


def _instructions(source: str) -> list[object]:
    """What the source compiles to, without its lines."""
    found: list[object] = []

    def visit(code: CodeType) -> None:
        found.extend((code.co_name, code.co_code, code.co_names, code.co_varnames))
        found.append([repr(c) for c in code.co_consts if not isinstance(c, CodeType)])
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                visit(constant)

    visit(compile(source, "module", "exec", dont_inherit=True, optimize=2))
    return found


def _walk(node: ast.AST, editor: Editor) -> Iterator[ast.AST]:
    """The nodes whose change a test can see; meanwhile the editor knows the name around them."""
    outside = editor.inside, editor.functions, editor.branch
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        if _shows_itself(node):
            return
        editor.inside = node.name
        editor.functions += isinstance(node, ast.FunctionDef)
        children: list[ast.AST] = list(node.body)
    elif isinstance(node, ast.Lambda):
        editor.functions += 1
        children = [node.body]
    elif isinstance(node, ast.AnnAssign):
        children = [node.value] if node.value else []
    elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("isinstance", "TypeVar"):
        children = [*node.args[:1]]
    elif _is_silent(node, editor.module):
        return
    elif isinstance(node, ast.IfExp) and _is_extreme(node):
        children = [node.body, node.orelse]
    else:
        children = list(ast.iter_child_nodes(node))
    yield node
    for child in children:
        if isinstance(node, ast.If):
            editor.branch = _lines(node) if child is node.test else (0, 0)
        yield from _walk(child, editor)
    editor.inside, editor.functions, editor.branch = outside


def _lines(node: ast.AST) -> tuple[int, int]:
    """Of the body of an `if`."""
    assert isinstance(node, ast.If)
    return node.body[0].lineno, node.body[-1].end_lineno or 0


def _is_silent(node: ast.AST, module: str) -> bool:
    if isinstance(node, ast.If):
        return _is_for_types(node) or _is_own_check(node, module)
    return isinstance(node, _SILENT) or _is_type(node)


_SILENT = ast.Raise | ast.Import | ast.ImportFrom | ast.JoinedStr | ast.Assert
_CHECKERS = ("ir/verify/", "ir/text/", "ir/parser")


def _shows_itself(node: ast.FunctionDef | ast.ClassDef) -> bool:
    return node.name in ("__repr__", "__str__") or node.name.startswith("_repr_")


def _is_type(node: ast.AST) -> bool:
    """``tuple[int, ...]``, outside of annotations."""
    if not isinstance(node, ast.Subscript) or not isinstance(node.value, ast.Name):
        return False
    name = node.value.id
    return name in _GENERIC or (name[:1].isupper() and not name.isupper())


_GENERIC = ("tuple", "list", "dict", "set", "frozenset", "type", "defaultdict")


def _is_for_types(node: ast.If) -> bool:
    return "TYPE_CHECKING" in ast.dump(node.test)


def _is_own_check(node: ast.If, module: str) -> bool:
    """``if …: raise IRError(…)``: in a compiler that works it is never true."""
    if node.orelse or module.startswith(_CHECKERS):
        return False
    first = node.body[0]
    return isinstance(first, ast.Raise) and "IRError" in ast.dump(first)


def _is_extreme(node: ast.IfExp) -> bool:
    """``a if a < b else b``: the smaller one, or the larger one."""
    test = node.test
    if not isinstance(test, ast.Compare) or not isinstance(test.ops[0], _ORDERINGS):
        return False
    compared = {ast.dump(test.left), *map(ast.dump, test.comparators)}
    return compared == {ast.dump(node.body), ast.dump(node.orelse)}


_ORDERINGS = ast.Lt | ast.LtE | ast.Gt | ast.GtE
