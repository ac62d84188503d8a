"""Namespace objects that a kernel reads: their attributes mean what they mean elsewhere."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.compiler.trace_oracle import check, traced
from tilewright.ir.errors import MissingAttributeError, TraceError

X = np.ones((3, 4), np.float32)
HELD: Any = SimpleNamespace(rng=np.random.default_rng(0), weights=np.arange(4.0), scale=2)


def test_values() -> None:
    check(lambda x: (x * HELD.scale, np.concatenate([x[0], HELD.weights])), X)


def test_a_changed_value_makes_the_kernel_stale() -> None:
    found = traced(lambda x: x * HELD.scale, X)
    assert not found.is_stale()
    HELD.scale = 3
    assert found.is_stale()
    HELD.scale = 2


def test_generators_in_them_are_refused() -> None:
    with pytest.raises(TraceError, match="would give the same numbers"):
        traced(lambda x: x + HELD.rng.random(), X)


def test_what_is_not_there() -> None:
    with pytest.raises(MissingAttributeError, match="the namespace has no attribute 'scales'"):
        traced(lambda x: x * HELD.scales, X)
