"""Fixtures of calls through the dispatcher."""

from __future__ import annotations

import pytest

from tests.codegen_cpu.fastcall_kernels import (
    Kernel,
    add3_spec,
)
from tilewright.codegen_cpu.fast_record import Record
from tilewright.codegen_cpu.fastcall import Dispatcher, make_dispatcher


@pytest.fixture(scope="module")
def dispatcher() -> Dispatcher:
    made = make_dispatcher()
    assert isinstance(made, Dispatcher)
    return made


@pytest.fixture
def kernel() -> Kernel:
    return Kernel()


@pytest.fixture
def add(dispatcher: Dispatcher, kernel: Kernel) -> Kernel:
    """A kernel that adds three float32 arrays of shape (4, 6)."""
    dispatcher.install(kernel, Record(add3_spec()))
    return kernel
