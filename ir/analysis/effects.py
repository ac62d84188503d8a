"""Which storage a step of a program reads and writes, in the order in which it does so.

In: a step that is not a repeat. Out: `(root buffer, is a write)` pairs, the first use of a buffer
before later ones. Memory planning asks which use of a buffer comes first: a buffer that a loop
body reads before it writes it carries a value from one round to the next.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tilewright.ir.errors import IRError
from tilewright.ir.expr import Expr, post_order
from tilewright.ir.kernel import Buffer, Stmt, Store, children, expressions
from tilewright.ir.program import Copy, Launch, Nest, Ordered, SortRows, Step, leaves

Effect = tuple[Buffer, bool]


def effects(step: Step) -> Iterator[Effect]:
    """What one launch does to storage; locals of nests and kernels are among it."""
    match step:
        case Launch():
            yield from _of_statements(step.kernel.body)
        case Nest():
            for stage in step.stages:
                yield from _reads((stage.value, *stage.indices))
                yield stage.target.root, True
        case Ordered():
            yield from _reads((step.value, *step.indices))
            # Elements that no point writes keep their old value, hence a read in any case.
            yield step.target.root, False
            yield step.target.root, True
        case SortRows() | Copy():
            yield step.source.root, False
            yield step.target.root, True
        case _:
            raise IRError(f"the effects of a {type(step).__name__} are those of its steps")


def touched(steps: tuple[Step, ...], *, writes: bool) -> set[Buffer]:
    """The root buffers that steps, and what repeats among them repeat, write; or that they read."""
    return {root for leaf in leaves(steps) for root, write in effects(leaf) if write is writes}


def _of_statements(body: Sequence[Stmt]) -> Iterator[Effect]:
    for stmt in body:
        yield from _reads(expressions(stmt))
        yield from _of_statements(children(stmt))
        if isinstance(stmt, Store):
            yield stmt.buffer.root, True


def _reads(roots: Iterable[Expr]) -> Iterator[Effect]:
    for node in post_order(roots):
        source = getattr(node, "source", None)
        if isinstance(source, Buffer):
            yield source.root, False
