"""`loop` and `while_loop` in NumPy: an initial state in, the state after the loop out."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.compiler.eager.grid import enclosing_grid
from tilewright.ir.errors import DTypeError, ShapeError, TraceError

if TYPE_CHECKING:
    from collections.abc import Callable

    State = tuple[Any, ...]


def loop(n: Any, fn: Callable[..., Any], *state: Any) -> State:
    """Run `state = fn(i, *state)` for i = 0 … n-1, and return the state, a tuple."""
    try:
        count = operator.index(n)
    except TypeError as error:
        raise DTypeError(f"the number of iterations must be one integer, but is {n!r}") from error
    for i in range(count):
        state = _next_state(fn(i, *state), state)
    return state


def while_loop(cond: Callable[..., Any], body: Callable[..., Any], *state: Any) -> State:
    """Run `state = body(*state)` while `cond(*state)` holds, and return the state, a tuple.

    Inside of an index function each element loops for itself, until its own condition fails.
    """
    if enclosing_grid() is None:
        while _one_truth(cond(*state)):
            state = _next_state(body(*state), state)
        return state
    return _while_any(cond, body, state)


def _while_any(cond: Callable[..., Any], body: Callable[..., Any], state: State) -> State:
    """The loop over a whole grid: elements whose condition has failed keep their state."""
    fed = state
    active = np.asarray(cond(*state), np.bool_)
    while active.any():
        # `body` runs on all elements, so those that have stopped are fed the last state that
        # their condition let through: only there is it known to be safe (to index with, say).
        fed = tuple(_choose(active, new, old) for new, old in zip(state, fed, strict=True))
        updated = _next_state(body(*fed), state)
        state = tuple(_choose(active, new, old) for new, old in zip(updated, state, strict=True))
        active = active & np.asarray(cond(*state), np.bool_)
    return state


def _choose(active: Any, new: Any, old: Any) -> Any:
    return new if new is old else np.where(active, new, old)


def _next_state(returned: Any, state: State) -> State:
    """The tuple that a loop body returned; a state of one value may come without its tuple."""
    updated = returned if isinstance(returned, tuple) else (returned,)
    if len(updated) != len(state):
        raise TraceError(
            f"the loop body returned {len(updated)} values for a state of {len(state)}",
            help="return one new value for each value of the state, in the same order",
        )
    return updated


def _one_truth(condition: Any) -> bool:
    if np.size(condition) != 1:
        raise ShapeError(
            f"the condition of while_loop must be one truth value, but has shape "
            f"{np.shape(condition)}",
            help="reduce it with .any() or .all()",
        )
    return bool(np.asarray(condition).reshape(()))
