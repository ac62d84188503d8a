"""Walking and rewriting expressions: iterative, and memoised by identity."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tilewright.ir import build, ops
from tilewright.ir.expr import Apply, Expr, Load, Source, Var, post_order, rebuild, unfinished

Rule = Callable[[Expr], Expr | None]


def rewrite(root: Expr, rule: Rule, memo: dict[Expr, Expr] | None = None) -> Expr:
    """`root` with `rule` applied to every node, operands first; None leaves a node as it is.

    What a rule returns is not visited again: a rule that makes new work does it itself.
    """
    done: dict[Expr, Expr] = {} if memo is None else memo
    for node in unfinished(root, done):
        operands = node.operands
        rebuilt = rebuild(node, tuple(done[o] for o in operands)) if operands else node
        replaced = rule(rebuilt)
        done[node] = rebuilt if replaced is None else replaced
    return done[root]


def rewrite_to_fixpoint(root: Expr, rules: Sequence[Rule], memo: dict[Expr, Expr]) -> Expr:
    """Apply the first matching rule at each node, again and again, until none matches.

    Operands are finished before their user is; what a rule returns is finished too.
    """
    stack: list[tuple[Expr, Expr | None]] = [(root, None)]
    while stack:
        node, produced = stack.pop()
        if node in memo:
            continue
        if produced is not None:
            memo[node] = memo[produced]
            continue
        waiting = [o for o in node.operands if o not in memo]
        if waiting:
            stack.append((node, None))
            stack.extend((o, None) for o in waiting)
            continue
        operands = node.operands
        current = rebuild(node, tuple(memo[o] for o in operands)) if operands else node
        replaced = next((r for rule in rules if (r := rule(current)) is not None), None)
        if replaced is None:
            memo[node] = current
            memo[current] = current
        else:
            stack.append((node, replaced))
            stack.append((replaced, None))
    return memo[root]


def substitute(
    root: Expr,
    bindings: Mapping[Var, Expr],
    load: Callable[[Load], Expr | None] | None = None,
    memo: dict[Expr, Expr] | None = None,
) -> Expr:
    """`root` with variables replaced, index arithmetic folded again, and loads mapped by `load`.

    What does not change stays the same object: expressions are known by their identity, and a copy
    would be taken for another one.
    """
    done: dict[Expr, Expr] = {} if memo is None else memo
    for node in unfinished(root, done):
        operands = node.operands
        rebuilt = rebuild(node, tuple(done[o] for o in operands)) if operands else node
        replaced: Expr | None = None
        if isinstance(rebuilt, Var):
            replaced = bindings.get(rebuilt)
        elif isinstance(rebuilt, Load):
            replaced = load(rebuilt) if load else None
        elif rebuilt is not node:
            replaced = refold(rebuilt)
        done[node] = rebuilt if replaced is None else replaced
    return done[root]


def refold(node: Expr) -> Expr | None:
    """Fold a node whose operands have become literals."""

    if not isinstance(node, Apply):
        return None
    if node.op is ops.SELECT:
        folded = build.select(*node.operands)
    elif node.op is ops.CAST:
        folded = build.cast(node.operands[0], node.dtype)
    elif node.op in build.FOLDED and node.operands[0].dtype.kind in "iux":
        folded = build.apply(node.op, *node.operands)
    elif node.op is ops.AND and node.dtype.kind == "b":
        folded = build.logical_and(*node.operands)
    else:
        return None
    return folded


def replace_sources(root: Expr, mapping: Mapping[Source, Source]) -> Expr:
    """`root` reading other tensors or buffers of the same shapes."""

    def rule(node: Expr) -> Expr | None:
        if isinstance(node, Load) and node.source in mapping:
            return Load(mapping[node.source], node.indices)
        return None

    return rewrite(root, rule)


def variables(roots: Sequence[Expr]) -> tuple[Var, ...]:
    """The variables that occur, in order of first use."""
    return tuple(n for n in post_order(roots) if isinstance(n, Var))
