"""The error for Python asking for the truth of data: points at the line and shows the rewrite.

In: the traced condition and the frame that asked. Out: a `TraceError` whose help is NumPy code
made from the user's own source, where that can be read and the statement is simple enough.
"""

from __future__ import annotations

import ast
import linecache
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tilewright.compiler.trace.failures import failure
from tilewright.ir.errors import TraceError

if TYPE_CHECKING:
    from tilewright.compiler.trace.handles import Handle
    from tilewright.ir.location import Location

_GENERIC = "use np.where(condition, value if true, value if false)"


def branch_failure(condition: Handle) -> TraceError:
    """Why `condition` has no truth value while tracing, and what to write instead."""
    from tilewright.compiler.tracing_state import current

    tracer = current()
    loc = None if tracer is None else tracer.here()
    node = None if loc is None else _statement_at(loc)
    reason = "the truth of a value is known at run time only, so Python cannot branch on it"
    if condition.rank:
        reason = "the truth of an array is one per element, so Python cannot branch on it"
    return failure(TraceError, reason, help=_suggestion(node) if node is not None else _GENERIC)


def _statement_at(loc: Location) -> ast.AST | None:
    """The `if`, `while`, conditional expression and so on that asks for the truth at `loc`.

    The innermost that branches; where none does, the outermost ``and``, ``or``, ``not``.
    """
    try:
        tree = ast.parse("".join(linecache.getlines(loc.file)))
    except (SyntaxError, ValueError):
        return None
    asking = [n for n in ast.walk(tree) if _asks_at(n, loc)]
    branching = [n for n in asking if isinstance(n, _BRANCHES)]
    if branching:
        return min(branching, key=_extent)
    return max(asking, key=_extent, default=None)


_BRANCHES = (ast.If, ast.While, ast.IfExp, ast.Assert)


def _extent(node: ast.AST) -> tuple[int, int]:
    """How much source a node spans: lines, then columns."""
    lines = getattr(node, "end_lineno", 0) - getattr(node, "lineno", 0)
    return lines, getattr(node, "end_col_offset", 0) - getattr(node, "col_offset", 0)


def _tested(node: ast.AST) -> Iterator[ast.expr]:
    """The expressions whose truth `node` asks for."""
    match node:
        case ast.If() | ast.While() | ast.IfExp() | ast.Assert():
            yield node.test
        case ast.BoolOp() | ast.UnaryOp(op=ast.Not()):
            yield node
        case ast.Compare() if len(node.ops) > 1:
            yield node
        case ast.Call(func=ast.Name(id="min" | "max")):
            yield node


def _asks_at(node: ast.AST, loc: Location) -> bool:
    """Whether `node` asks for a truth at `loc`: at its test, or as a whole (a test by a call)."""
    if isinstance(node, _BRANCHES) and (node.lineno, node.col_offset) == (loc.line, loc.column):
        return True
    return any(_holds(test, loc) for test in _tested(node))


def _holds(node: ast.expr, loc: Location) -> bool:
    end = (node.end_lineno or node.lineno, node.end_col_offset or 0)
    if loc.column < 0:
        return node.lineno <= loc.line <= end[0]
    return (node.lineno, node.col_offset) <= (loc.line, loc.column) < end


def _suggestion(node: ast.AST) -> str:
    match node:
        case ast.IfExp():
            return f"write {_where(node.test, node.body, node.orelse)}"
        case ast.If():
            return _for_if(node)
        case ast.While():
            return "write it as tw.while_loop(condition, body, *state)"
        case ast.Assert():
            return "an assert on data cannot be compiled; test it before the call"
        case ast.BoolOp() | ast.UnaryOp() | ast.Compare():
            return f"write {_vectorized(node)}"
        case ast.Call(func=ast.Name(id="min" | "max" as name)):
            better = "np.minimum" if name == "min" else "np.maximum"
            return f"write {_chain(better, [ast.unparse(a) for a in node.args])}"
    return _GENERIC


def _vectorized(node: ast.expr) -> str:
    """A condition in NumPy's words: ``and``, ``or``, ``not`` and chains become functions."""
    match node:
        case ast.BoolOp():
            name = "np.logical_and" if isinstance(node.op, ast.And) else "np.logical_or"
            return _chain(name, [_vectorized(v) for v in node.values])
        case ast.UnaryOp(op=ast.Not()):
            return f"np.logical_not({_vectorized(node.operand)})"
        case ast.Compare() if len(node.ops) > 1:
            return _chain("np.logical_and", _links(node))
    return ast.unparse(node)


def _where(test: ast.expr, yes: ast.expr, no: ast.expr) -> str:
    return f"np.where({_vectorized(test)}, {ast.unparse(yes)}, {ast.unparse(no)})"


def _chain(name: str, parts: list[str]) -> str:
    text = parts[0]
    for part in parts[1:]:
        text = f"{name}({text}, {part})"
    return text


def _links(node: ast.Compare) -> list[str]:
    """``0 < x < 1`` as ``0 < x`` and ``x < 1``."""
    values = [node.left, *node.comparators]
    return [
        ast.unparse(ast.Compare(left, [op], [right]))
        for left, op, right in zip(values, node.ops, values[1:], strict=False)
    ]


def _for_if(node: ast.If) -> str:
    """``if`` with one assignment or return per branch as one line of NumPy."""
    if isinstance(node.body[0], ast.Raise):
        return "compiled code raises no errors on data; test it before the call, or return the test"
    if len(node.body) != 1 or len(node.orelse) > 1:
        return _GENERIC
    match node.body[0], node.orelse[0] if node.orelse else None:
        case ast.Return(value=ast.expr() as yes), ast.Return(value=ast.expr() as no):
            return f"write return {_where(node.test, yes, no)}"
        case (
            ast.Assign(targets=[ast.Name(id=name)], value=yes),
            ast.Assign(targets=[ast.Name(id=other)], value=no),
        ) if name == other:
            return f"write {name} = {_where(node.test, yes, no)}"
        case ast.Assign(targets=[ast.Name(id=name)], value=yes), None:
            return f"write {name} = {_where(node.test, yes, ast.Name(name))}"
    return _GENERIC
