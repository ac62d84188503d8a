"""What a kernel does, against what can be counted by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tests.ir.lower.traced_programs import program_of
from tilewright.codegen_cpu import backend as cpu
from tilewright.codegen_cpu.target import cpu_target
from tilewright.codegen_wgsl import backend as wgsl
from tilewright.ir import build
from tilewright.ir.analysis.kernel_figures import KernelFigures, kernel_figures
from tilewright.ir.analysis.program_figures import ProgramFigures, gpu_figures, program_figures
from tilewright.ir.dtypes import F32
from tilewright.ir.expr import Load
from tilewright.ir.fuse.options import WORKGROUP
from tilewright.ir.kernel import Buffer, Kernel, Store
from tilewright.ir.parser import parse_kernel
from tilewright.ir.schedule import Schedule


def f32(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


def on_wgsl(
    function: Callable[..., Any], arrays: list[np.ndarray], schedule: Schedule | None = None
) -> ProgramFigures:
    """Of the function, all nests with `schedule`."""
    program = program_of(function, arrays, WORKGROUP)
    names = [nest.name for nest, _ in wgsl.tunable_nests(program)]
    given = None if schedule is None else dict.fromkeys(names, schedule)
    stages: dict[str, Any] = {}
    made = wgsl.build(program, schedules=given, observe=stages.__setitem__)
    return gpu_figures(made.program, stages["kernel"])


def product(a, b):
    return a @ b


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def convolution(image, w):
    return sum(
        image[:, i : i + 30, j : j + 30].reshape(4, 900).T @ w[i, j]
        for i in range(3)
        for j in range(3)
    )


# Whole functions.


def test_a_product_through_workgroup_memory() -> None:
    """Blocks of 32 by 32 points: each reads 32 rows and 32 columns, in slices of 16. Rows of the
    left operand, which is turned, are kept a vector longer."""
    tiles = Schedule(tile=(4, 4), workgroup=(8, 8), stage_tile=16)
    found = on_wgsl(product, [f32(128, 64), f32(64, 96)], tiles)
    (launch,) = found.launches
    blocks = (128 // 32) * (96 // 32)
    assert launch.each == KernelFigures(
        invocations=blocks * 64,
        groups=blocks,
        operations=2 * 128 * 96 * 64,
        multiplies=128 * 96 * 64,
        bytes_read=4 * blocks * 2 * 32 * 64,
        bytes_written=4 * 128 * 96,
        barriers=2 * (64 // 16),
        workgroup_bytes=4 * (36 + 32) * 16,
    )
    moved = 4 * blocks * 2 * 32 * 64 + 4 * 128 * 96
    assert found.operations_per_byte == pytest.approx(2 * 128 * 96 * 64 / moved)
    assert (found.launch_count, found.shaders, found.copied) == (1, 1, 0)


def test_a_product_of_a_point_per_invocation_reads_all_its_factors() -> None:
    found = on_wgsl(product, [f32(8, 16), f32(16, 12)], Schedule(workgroup=(32,)))
    assert found.bytes_read == 4 * 8 * 12 * 2 * 16
    assert found.bytes_written == 4 * 8 * 12
    assert found.operations == 2 * 8 * 12 * 16
    assert (found.barriers, found.workgroup_bytes) == (0, 0)


def test_a_row_per_workgroup() -> None:
    """The largest and the sum of a row of 100 by 32 invocations: each combines its own, then there
    are 5 rounds of halves."""
    rows = Schedule(vector="inner", workgroup=(32,))
    found = on_wgsl(lambda x: x - x.max(axis=1, keepdims=True), [f32(40, 100)], rows)
    (launch,) = found.launches
    assert launch.each.groups == 40
    assert launch.each.invocations == 40 * 32
    assert launch.each.bytes_written == 4 * 40 * 100
    assert launch.each.bytes_read == 2 * 4 * 40 * 100
    # One for each element and its invocation's start, 31 in halves; then the differences.
    assert launch.each.operations == 40 * (100 + 31 + 100)


@pytest.mark.parametrize(
    ("dtype", "per_word"), [(np.float32, 1), (np.float16, 2), (np.uint8, 4), (np.int16, 2)]
)
def test_packed_elements_are_read_in_words(dtype: Any, per_word: int) -> None:
    """Once for all elements in a word, or once for each of them: that is up to the emitter."""
    x = np.ones(8192, dtype)
    four = Schedule(tile=(4,), vector=0, width=4, workgroup=(64,))
    found = on_wgsl(lambda x: x.astype(np.float32) * np.float32(3), [x], four)
    assert 4 * 8192 // per_word <= found.bytes_read <= 4 * 8192
    assert found.bytes_written == 4 * 8192
    assert found.operations == 8192


def test_a_convolution_multiplies_what_its_loops_say() -> None:
    arrays = [f32(4, 32, 32), np.ones((3, 3, 4, 8), np.float32)]
    found = on_wgsl(convolution, arrays)
    assert 2 * 900 * 8 * 4 * 9 <= found.operations <= 2 * 900 * 8 * (4 * 9 + 8)


def test_rounds_count_with_their_number() -> None:
    found = on_wgsl(lambda x: tw.loop(7, lambda _, s: (s * 2,), x), [f32(64)])
    assert found.operations == 7 * 64
    assert found.launch_count >= 7 > len(found.launches)


def test_nothing_is_launched_for_no_elements() -> None:
    assert on_wgsl(lambda x: x + 1, [f32(0, 4)]).launches == ()


# Kernels.


def figures_of(body: str, head: str = "x: f32[8], y: f32[8, 16]") -> KernelFigures:
    return kernel_figures(parse_kernel(f"kernel k({head}) {{\n{body}\n}}\n"))


def test_what_does_not_vary_in_a_loop_is_read_once() -> None:
    found = figures_of(
        """
        for serial i < 8 {
          for serial j < 16 {
            y[i, j] = x[i] * 2.0:f32
          }
        }
        """
    )
    assert (found.bytes_read, found.bytes_written) == (4 * 8, 4 * 8 * 16)
    assert (found.operations, found.multiplies) == (8, 8)


def test_what_a_loop_writes_is_read_in_each_round() -> None:
    found = figures_of(
        """
        for serial j < 16 {
          x[3] = x[3] + 1.0:f32
        }
        """
    )
    assert (found.bytes_read, found.bytes_written, found.operations) == (64, 64, 16)


def test_what_was_read_is_remembered_until_it_changes() -> None:
    x, y = Buffer("x", (8,), F32), Buffer("y", (8,), F32)
    first, second = Load(x, (build.index(1),)), Load(x, (build.index(2),))
    body = (
        Store(y, (build.index(0),), build.add(first, first)),
        Store(y, (build.index(1),), build.mul(first, second)),
        Store(x, (build.index(3),), build.zero(F32)),
        Store(y, (build.index(2),), first),
    )
    assert kernel_figures(Kernel("k", (x, y), (), (), body)).bytes_read == 3 * 4


def test_vectors_and_what_is_written_out_count_every_element() -> None:
    found = figures_of(
        """
        for unroll i < 8 {
          for vector(4) j < 16 {
            y[i, j] = fma(y[i, j], x[i], 1.0:f32)
          }
        }
        """
    )
    assert found.bytes_read == 4 * (8 * 16 + 8)
    assert (found.operations, found.multiplies) == (2 * 8 * 16, 8 * 16)


def test_branches_count_by_who_takes_them() -> None:
    found = figures_of(
        """
        for group g < 8 {
          for local lane < 16 {
            if lane < 4 {
              y[g, lane] = x[g] + 1.0:f32
            } else {
              x[g] = 0.0:f32
            }
          }
        }
        """
    )
    assert found.bytes_written == 4 * 8 * 16
    assert (found.bytes_read, found.operations) == (4 * 8 * 4, 8 * 4)
    assert (found.invocations, found.groups) == (128, 8)


def test_a_branch_that_data_decide_counts_as_taken() -> None:
    found = figures_of(
        """
        for serial i < 8 {
          if x[i] > 0.0:f32 {
            y[i, 0] = 1.0:f32
          }
        }
        """
    )
    assert found.bytes_written == 4 * 8


def test_rounds_that_differ_count_with_their_mean() -> None:
    """0 + 1 + … + 7 rounds."""
    found = figures_of(
        """
        for serial i < 8 {
          for serial j < i {
            y[i, j] = 0.0:f32
          }
        }
        """
    )
    assert found.bytes_written == 4 * 28


def test_too_many_points_to_visit_are_sampled() -> None:
    found = figures_of(
        """
        for group g < 30000 {
          for local lane < 64 {
            if g * 64 + lane < 960000 {
              x[0] = 0.0:f32
            }
          }
        }
        """
    )
    assert found.bytes_written == pytest.approx(4 * 960000, rel=0.02)


def test_barriers_are_those_of_a_workgroup() -> None:
    found = figures_of(
        """
        w: workgroup f32[64]
        for group g < 8 {
          for local lane < 16 {
            for serial j < 5 {
              w[lane] = x[g]
              barrier
            }
          }
        }
        """
    )
    assert (found.barriers, found.workgroup_bytes) == (5, 256)
    assert (found.bytes_read, found.bytes_written) == (4 * 8 * 16, 0)


def test_open_sizes_have_the_values_that_are_given() -> None:
    kernel = parse_kernel(
        "kernel k<N>(x: f32[N]) {\n  for serial i < N {\n    x[i] = 0.0:f32\n  }\n}\n"
    )
    (n,) = kernel.symbols
    assert kernel_figures(kernel, {n: 11}).bytes_written == 44


def test_loops_of_a_program_repeat_what_is_in_them() -> None:
    program = program_of(lambda x: tw.loop(7, lambda _, s: (s.T * 2,), x), [f32(4, 4)])
    lowered = cpu.lower(program, cpu_target("x86-64-v3")).program
    found = program_figures(lowered, {})
    assert found.operations == 7 * 16
    assert found.launch_count >= 7
