"""Mistakes that a compiler writer makes, made on purpose.

In: the source of a module. Out: mutants of it, each with one small change: a boundary moved by one,
a comparison that includes its end, floor for trunc, a forgotten statement, a key that lacks a part.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_COMPARISONS = {
    ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">", ast.Eq: "!=", ast.NotEq: "==",
    ast.In: "not in", ast.NotIn: "in", ast.Is: "is not", ast.IsNot: "is",
}  # fmt: skip
_ARITHMETIC = {
    ast.Add: "-", ast.Sub: "+", ast.Mult: "+", ast.FloorDiv: "%", ast.Mod: "//",
    ast.LShift: ">>", ast.RShift: "<<", ast.BitAnd: "|", ast.BitOr: "&",
}  # fmt: skip
_NAMES = {
    "FLOOR": "TRUNC", "TRUNC": "FLOOR", "CEIL": "FLOOR", "RINT": "TRUNC",
    "MIN": "MAX", "MAX": "MIN", "FMIN": "MIN", "FMAX": "MAX", "LT": "LE", "LE": "LT",
    "ADD": "SUB", "SUB": "ADD", "QUO": "FLOORDIV", "REM": "MOD", "AND": "OR", "OR": "AND",
    "minimum": "maximum", "maximum": "minimum", "min": "max", "max": "min",
    "floor": "trunc", "any": "all", "all": "any", "logical_and": "logical_or",
    "logical_or": "logical_and", "add": "sub", "sub": "add", "lt": "le", "le": "lt",
    "floordiv": "mod",
}  # fmt: skip
_KEY_WORDS = ("key", "hash", "digest", "identity", "fingerprint")


@dataclass(frozen=True, slots=True)
class Mutant:
    """One changed place: lines `line` to `last_line` (from 1), and the whole new source."""

    kind: str
    line: int
    last_line: int
    before: str
    after: str
    source: str


@dataclass(frozen=True, slots=True)
class Place:
    """A change that could be made: bytes `start` to `end` of a module become `text`."""

    kind: str
    line: int
    last_line: int
    start: int
    end: int
    text: str


def places(source: str) -> Iterator[Place]:
    """Every change of a module, in the order of its text; a few change nothing."""
    editor = _Editor(source)
    for node, inside in _walk(ast.parse(source), ""):
        for operator in _OPERATORS:
            for kind, target, text in operator(node, inside, editor):
                last_line = target.end_lineno or target.lineno
                yield Place(kind, target.lineno, last_line, *editor.span(target), text)


def mutant(source: str, place: Place) -> Mutant | None:
    """The module with the change made; None if it is the same program, or none at all."""
    encoded = source.encode()
    before = encoded[place.start : place.end].decode()
    new = (encoded[: place.start] + place.text.encode() + encoded[place.end :]).decode()
    try:
        if ast.dump(ast.parse(new)) == ast.dump(ast.parse(source)):
            return None
    except SyntaxError:
        return None
    return Mutant(place.kind, place.line, place.last_line, before, place.text, new)


def mutants(source: str) -> Iterator[Mutant]:
    """Every mutant of a module."""
    for place in places(source):
        made = mutant(source, place)
        if made is not None:
            yield made


class _Editor:
    """The text of nodes."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.encoded = source.encode()
        self.starts = [0]
        for line in self.encoded.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))

    def text(self, node: ast.expr | ast.stmt) -> str:
        start, end = self.span(node)
        return self.encoded[start:end].decode()

    def span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        first = self.starts[node.lineno - 1] + node.col_offset
        return first, self.starts[node.end_lineno - 1] + node.end_col_offset


Change = tuple[str, ast.expr | ast.stmt, str]
Operator = Callable[[ast.AST, str, _Editor], Iterator[Change]]


def _walk(node: ast.AST, inside: str) -> Iterator[tuple[ast.AST, str]]:
    """Code with the name of its function; not annotations, messages, or what only types need."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        inside = node.name
        children: list[ast.AST] = list(node.body)
    elif isinstance(node, ast.AnnAssign):
        children = [node.value] if node.value else []
    elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("isinstance", "TypeVar"):
        children = [*node.args[:1]]
    elif isinstance(node, _SILENT) or _is_for_types(node):
        return
    else:
        children = list(ast.iter_child_nodes(node))
    yield node, inside
    for child in children:
        yield from _walk(child, inside)


_SILENT = ast.Raise | ast.Import | ast.ImportFrom | ast.JoinedStr | ast.Assert


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def _off_by_one(node: ast.AST, inside: str, editor: _Editor) -> Iterator[Change]:
    parts: list[ast.expr] = []
    if isinstance(node, ast.BinOp):
        parts = [node.left, node.right]
    elif isinstance(node, ast.Compare):
        parts = [node.left, *node.comparators]
    elif isinstance(node, ast.Slice):
        parts = [p for p in (node.lower, node.upper) if p is not None]
    elif isinstance(node, ast.Subscript):
        parts = [node.slice]
    for part in parts:
        if isinstance(part, ast.Constant) and type(part.value) is int:
            yield "off by one", part, str(part.value + 1)


def _boundary(node: ast.AST, inside: str, editor: _Editor) -> Iterator[Change]:
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        other = _COMPARISONS[type(node.ops[0])]
        left, right = editor.text(node.left), editor.text(node.comparators[0])
        yield "boundary", node, f"{left} {other} {right}"


def _arithmetic(node: ast.AST, inside: str, editor: _Editor) -> Iterator[Change]:
    if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
        if _is_text(node.left) or _is_text(node.right) or _is_type(node):
            return
        left, right = editor.text(node.left), editor.text(node.right)
        yield "arithmetic", node, f"{left} {_ARITHMETIC[type(node.op)]} {right}"


def _is_text(node: ast.expr) -> bool:
    kinds = ast.JoinedStr | ast.List | ast.Tuple
    return isinstance(node, kinds) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def _is_type(node: ast.expr) -> bool:
    """A union of classes."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _is_type(node.left) or _is_type(node.right)
    name = getattr(node, "id", getattr(node, "attr", ""))
    return name[:1].isupper() and not name.isupper()


def _wrong_operation(node: ast.AST, inside: str, editor: _Editor) -> Iterator[Change]:
    if isinstance(node, ast.Attribute) and node.attr in _NAMES:
        yield "operation", node, f"{editor.text(node.value)}.{_NAMES[node.attr]}"
    elif isinstance(node, ast.Name) and node.id in _NAMES:
        yield "operation", node, _NAMES[node.id]


def _condition(node: ast.AST, inside: str, editor: _Editor) -> Iterator[Change]:
    if isinstance(node, ast.If | ast.IfExp) and not isinstance(node.test, ast.Compare):
        yield "condition", node.test, f"(not ({editor.text(node.test)}))"
    if isinstance(node, ast.BoolOp):
        joint = " or " if isinstance(node.op, ast.And) else " and "
        yield "condition", node, joint.join(f"({editor.text(v)})" for v in node.values)
        for value in node.values:
            rest = [f"({editor.text(v)})" for v in node.values if v is not value]
            word = " and " if isinstance(node.op, ast.And) else " or "
            yield "lost case", node, f"({word.join(rest)})"


def _forgotten(node: ast.AST, inside: str, editor: _Editor) -> Iterator[Change]:
    is_call = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    if isinstance(node, ast.stmt) and (is_call or isinstance(node, ast.AugAssign)):
        yield "forgotten statement", node, "pass"


def _order(node: ast.AST, inside: str, editor: _Editor) -> Iterator[Change]:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        return
    if node.func.id in ("reversed", "sorted") and len(node.args) == 1 and not node.keywords:
        yield "order", node, f"list({editor.text(node.args[0])})"


def _lost_item(node: ast.AST, inside: str, editor: _Editor) -> Iterator[Change]:
    """A step that is left out of a list: a barrier, a pass, a check."""
    if isinstance(node, ast.List) and isinstance(node.ctx, ast.Load) and len(node.elts) > 1:
        for lost in node.elts:
            if isinstance(lost, ast.Call):
                rest = ", ".join(editor.text(e) for e in node.elts if e is not lost)
                yield "lost item", node, f"[{rest}]"


def _stale_key(node: ast.AST, inside: str, editor: _Editor) -> Iterator[Change]:
    if not any(word in inside for word in _KEY_WORDS) or not isinstance(node, ast.Tuple):
        return
    if isinstance(node.ctx, ast.Load) and len(node.elts) > 1:
        for lost in node.elts:
            rest = ", ".join(editor.text(e) for e in node.elts if e is not lost)
            yield "stale key", node, f"({rest},)"


_OPERATORS: tuple[Operator, ...] = (
    _off_by_one,
    _boundary,
    _arithmetic,
    _wrong_operation,
    _condition,
    _forgotten,
    _order,
    _lost_item,
    _stale_key,
)
