"""The program interpreter: every step, ragged axes, blocks of outer points, open dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ir.strategies import graphs
from tests.ir.test_parser import slow_generation
from tilewright.ir.errors import IRError
from tilewright.ir.fuse.options import CPU
from tilewright.ir.fuse.program_builder import build_program
from tilewright.ir.graph import Graph
from tilewright.ir.interpret import nest as interpret_nest
from tilewright.ir.interpret.graph import run_graph
from tilewright.ir.interpret.program import interpret_program
from tilewright.ir.parser import parse_program
from tilewright.ir.passes import run_passes
from tilewright.ir.program import nests
from tilewright.ir.verify import verify_program


def run(text: str, *inputs: np.ndarray, **symbols: int) -> Any:
    program = parse_program(text)
    values = {s: symbols[s.name] for s in program.symbols if s.name in symbols}
    results = interpret_program(program, inputs, values)
    return results[0] if len(results) == 1 else results


ROWS = """
program p<N>(x: f32[N, 5]) -> (out: f32[N, 5]) {
  nest n (i: N) {
    local m: scratch f32[]
    local e: scratch f32[5]
    local s: scratch f32[]
    stage max over (j: 5) { m[] = x[i, j] }
    stage (j: 5) { e[j] = exp(x[i, j] - m[]) }
    stage add over (j: 5) { s[] = e[j] }
    stage (j: 5) { out[i, j] = e[j] / s[] }
  }
}"""


@pytest.mark.parametrize("rows", [0, 1, 7])
def test_locals_exist_once_per_outer_point(rows: int) -> None:
    x = np.random.default_rng(0).standard_normal((rows, 5)).astype(np.float32)
    e = np.exp(x - x.max(1, keepdims=True, initial=-np.inf))
    np.testing.assert_allclose(run(ROWS, x), e / e.sum(1, keepdims=True), rtol=1e-6)


def test_blocks_of_outer_points_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(0).standard_normal((9, 5)).astype(np.float32)
    whole = run(ROWS, x)
    monkeypatch.setattr(interpret_nest, "BLOCK_ELEMENTS", 10)
    np.testing.assert_array_equal(run(ROWS, x), whole)


POINTS_LAST = """
program p(x: f32[9, 5]) -> (out: f32[9, 5]) {
  nest n (i: 9) {
    local m: scratch f32[]
    stage max over (j: 5) { m[] = x[i, j] }
    stage { out[i, 0] = m[] }
  }
}"""


@pytest.mark.parametrize(("limit", "blocks"), [(1, 9), (10, 5), (15, 3), (44, 2), (45, 1)])
def test_a_block_has_as_many_points_as_its_longest_stage_allows(
    monkeypatch: pytest.MonkeyPatch, limit: int, blocks: int
) -> None:
    """Stages of each point have 5 elements or one."""
    counts = []

    class Counting(interpret_nest.NestRun):
        def _block(self, points: Sequence[np.ndarray], count: int) -> None:
            counts.append(count)
            super()._block(points, count)

    monkeypatch.setattr(interpret_nest, "BLOCK_ELEMENTS", limit)
    (nest,) = nests(parse_program(POINTS_LAST).steps)
    storage = {name: np.zeros((9, 5), np.float32) for name in ("x", "out")}
    Counting(nest, {}, lambda buffer: storage[buffer.name]).run()
    assert len(counts) == blocks
    assert sum(counts) == 9


def test_axes_may_be_ragged() -> None:
    """Parts of unequal length, as splitting a large reduction makes them, as outer and own axis."""
    text = """
    program p(x: i64[10]) -> (a: i64[4], b: i64[4], t: i64[4, 4]) {{
      nest n (part: 4) {{
        stage add over (k: min(3, 10 - part * 3)) {{ a[part] = x[part * 3 + k] }}
      }}
      nest m () {{
        stage add (part: 4) over (k: min(3, 10 - part * 3)) {{ b[part] = x[part * 3 + k] }}
      }}
      nest z (i: 4, j: 4) {{ stage {{ t[i, j] = 0:i64 }} }}
      nest r ({outer}) {{ stage {own}{{ t[i, j] = i64(i * 4 + j) }} }}
    }}"""
    x = np.arange(10)
    for outer, own in (("i: 4, j: i", ""), ("i: 4", "(j: i) "), ("", "(i: 4, j: i) ")):
        a, b, t = run(text.format(outer=outer, own=own), x)
        assert a.tolist() == b.tolist() == [3, 12, 21, 9]
        assert t.tolist() == np.tril(np.arange(16).reshape(4, 4), -1).tolist()


@pytest.mark.parametrize(
    ("combiner", "wanted"),
    [
        ("add", [np.nan, -1.0]),
        ("min", [np.nan, -3.0]),
        ("fmin", [1.0, -3.0]),
        ("fmax", [2.0, 2.0]),
        ("mul", [np.nan, 6.0 * -0.0 + -0.0]),
        ("argmax", [1, 2]),
        ("argmin", [1, 0]),
    ],
)
def test_combiners(combiner: str, wanted: list[float]) -> None:
    x = np.array([[1, np.nan, 2], [-3, 0, 2]], np.float32)
    dtype = "i64" if combiner.startswith("arg") else "f32"
    text = f"""program p(x: f32[2, 3]) -> (out: {dtype}[2]) {{
      nest n (i: 2) {{ stage {combiner} over (j: 3) {{ out[i] = x[i, j] }} }} }}"""
    np.testing.assert_array_equal(run(text, x), wanted)


def test_empty_reductions_give_the_identity() -> None:
    text = """program p<N>(x: f32[N]) -> (s: f32[], m: f32[], n: bool[]) {
      nest a () { stage add over (j: N) { s[] = x[j] } }
      nest b () { stage max over (j: N) { m[] = x[j] } }
      nest c () { stage and over (j: N) { n[] = x[j] > 0.0:f32 } } }"""
    results = run(text, np.zeros(0, np.float32))
    assert [r.item() for r in results] == [0.0, -np.inf, True]


def test_scans_run_along_the_last_own_axis() -> None:
    text = """program p(x: u8[2, 4]) -> (out: u8[2, 4]) {
      nest n (i: 2) { stage scan add (j: 4) { out[i, j] = x[i, j] } } }"""
    x = np.array([[1, 2, 3, 4], [200, 50, 6, 1]], np.uint8)
    assert run(text, x).tolist() == [[1, 3, 6, 10], [200, 250, 0, 1]]


SCATTER = """
program p(x: i64[5], at: i64[5]) -> (out: i64[3]) {{
  nest n (k: 3) {{ stage {{ out[k] = 100:i64 }} }}
  ordered s {combiner}(i: 5) {{ out[index(at[i])] = {value} }}
}}"""


@pytest.mark.parametrize(
    ("combiner", "value", "wanted"),
    [
        ("", "x[i]", [4, 100, 3]),
        ("add ", "x[i]", [105, 100, 105]),
        ("max ", "x[i] * 40:i64", [160, 100, 120]),
        # A value that reads the target sees what the points before it wrote.
        ("", "out[index(at[i])] + x[i]", [105, 100, 105]),
        ("", "out[0] + 1:i64", [103, 100, 103]),
    ],
)
def test_scatters_run_in_order(combiner: str, value: str, wanted: list[int]) -> None:
    x, at = np.arange(5), np.array([0, 0, 2, 2, 0])
    found = run(SCATTER.format(combiner=combiner, value=value), x, at)
    if value == "out[0] + 1:i64":
        wanted = [103, 100, 103]
    assert found.tolist() == wanted


def test_scatter_into_rank_0() -> None:
    text = """program p(x: i64[4]) -> (out: i64[], last: i64[]) {
      nest n () { stage { out[] = 1:i64 } }
      ordered s add (i: 4) { out[] = x[i] }
      ordered t (i: 4) { last[] = x[i] } }"""
    total, last = run(text, np.arange(4))
    assert (total, last) == (7, 3)


def test_sorting_is_stable_and_puts_nan_last() -> None:
    text = """program p(x: f32[2, 4]) -> (s: f32[2, 4], o: i64[2, 4]) {
      sort a x into s axis 1
      argsort b x into o axis 1 }"""
    x = np.array([[np.nan, 2, 1, 2], [0.0, -0.0, -1, 5]], np.float32)
    s, o = run(text, x)
    np.testing.assert_array_equal(s[0], [1, 2, 2, np.nan])
    assert o.tolist() == [[2, 1, 3, 0], [2, 0, 1, 3]]


def test_repeats_and_copies() -> None:
    text = """program p<N>() -> (out: i64[2], steps: i64[]) {
      temporary t: i64[2, 1]
      temporary more: bool[]
      nest a (k: 2) { stage { out[k] = i64(k) } }
      repeat c < N {
        nest b (k: 2) { stage { t[k, 0] = out[k] * 2:i64 + i64(c) } }
        copy t into out
      }
      nest z () { stage { steps[] = 0:i64 } }
      while more {
        test { nest d () { stage { more[] = steps[] * steps[] < out[0] } } }
        nest e () { local l: scratch i64[] stage { l[] = steps[] + 1:i64 } stage { steps[] = l[] } }
      } }"""
    out, steps = run(text, N=4)
    assert out.tolist() == [11, 27]
    assert steps == 4


def test_constants_packed_buffers_and_views() -> None:
    text = """program p(x: i64[2, 3]) -> (out: i64[3, 2]) {
      constant c: i64[6] = [5, 4, 3, 2, 1, 0]
      packed w: i64[6]
      view flat: i64[6] of x
      view o: i64[6] of out
      init { nest i (k: 6) { stage { w[k] = c[5 - k] * 10:i64 } } }
      nest n (k: 6) { stage { o[k] = flat[k] + w[k] } } }"""
    x = np.arange(6).reshape(2, 3)
    assert run(text, x).tolist() == [[0, 11], [22, 33], [44, 55]]
    assert x.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_lowered_kernels_run_in_programs() -> None:
    text = """program p<N>(x: f32[N]) -> (out: f32[N]) {
      repeat c < 3 { launch k<N, c>(x, out) { for parallel i < N { out[i] = x[i] + f32(c) } } } }"""
    assert run(text, np.ones(2, np.float32)).tolist() == [3.0, 3.0]


def test_inputs_are_not_changed_and_need_their_dtype() -> None:
    with pytest.raises(IRError, match="input x of float32 was given float64"):
        run(ROWS, np.zeros((2, 5)))
    with pytest.raises(IRError, match="1 inputs, not 0"):
        run(ROWS)
    with pytest.raises(IRError, match=r"has shape \(2, 5\), its array \(2, 6\)"):
        run(ROWS, np.zeros((2, 6), np.float32))


@pytest.mark.parametrize("index", ["k + 1", "k - 1", "index(p[k])"])
def test_accesses_out_of_bounds_are_errors(index: str) -> None:
    text = """program p(p: i64[3]) -> (out: i64[3]) {{
      nest n (k: 3) {{ stage {{ out[{}] = p[{}] }} }} }}"""
    p = np.array([0, -1, 2])
    for places in ((index, "k"), ("k", index)):
        with pytest.raises(IRError, match="is accessed at"):
            run(text.format(*places), p)


@given(graph=graphs(), seed=st.integers(0, 1 << 16))
@slow_generation
def test_programs_agree_with_their_graphs(graph: Graph, seed: int) -> None:
    """Graph passes, fusion and both interpreters, on random graphs."""
    rng = np.random.default_rng(seed)
    # Small whole numbers: sums are exact in any order.
    inputs = [rng.integers(0, 3, t.shape).astype(t.dtype.numpy) for t in graph.inputs]  # type: ignore[arg-type]
    wanted = run_graph(graph, inputs)
    program = build_program(run_passes(graph), CPU, "p")
    verify_program(program)
    for a, b in zip(interpret_program(program, inputs), wanted, strict=False):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=1e-3 if a.dtype == np.float16 else 1e-5)


@given(points=st.lists(st.integers(0, 3), min_size=1, max_size=4))
@settings(deadline=None)
def test_outer_points_are_row_major(points: list[int]) -> None:
    from tilewright.ir.expr import Var

    axes = [Var(f"i{k}", n) for k, n in enumerate(points)]
    found = interpret_nest.outer_points(axes, {})
    wanted = np.indices(points).reshape(len(points), -1)
    assert [f.tolist() for f in found] == wanted.tolist()
