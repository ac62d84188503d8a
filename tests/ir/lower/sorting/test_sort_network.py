"""Networks of exchanges in registers, interpreted: they sort whatever they are given."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tilewright.ir import build
from tilewright.ir.dtypes import BOOL, I32, I64, DType
from tilewright.ir.expr import Load, Var
from tilewright.ir.interpret.kernel import interpret_kernel
from tilewright.ir.kernel import Buffer, For, Stmt, Store
from tilewright.ir.lower.finish_kernel import finish_kernel
from tilewright.ir.lower.sorting.sort_network import Bank, Network, masks
from tilewright.ir.verify import verify_kernel

SHAPES = [(1, 2), (2, 2), (1, 8), (8, 2), (4, 4), (2, 16), (16, 4)]


def run(bank: Bank, body: list[Stmt], last: int, data: list[np.ndarray]) -> list[np.ndarray]:
    """Load records, run `body`, and store what the last set of registers holds."""
    size = bank.rows * bank.lanes
    dtypes = [b.dtype for b in bank.sets[0]]
    inputs = [Buffer(f"x{k}", (size,), d) for k, d in enumerate(dtypes)]
    outputs = [Buffer(f"y{k}", (size,), d) for k, d in enumerate(dtypes)]

    def load(row: Any, lane: Any) -> list[Stmt]:
        place = bank.at(row, lane)
        return bank.put(0, place, tuple(Load(b, (place,)) for b in inputs))

    def store(row: Any, lane: Any) -> list[Stmt]:
        place = bank.at(row, lane)
        return [
            Store(b, (place,), v) for b, v in zip(outputs, bank.record(last, place), strict=True)
        ]

    whole = [*bank.over_rows(bank.rows, load), *body, *bank.over_rows(bank.rows, store)]
    kernel = finish_kernel("network", whole, bank.buffers)
    verify_kernel(kernel)
    results = [np.zeros(size, d.numpy) for d in dtypes]
    bound = dict(zip((*inputs, *outputs), (*data, *results), strict=True))
    interpret_kernel(kernel, bound)
    return results


def records(size: int, dtypes: tuple[DType, ...], seed: int) -> list[np.ndarray]:
    """Few different keys, and positions that decide."""
    rng = np.random.default_rng(seed)
    keys = rng.integers(-5, 5, size).astype(dtypes[0].numpy)
    return [keys, rng.permutation(size).astype(np.int64)][: len(dtypes)]


@pytest.mark.parametrize("dtypes", [(I32,), (I64, I64)], ids=["keys", "pairs"])
@pytest.mark.parametrize(("rows", "lanes"), SHAPES)
def test_a_network_sorts(rows: int, lanes: int, dtypes: tuple[DType, ...]) -> None:
    for seed in range(5):
        bank = Bank.of("r", rows, lanes, dtypes, BOOL)
        network = Network(bank)
        body = [*network.sort(), *network.turn()]
        data = records(rows * lanes, dtypes, seed)
        found = run(bank, body, network.current, data)
        order = np.lexsort(data[::-1])
        for array, result in zip(data, found, strict=True):
            np.testing.assert_array_equal(result, array[order])


@pytest.mark.parametrize("dtypes", [(I32,), (I64, I64)], ids=["keys", "pairs"])
@pytest.mark.parametrize("lanes", [2, 4, 16])
def test_two_sorted_rows_are_merged(lanes: int, dtypes: tuple[DType, ...]) -> None:
    for seed in range(5):
        bank = Bank.of("r", 2, lanes, dtypes, BOOL)
        data = records(2 * lanes, dtypes, seed)
        order = [np.lexsort([d[part] for d in data[::-1]]) + part.start for part in halves(lanes)]
        rows = [d[np.concatenate(order)] for d in data]
        network = Network(bank)
        found = run(bank, network.merge_reversed(), network.current, rows)
        whole = np.lexsort(data[::-1])
        for array, result in zip(data, found, strict=True):
            np.testing.assert_array_equal(result, array[whole])


def halves(lanes: int) -> tuple[slice, slice]:
    return slice(0, lanes), slice(lanes, 2 * lanes)


def test_a_bitonic_network_has_all_its_stages() -> None:
    assert len(list(masks(256))) == 36
    assert list(masks(4)) == [(1, 1), (3, 2), (1, 1)]


def test_registers_are_read_in_any_order() -> None:
    """What the emitter must do for a network: every lane of a vector reads another lane."""
    from tests.codegen_cpu.kernel_runner import compile_kernel

    size = 16
    source, target = Buffer("x", (size,), I32), Buffer("y", (size,), I32)
    register = Buffer("r", (size,), I32, "register")
    first, second = Var("a", size), Var("b", size)
    mirrored = build.sub(build.index(size - 1), second)
    body: list[Stmt] = [
        For(first, "vector", [Store(register, (first,), Load(source, (first,)))], 4),
        For(second, "vector", [Store(target, (second,), Load(register, (mirrored,)))], 8),
    ]
    compiled = compile_kernel(finish_kernel("mirror", body, [register]), [source], [target])
    x, y = np.arange(size, dtype=np.int32), np.zeros(size, np.int32)
    compiled.run([x], [y])
    np.testing.assert_array_equal(y, x[::-1])
