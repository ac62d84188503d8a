"""Mistakes of compiler writers: a lost barrier, floor for trunc, a swapped axis, a stale key.

Each changes what the compiler makes, or for which requests it makes something anew.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.mutation.source import Change, Editor, Operator

_ROUNDINGS = {
    "FLOOR": "TRUNC", "TRUNC": "FLOOR", "CEIL": "FLOOR", "RINT": "TRUNC", "floor": "trunc",
    "ceil": "floor", "rint": "trunc", "trunc": "floor", "QUO": "FLOORDIV", "REM": "MOD",
    "FLOORDIV": "QUO", "MOD": "REM", "FMOD": "MOD",
}  # fmt: skip
_EXTREMES = {
    "MIN": "MAX", "MAX": "MIN", "FMIN": "MIN", "FMAX": "MAX", "min": "max", "max": "min",
    "minimum": "maximum", "maximum": "minimum", "fmin": "minimum", "fmax": "maximum",
}  # fmt: skip
_OPERATIONS = {
    "LT": "LE", "LE": "LT", "GT": "GE", "GE": "GT", "EQ": "NE", "NE": "EQ", "lt": "ge", "ge": "lt",
    "ADD": "SUB", "SUB": "ADD", "AND": "OR", "OR": "AND", "SHL": "SHR", "SHR": "SHL",
    "add": "sub", "sub": "add", "floordiv": "mod", "mod": "floordiv", "any": "all", "all": "any",
    "logical_and": "logical_or", "logical_or": "logical_and", "size_add": "size_sub",
    "size_sub": "size_add", "size_mul": "size_add",
}  # fmt: skip
_DTYPES = {
    "I8": "U8", "U8": "I8", "I16": "U16", "U16": "I16", "I32": "U32", "U32": "I32", "I64": "I32",
    "U64": "I64", "F16": "F32", "F32": "F64", "F64": "F32",
}  # fmt: skip
_KEY_WORDS = ("key", "hash", "digest", "identity", "fingerprint")
_KEY_MODULES = (
    "fingerprint",
    "identity",
    "share_expressions",
    "common_subexpressions",
    "structure.py",
)
_SUMS_UP = ("key_for", "_digest", "number")
_ADDS = ("_write", "_bytes", "add_specs", "update")
_STRIDE_WORDS = ("stride", "extent", "lanes", "width", "height", "threads", "step", "size", "bytes")
_TRUE = '__import__("tilewright.ir.build", fromlist=["build"]).TRUE'


def _wrong_operation(node: ast.AST, editor: Editor) -> Iterator[Change]:
    name, before = "", ""
    if isinstance(node, ast.Attribute):
        name, before = node.attr, f"{editor.text(node.value)}."
    elif isinstance(node, ast.Name):
        name = node.id
    if not isinstance(node, ast.expr) or _is_method(node):
        return
    for kind, names in (
        ("rounding", _ROUNDINGS),
        ("min and max", _EXTREMES),
        ("operation", _OPERATIONS),
        ("dtype", _DTYPES),
    ):
        if name in names:
            yield Change(kind, node, f"{before}{names[name]}")


def _is_method(node: ast.expr) -> bool:
    """Whether this is `add` of a set, or another method that has an operation's name."""
    if not isinstance(node, ast.Attribute) or node.attr not in ("add", "sub", "any", "all"):
        return False
    return not (isinstance(node.value, ast.Name) and node.value.id in ("build", "np"))


def _lost_nan(node: ast.AST, editor: Editor) -> Iterator[Change]:
    """A choice or a question that looks for NaN no more."""
    if isinstance(node, ast.Call) and not node.keywords:
        name = editor.text(node.func).rpartition(".")[2]
        if name in ("select", "where") and len(node.args) == 3 and _asks_nan(node.args[0], editor):
            yield Change("lost NaN", node, editor.text(node.args[2]))
        elif name == "keep_nan":
            yield Change("lost NaN", node, editor.text(node.args[1]))
    sides: list[ast.expr] = []
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr | ast.BitAnd):
        sides = [node.left, node.right]
    elif isinstance(node, ast.BoolOp) and len(node.values) == 2:
        sides = node.values
    for lost, kept in zip(sides, reversed(sides), strict=True):
        if _asks_nan(lost, editor) and isinstance(node, ast.expr):
            yield Change("lost NaN", node, editor.text(kept))


def _asks_nan(node: ast.expr, editor: Editor) -> bool:
    text = editor.text(node).lower()
    return any(word in text for word in ("isnan", "is_nan", "_nan", "nan_"))


def _tile(node: ast.AST, editor: Editor) -> Iterator[Change]:
    """The last partial tile is forgotten, or a loop begins or ends one too early or too late."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        quotient = node.operand
        if isinstance(quotient, ast.BinOp) and isinstance(quotient.op, ast.FloorDiv):
            above = quotient.left
            if isinstance(above, ast.UnaryOp) and isinstance(above.op, ast.USub):
                text = f"({editor.text(above.operand)} // {editor.text(quotient.right)})"
                yield Change("tile", node, text)
    if isinstance(node, ast.Call) and editor.text(node.func) == "range" and len(node.args) < 3:
        last = node.args[-1]
        yield Change("tile", last, f"({editor.text(last)}) - 1")
        if len(node.args) == 2:
            yield Change("tile", node.args[0], f"({editor.text(node.args[0])}) + 1")
    if isinstance(node, ast.Call) and editor.text(node.func) == "Var" and len(node.args) == 2:
        extent = editor.text(node.args[1])
        if not isinstance(node.args[1], ast.Constant):
            yield Change("tile", node.args[1], _one_less(extent))


def _one_less(extent: str) -> str:
    build = '__import__("tilewright.ir.build", fromlist=["build"])'
    return f"{build}.size_sub({extent}, 1)"


def _stride(node: ast.AST, editor: Editor) -> Iterator[Change]:
    """A factor of an address is forgotten, or two axes are taken for each other."""
    factors: list[ast.expr] = []
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        factors = [node.left, node.right]
    elif isinstance(node, ast.Call) and editor.text(node.func).endswith((".mul", ".size_mul")):
        factors = node.args
    for lost, kept in zip(factors, reversed(factors), strict=True):
        if any(word in editor.text(lost).lower() for word in _STRIDE_WORDS):
            assert isinstance(node, ast.expr)
            yield Change("stride", node, f"({editor.text(kept)})")
    places: ast.expr | None = None
    if isinstance(node, ast.Subscript):
        places = node.slice
    elif isinstance(node, ast.Call) and editor.text(node.func) in ("Load", "Store"):
        places = node.args[1] if len(node.args) > 1 else None
    elif isinstance(node, ast.Call) and editor.text(node.func).endswith(
        ("split_index", "transpose", "moveaxis", "swapaxes")
    ):
        places = node.args[-1]
    if isinstance(places, ast.Tuple) and len(places.elts) == 2:
        yield Change("axes", places, f"({editor.texts(places.elts[::-1])})")


def _stale_key(node: ast.AST, editor: Editor) -> Iterator[Change]:
    """A part of what tells two requests, two nodes or two entries of a cache apart."""
    if isinstance(node, ast.Compare):
        editor.left_alone.update(map(id, node.comparators))  # ``kind in (list, tuple)`` is no key
    elif isinstance(node, ast.ExceptHandler):
        editor.left_alone.add(id(node.type))
    is_key = any(word in editor.inside for word in _KEY_WORDS)
    if not (is_key or any(word in editor.module for word in _KEY_MODULES)):
        return
    if isinstance(node, ast.Tuple) and isinstance(node.ctx, ast.Load) and len(node.elts) > 1:
        is_list = id(node) in editor.left_alone or "fingerprint" in editor.module
        for lost in () if is_list else node.elts:
            rest = [e for e in node.elts if e is not lost]
            yield Change("stale key", node, f"({editor.texts(rest)},)")
    elif isinstance(node, ast.Call) and len(node.args) > 1 and not node.keywords:
        if editor.text(node.func).rpartition(".")[2] in _SUMS_UP:
            for lost in node.args:
                rest = [e for e in node.args if e is not lost]
                yield Change("stale key", node, f"{editor.text(node.func)}({editor.texts(rest)})")
    elif (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Call)
        and editor.text(node.value.func).rpartition(".")[2] in _ADDS
    ):
        yield Change("stale key", node, "pass")


def _lost_barrier(node: ast.AST, editor: Editor) -> Iterator[Change]:
    if isinstance(node, ast.List) and isinstance(node.ctx, ast.Load):
        for lost in node.elts:
            if editor.text(lost) == "Barrier()":
                rest = [e for e in node.elts if e is not lost]
                yield Change("barrier", node, f"[{editor.texts(rest)}]")


def _lost_guard(node: ast.AST, editor: Editor) -> Iterator[Change]:
    """A branch of generated code that is always taken; an error that is not raised."""
    if isinstance(node, ast.Call) and editor.text(node.func) in ("If", "kernel.If"):
        yield Change("guard", node.args[0], _TRUE)
    if isinstance(node, ast.If) and not node.orelse and isinstance(node.body[0], ast.Raise):
        yield Change("guard", node.test, "False")


FAULTS: tuple[Operator, ...] = (
    _wrong_operation,
    _lost_nan,
    _tile,
    _stride,
    _stale_key,
    _lost_barrier,
    _lost_guard,
)
