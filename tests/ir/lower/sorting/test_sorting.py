"""Sorts without a compiler: keys for every value, and launches of all kinds, interpreted."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from tests.ir.operation_cases import samples
from tilewright.ir import build
from tilewright.ir.dtypes import ALL, BOOL, F16, F32, F64, I8, I32, I64, U8, U64, DType
from tilewright.ir.expr import Var
from tilewright.ir.interpret.program import interpret_program
from tilewright.ir.interpret.values import evaluate, reads_nothing, size_value
from tilewright.ir.kernel import Buffer, For, statements
from tilewright.ir.lower.sorting import sort_by_exchanges
from tilewright.ir.lower.sorting.sort_by_passes import sort_by_passes
from tilewright.ir.lower.sorting.sort_by_rank import sort_by_rank
from tilewright.ir.lower.sorting.sort_keys import Keys
from tilewright.ir.lower.sorting.sort_rows import VectorUnit, lower_sort
from tilewright.ir.program import Launch, Nest, Program, SortRows, Step, nests
from tilewright.ir.verify.program import verify_program

Steps = Callable[[SortRows], Sequence[Step]]


def sort_of(shape: tuple[int, ...], axis: int, positions: bool, dtype: DType) -> SortRows:
    source, target = Buffer("x", shape, dtype), Buffer("y", shape, I64 if positions else dtype)
    return SortRows("sort", source, target, axis, positions)


# Keys.


def every_value(dtype: DType) -> np.ndarray:
    if dtype is F16:
        return np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    return samples(dtype)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("positions", [False, True])
@pytest.mark.parametrize("dtype", ALL, ids=str)
def test_keys_stand_in_the_order_of_what_they_stand_for(
    dtype: DType, positions: bool, reverse: bool
) -> None:
    values = every_value(dtype)
    keys = Keys.of(sort_of((values.size,), 0, positions, dtype), values.size, reverse)
    assert keys.packed == (positions and dtype.bits <= 32)
    value, place = Var("v", dtype=dtype), Var("p")
    record = keys.record(value, place)
    assert tuple(part.dtype for part in record) == keys.dtypes
    numbers = np.arange(values.size)
    point = {value: values, place: numbers}
    with np.errstate(all="ignore"):
        *parts, result = evaluate((*record, keys.result(record)), point, reads_nothing)
    order = np.lexsort([np.broadcast_to(p, values.shape) for p in parts[::-1]])
    if positions:
        np.testing.assert_array_equal(result, numbers)
        wanted = np.argsort(values, kind="stable")
        np.testing.assert_array_equal(order, wanted[::-1] if reverse else wanted)
    else:
        np.testing.assert_array_equal(values[order], np.sort(values)[:: -1 if reverse else 1])
        number = ~np.isnan(values) if dtype.is_float else np.ones(values.size, bool)
        assert result[number].tobytes() == values[number].tobytes()
        assert len(np.unique(parts[0][number])) == len(
            np.unique(values[number].view(bytes_of(dtype)))
        )
        assert keys.dtypes[0] is (I64 if dtype.bits == 64 else I32)
    for part, padding in zip(parts, keys.padding, strict=True):
        assert np.all(part <= np.int64(padding.value))  # type: ignore[attr-defined]


def bytes_of(dtype: DType) -> np.dtype:
    return np.dtype(f"u{dtype.itemsize}")


@pytest.mark.parametrize("reverse", [False, True])
def test_the_key_of_negative_zero(reverse: bool) -> None:
    for dtype in (F16, F32, F64):
        keys = Keys.of(sort_of((4,), 0, False, dtype), 4, reverse)
        (key,) = keys.record(build.const(-0.0, dtype), build.index(0))
        found, wanted = evaluate((key, keys.negative_zero), {}, reads_nothing)  # type: ignore[arg-type]
        assert found == wanted
        assert found.dtype == wanted.dtype
        assert Keys.of(sort_of((4,), 0, True, dtype), 4).negative_zero is None
    assert Keys.of(sort_of((4,), 0, False, I32), 4).negative_zero is None


def test_positions_are_packed_while_they_fit() -> None:
    for dtype in (BOOL, I8, F32, I32):
        step = sort_of((4,), 0, True, dtype)
        assert Keys.of(step, (1 << 31) - 1).packed
        assert not Keys.of(step, 1 << 31).packed
        assert not Keys.of(step, Var("N")).packed
        assert not Keys.of(sort_of((4,), 0, False, dtype), 4).packed
    for dtype in (I64, U64, F64):
        assert not Keys.of(sort_of((4,), 0, True, dtype), 4).packed


# Launches.


def ran(steps: Steps, data: np.ndarray, axis: int, positions: bool, dtype: DType) -> np.ndarray:
    step = sort_of(data.shape, axis, positions, dtype)
    made = tuple(steps(step))
    stored = [
        s.target.root for nest in nests(made) for s in nest.stages if s.target not in nest.locals
    ]
    launched = [b for s in made if isinstance(s, Launch) for b in s.kernel.parameters]
    ends = (step.source, step.target)
    temporaries = tuple(dict.fromkeys(b for b in (*stored, *launched) if b not in ends))
    program = Program("p", (), (step.source,), (step.target,), (), temporaries, made)
    verify_program(program)
    return interpret_program(program, [data])[0]


def by_exchanges(step: SortRows) -> Sequence[Step]:
    return sort_by_exchanges.sort_by_exchanges(step)


def by_passes(step: SortRows) -> Sequence[Step]:
    length = step.source.shape[step.axis]
    assert isinstance(length, int)
    return sort_by_passes(step, length)


def by_merges(step: SortRows) -> Sequence[Step]:
    lowered = lower_sort(step, "sort", 2)
    return [Launch(lowered.kernel)]


ALL_STEPS = [sort_by_rank, by_exchanges, by_passes, by_merges]


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sort_by_exchanges, "BLOCK", 4)


def zeros_and_ones(length: int) -> np.ndarray:
    """A network that sorts all rows of these sorts all rows (D. E. Knuth)."""
    return np.array(list(itertools.product((0.0, 1.0), repeat=length)), np.float32)


@pytest.mark.parametrize("steps", ALL_STEPS, ids=lambda s: s.__name__)
def test_rows_of_zeros_and_ones(steps: Steps) -> None:
    """Positions show whether equal elements keep their order."""
    for length in (1, 2, 3, 5, 7):
        rows = zeros_and_ones(length)[:: 1 if steps in (sort_by_rank, by_passes) else 3]
        found = ran(steps, rows, 1, True, F32)
        np.testing.assert_array_equal(found, np.argsort(rows, axis=1, kind="stable"))


@pytest.mark.parametrize("positions", [False, True])
@pytest.mark.parametrize("steps", ALL_STEPS, ids=lambda s: s.__name__)
def test_other_lengths_axes_and_dtypes(steps: Steps, positions: bool) -> None:
    rng = np.random.default_rng(1)
    for dtype, shape, axis in (
        *((F32, (2, n), 1) for n in (8, 9, 15, 16, 17, 31, 33)),
        *(
            (I32, (11, 3), 0),
            (F32, (2, 9, 3), 1),
            (U8, (13,), 0),
            (F64, (7, 1), 0),
            (BOOL, (9,), 0),
        ),
    ):
        values = samples(dtype)
        data = rng.choice(values, shape)
        function = np.argsort if positions else np.sort
        found = ran(steps, data, axis, positions, dtype)
        np.testing.assert_array_equal(found, function(data, axis=axis, kind="stable"))


def kinds(step: SortRows) -> str:
    return "".join("n" if isinstance(s, Nest) else "l" for s in by_exchanges(step))


def test_exchanges_reach_over_blocks_by_maps_and_stay_inside_of_them_in_launches() -> None:
    """Rounds of runs of 8, 16 and 32 in blocks of 4: 1, 2 and 3 maps, and a merge after each."""
    assert kinds(sort_of((2, 30), 1, False, F32)) == "nl" + "nl" + "nnl" + "nnnl" + "n"
    assert kinds(sort_of((1,), 0, False, F32)) == "nn"


def test_rows_are_padded_little() -> None:
    """A row of few elements is sorted in as few registers. A block of longer ones takes all
    registers, or half or a quarter of them if that pads less; an eighth of a row is little."""
    for length in (1, 2, 3, 4, 5, 8, 9, 16, 17, 31, 32, 33, 36, 37, 40, 56, 57, 64, 100, 129):
        lowered = lower_sort(sort_of((2, length), 1, False, F32), "s", 1, VectorUnit(128, 16))
        (block,) = next(b.shape for b in lowered.kernel.locals if b.name == "recordsa0")
        if length <= 32:
            assert block == max(2, 1 << (length - 1).bit_length())
            continue
        padding = {size: -length % size for size in (32, 16, 8)}
        little = [s for s, p in padding.items() if 8 * p <= length or p == min(padding.values())]
        assert block == little[0], length


def test_a_block_is_sorted_in_as_many_rounds_as_a_network_has() -> None:
    """1 + 2 + … + log2(n), and log2(n) to merge."""
    for block, rounds in ((2, 1), (4, 2), (16, 4)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sort_by_exchanges, "BLOCK", block)
            launches = [
                s for s in by_exchanges(sort_of((2, 64), 1, False, F32)) if isinstance(s, Launch)
            ]
        first, *merges = (turns(launch) for launch in launches)
        assert first == rounds * (rounds + 1) // 2
        assert set(merges) == {rounds}


def turns(launch: Launch) -> int:
    """How often a launch compares each element with another one."""
    loops = [s for s in statements(launch.kernel.body) if isinstance(s, For)]
    (turn,) = (loop for loop in loops if loop.var.name == "turn")
    runs = [loop for loop in loops if loop.var.name == "run"]
    if not runs:
        return size_value(turn.extent, {})
    (run,) = runs
    return sum(size_value(turn.extent, {run.var: k}) for k in range(size_value(run.extent, {})))
