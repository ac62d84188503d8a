"""Slips that any program can have: wrong by one, negated, forgotten, in a wrong order."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.mutation.source import Change, Editor, Operator

_BOUNDARIES = {ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">"}
_OPPOSITES = {
    ast.Eq: "!=", ast.NotEq: "==",
    ast.In: "not in", ast.NotIn: "in", ast.Is: "is not", ast.IsNot: "is",
}  # fmt: skip
_ARITHMETIC = {
    ast.Add: "-", ast.Sub: "+", ast.Mult: "+", ast.FloorDiv: "%", ast.Mod: "//",
    ast.LShift: ">>", ast.RShift: "<<", ast.BitAnd: "|", ast.BitOr: "&",
}  # fmt: skip
_ORDERED = (ast.Sub, ast.FloorDiv, ast.Mod, ast.LShift, ast.RShift)


def _off_by_one(node: ast.AST, editor: Editor) -> Iterator[Change]:
    parts: list[ast.expr] = []
    if isinstance(node, ast.BinOp):
        parts = [node.left, node.right]
    elif isinstance(node, ast.Compare):
        parts = [node.left, *node.comparators]
    elif isinstance(node, ast.Slice):
        parts = [p for p in (node.lower, node.upper) if p is not None]
    elif isinstance(node, ast.Subscript):
        parts = [node.slice]
    elif isinstance(node, ast.Call) and editor.text(node.func).endswith(("index", "const")):
        parts = node.args[:1]
    for part in parts:
        if isinstance(part, ast.Constant) and type(part.value) is int:
            yield Change("off by one", part, str(part.value + 1))


def _boundary(node: ast.AST, editor: Editor) -> Iterator[Change]:
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        kind = type(node.ops[0])
        word = "boundary" if kind in _BOUNDARIES else "negation"
        other = {**_BOUNDARIES, **_OPPOSITES}[kind]
        left, right = editor.text(node.left), editor.text(node.comparators[0])
        yield Change(word, node, f"{left} {other} {right}")


def _arithmetic(node: ast.AST, editor: Editor) -> Iterator[Change]:
    if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
        if _is_text(node.left) or _is_text(node.right) or _is_type(node):
            return
        left, right = editor.text(node.left), editor.text(node.right)
        yield Change("arithmetic", node, f"{left} {_ARITHMETIC[type(node.op)]} {right}")


def _swapped(node: ast.AST, editor: Editor) -> Iterator[Change]:
    """Operands in the wrong order, where the order matters."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, _ORDERED) and not _is_text(node.left):
        left, right = editor.text(node.left), editor.text(node.right)
        between = editor.encoded[editor.span(node.left)[1] : editor.span(node.right)[0]].decode()
        if "(" not in between and ")" not in between:
            yield Change("swapped operands", node, f"({right}){between}({left})")
    elif isinstance(node, ast.Call) and len(node.args) >= 2 and not node.keywords:
        name = editor.text(node.func).rpartition(".")[2]
        if name in ("sub", "floordiv", "mod", "lt", "ge", "select", "size_sub", "size_floordiv"):
            *others, a, b = map(editor.text, node.args)
            arguments = ", ".join((*others, b, a))
            yield Change("swapped operands", node, f"{editor.text(node.func)}({arguments})")


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


def _condition(node: ast.AST, editor: Editor) -> Iterator[Change]:
    if isinstance(node, ast.If | ast.IfExp) and not isinstance(node.test, ast.Compare):
        yield Change("condition", node.test, f"(not ({editor.text(node.test)}))")
    if isinstance(node, ast.BoolOp):
        joint = " or " if isinstance(node.op, ast.And) else " and "
        yield Change("condition", node, joint.join(f"({editor.text(v)})" for v in node.values))
        for value in node.values:
            rest = [f"({editor.text(v)})" for v in node.values if v is not value]
            word = " and " if isinstance(node.op, ast.And) else " or "
            yield Change("lost case", node, f"({word.join(rest)})")


def _lost_statement(node: ast.AST, editor: Editor) -> Iterator[Change]:
    is_call = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    if isinstance(node, ast.stmt) and (is_call or isinstance(node, ast.AugAssign)):
        yield Change("lost statement", node, "pass")


def _lost_item(node: ast.AST, editor: Editor) -> Iterator[Change]:
    """A step that is left out of a list: a pass, a check, a statement of a kernel."""
    if isinstance(node, ast.List) and isinstance(node.ctx, ast.Load) and len(node.elts) > 1:
        for lost in node.elts:
            if isinstance(lost, ast.Call | ast.Starred) and editor.text(lost) != "Barrier()":
                rest = [e for e in node.elts if e is not lost]
                yield Change("lost item", node, f"[{editor.texts(rest)}]")


def _order(node: ast.AST, editor: Editor) -> Iterator[Change]:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        return
    if node.func.id in ("reversed", "sorted") and len(node.args) == 1 and not node.keywords:
        yield Change("order", node, f"list({editor.text(node.args[0])})")


SLIPS: tuple[Operator, ...] = (
    _off_by_one,
    _boundary,
    _arithmetic,
    _swapped,
    _condition,
    _lost_statement,
    _lost_item,
    _order,
)
