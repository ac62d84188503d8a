"""Elementary functions on every adapter are within what docs/numerics.md promises."""

from __future__ import annotations

from tests.adapters.adapters import ADAPTERS, by_adapter
from tests.adapters.elementary import FUNCTIONS, largest_errors
from tests.ir.elementary_cases import PROMISES


def test_every_function_is_tried() -> None:
    assert FUNCTIONS.keys() == PROMISES.keys()


@by_adapter
def test_promises_are_kept(adapter: str) -> None:
    errors = largest_errors(ADAPTERS[adapter])
    beyond = {n: (e, PROMISES[n][1]) for n, e in errors.items() if e > PROMISES[n][1]}
    assert beyond == {}
