"""How a CPU walks a contraction: the register tile, the order of tiles, and what is packed.

In: facts about a nest that adds up products. Out: parts of its `Schedule`. The numbers come from
measurements on a Zen 4 core (32 vector registers, 1 MiB of L2) against OpenBLAS.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tilewright.codegen_cpu.target import CpuTarget
from tilewright.ir.expr import Load, Var, post_order
from tilewright.ir.kernel import Buffer
from tilewright.ir.lower.accesses import UNKNOWN_SIZE, accesses, points
from tilewright.ir.lower.pack_panels import LEFT, RIGHT, can_pack
from tilewright.ir.lower.row_products import is_row_product
from tilewright.ir.program import Nest, Stage
from tilewright.ir.traverse import variables

_TALL = 8
"""Rows from which two vectors of columns give enough independent sums."""

_LEAST_ROWS_TO_PACK = 256
_LEAST_ROWS_TO_PACK_FAR = 96
"""The same where the matrix is beyond what a core can count on of the shared cache."""
_CORES_THAT_SHARE = 8
_LINES = 8
"""As many lines at a time read a matrix from memory at the speed of a copy; 4 or 16 are slower."""


def vectors_beside(rows: int, available: int, target: CpuTarget) -> int:
    """Vectors of columns in a register tile of `rows` rows.

    Every row has a sum for each vector, and the vectors themselves are held. Three of them read
    longer stretches of lines that are far away than two do. With one row they are read from memory
    by the multiply-add, and what counts is a long stretch of each line.
    """
    registers = target.vector_registers
    if rows >= _TALL:
        three = available % 3 == 0 and registers > 3 * (_TALL + 1)
        return 3 if three else min(available, 2)
    most = registers if rows == 1 else max(2, registers // (rows + 1))
    if available <= most:
        return available
    for vectors in range(most, most // 2, -1):
        if available % vectors == 0:
            return vectors
    return most


def walk(
    nest: Nest, stage: Stage, column: Var, rows: Var | None, target: CpuTarget
) -> tuple[list[Var], tuple[int, ...]]:
    """The order of the outer axes, and which operands are packed.

    Where the right operand does not fit the cache, its columns are walked outside of the rows:
    one strip of it stays in the cache while the rows pass by. Read often enough it is worth a
    copy in panels, without which lines of a large matrix compete for few places in the cache.
    """
    order = list(nest.outer)
    if rows is None:
        return order, ()
    operands = _operands(stage)
    right = [load for load in operands if column in variables(load.indices)]
    batch = tuple(a for a in nest.outer if all(a in variables(x.indices) for x in operands))
    whole = max((_bytes(load) // max(1, points(batch)) for load in right), default=0)
    if whole <= target.caches.l2 // 2 or not all(can_pack(nest, stage, load) for load in right):
        return order, ()
    order.remove(rows)
    order.insert(order.index(column) + 1, rows)
    far = whole >= target.caches.l3 // _CORES_THAT_SHARE
    least = _LEAST_ROWS_TO_PACK_FAR if far else _LEAST_ROWS_TO_PACK
    worth_packing = whole > target.caches.l2 and points((rows,)) >= least
    if not worth_packing:
        return order, ()
    return order, (LEFT, RIGHT) if _lies_along(nest, stage, rows) else (RIGHT,)


def rows_of_block(stage: Stage, column: Var, rows: Var, tile: int, target: CpuTarget) -> int:
    """Rows of a cache block, whole tiles; 0 where all rows together stay in the cache.

    Every strip of columns passes over all rows of the left operand: what it reads again should
    come from the part of the shared cache that one core can count on.
    """
    left = [load for load in _operands(stage) if column not in variables(load.indices)]
    one_row = max((_bytes(load) // points((rows,)) for load in left), default=0)
    room = target.caches.l3 // _CORES_THAT_SHARE
    if one_row * points((rows,)) <= room:
        return 0
    return max(1, room // one_row // tile) * tile


def read_lines(nest: Nest, target: CpuTarget) -> tuple[int, int]:
    """For a row times a matrix from memory: lines to read at a time, and in how many parts."""
    if target.reproducible or not is_row_product(nest):
        return 0, 0
    product = nest.stages[0]
    largest = max(_bytes(load) for load in _operands(product))
    if largest <= target.caches.l3 // _CORES_THAT_SHARE:
        return 0, 0
    lines = points(product.reduce_axes)
    parts = next(parts for parts in (8, 4, 2, 1) if lines % parts == 0)
    return _LINES, parts if target.has_threads else 1


def _lies_along(nest: Nest, stage: Stage, rows: Var) -> bool:
    """Whether an operand is contiguous along the rows: a tile then reads a little of each line."""
    return any(a.stage is stage and not a.is_store and a.stride(rows) == 1 for a in accesses(nest))


def _operands(stage: Stage) -> Sequence[Load]:
    return [n for n in post_order((stage.value,)) if isinstance(n, Load)]


def _bytes(load: Load) -> int:
    """What is read of a buffer, windows that overlap counted once."""
    if not isinstance(load.source, Buffer):
        return 0
    read = points(tuple(dict.fromkeys(variables(load.indices))))
    whole = [size if isinstance(size, int) else UNKNOWN_SIZE for size in load.source.shape]
    return min(read, math.prod(whole)) * load.dtype.itemsize
