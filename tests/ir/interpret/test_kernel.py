"""The kernel interpreter: loops of all kinds, memory spaces, barriers, exact arithmetic."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewright.ir import build, ops
from tilewright.ir.dtypes import F16, F32, F64
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Apply, Load, Var
from tilewright.ir.graph import identity
from tilewright.ir.interpret.kernel import interpret_kernel
from tilewright.ir.interpret.program import interpret_program
from tilewright.ir.interpret.values import halve
from tilewright.ir.kernel import Buffer
from tilewright.ir.lower.nest import lower_nest
from tilewright.ir.parser import parse_kernel
from tilewright.ir.program import Nest, Program, Stage
from tilewright.ir.schedule import Schedule


def run(text: str, *arrays: np.ndarray, **symbols: int) -> None:
    kernel = parse_kernel(text)
    values = {s: symbols[s.name] for s in kernel.symbols if s.name in symbols}
    interpret_kernel(kernel, dict(zip(kernel.parameters, arrays, strict=True)), values)


def f32(*values: float | np.floating) -> np.ndarray:
    return np.array(values, np.float32)


@pytest.mark.parametrize("kind", ["serial", "parallel", "unroll", "vector", "group", "fragment"])
def test_every_kind_of_loop_visits_every_iteration(kind: str) -> None:
    out = np.zeros(5, np.int64)
    run(f"kernel k(x: i64[5]) {{ for {kind} i < 5 {{ x[i] = i64(i * i) }} }}", out)
    assert out.tolist() == [0, 1, 4, 9, 16]


def test_serial_loops_carry_state() -> None:
    out = np.zeros(6, np.int64)
    run("kernel k(x: i64[6]) { for serial i < 5 { x[i + 1] = x[i] + 2:i64 } }", out)
    assert out.tolist() == [0, 2, 4, 6, 8, 10]


def test_symbols_come_from_shapes_or_the_caller() -> None:
    x = np.zeros(4, np.int64)
    run("kernel k<N, M>(x: i64[N]) { for serial i < N { x[i] = i64(N * M + i) } }", x, M=10)
    assert x.tolist() == [40, 41, 42, 43]


def test_extents_may_depend_on_outer_loops_and_on_memory() -> None:
    x, n = np.zeros((3, 3), np.int64), np.array([3], np.int64)
    text = """kernel k(x: i64[3, 3], n: i64[1]) {
        for serial i < index(n[0]) { for serial j < i { x[i, j] = 1:i64 } } }"""
    run(text, x, n)
    assert x.tolist() == np.tril(np.ones((3, 3)), -1).tolist()


def test_conditions_and_while_loops() -> None:
    x = np.array([27, 0], np.int64)
    text = """kernel collatz(x: i64[2]) {
      while x[0] != 1:i64 {
        if x[0] % 2:i64 == 0:i64 { x[0] = x[0] // 2:i64 } else { x[0] = 3:i64 * x[0] + 1:i64 }
        x[1] = x[1] + 1:i64
      }
    }"""
    run(text, x)
    assert x.tolist() == [1, 111]


def test_views_share_storage() -> None:
    x = np.arange(6, dtype=np.int64)
    run("kernel k(x: i64[6]) { view v: i64[2, 3] of x  v[1, 2] = v[0, 1] }", x)
    assert x.tolist() == [0, 1, 2, 3, 4, 1]


def test_lanes_are_combined_by_halving() -> None:
    big = np.float32(2.0**24)
    row = f32(big, 1, 1, 1, -big)  # ((big + 1) + -big) + (1 + 1), in float32
    out = np.zeros(1, np.float32)
    text = """kernel k(x: f32[5], out: f32[1]) { r: register f32[5]
      for vector i < 5 { r[i] = x[i] } out[0] = lanes.add(r[]) }"""
    run(text, row, out)
    assert out[0] == halve(ops.ADD, row) == ((row[0] + row[3]) + row[2]) + (row[1] + row[4])


def test_rows_of_registers() -> None:
    out = np.zeros(2, np.float32)
    text = """kernel k(out: f32[2]) { r: register f32[2, 3]
      for unroll i < 2 { for vector j < 3 { r[i, j] = f32(i * 3 + j) } }
      for unroll i < 2 { out[i] = lanes.max(r[i]) } }"""
    run(text, out)
    assert out.tolist() == [2, 5]


def test_multiply_add_rounds_twice_and_fused_once() -> None:
    a = np.float32(1 + 2.0**-12)
    x, out = f32(a, -(1 + 2.0**-11)), np.zeros(2, np.float32)
    text = """kernel k(x: f32[2], out: f32[2]) {
      out[0] = mad(x[0], x[0], x[1]) out[1] = fma(x[0], x[0], x[1]) }"""
    run(text, x, out)
    assert out.tolist() == [0.0, 2.0**-24]


def test_narrow_integers_wrap_and_halves_round() -> None:
    x, h = np.array([200, 100], np.uint8), np.array([2048, 1], np.float16)
    run("kernel k(x: u8[2], h: f16[2]) { x[0] = x[0] + x[1] h[0] = h[0] + h[1] }", x, h)
    assert x[0] == 44
    assert h[0] == 2048


REVERSE = """kernel k(x: i64[2, 4]) {
  w: workgroup i64[4]
  mine: scratch i64[1]
  for group g < 2 {
    for local l < 4 {
      mine[0] = x[g, l]
      w[l] = x[g, l]
      for serial s < 2 { barrier }
      if g == 0 { barrier }
      x[g, l] = w[3 - l] * 10:i64 + mine[0]
    }
  }
}"""


def test_barriers_hold_all_invocations() -> None:
    x = np.arange(8).reshape(2, 4)
    run(REVERSE, x)
    assert x.tolist() == [[30, 21, 12, 3], [74, 65, 56, 47]]
    with pytest.raises(IRError, match="there is no barrier between them"):
        run(REVERSE.replace("barrier", ""), np.arange(8).reshape(2, 4))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("w[l] = 1 x[l] = w[0]", "invocation 0 writes w[0], which invocation 1 reads"),
        ("x[l] = w[3] w[l] = 1", "another invocation reads w[3], which invocation 3 writes"),
        ("x[l] = w[(l + 1) % 4] w[l] = 1", "invocation 0 reads w[1], which invocation 1 writes"),
        ("w[0] = i64(l)", "invocation 0 writes w[0], which invocation 1 writes"),
        (
            "w[l] = 1 barrier w[l] = 2 x[l] = w[1]",
            "invocation 0 reads w[1], which invocation 1 writes",
        ),
        ("x[l] = 1 x[3 - l] = 2", "invocation 1 writes x[2], which invocation 2 writes"),
        ("v[0, l // 2] = 1", "invocation 0 writes v[0, 0], which invocation 1 writes"),
        ("w[l] = 1 x[l] = v[0, 1]", "invocation 0 reads w[1], which invocation 1 writes"),
    ],
)
def test_what_may_come_in_any_order_is_an_error(body: str, message: str) -> None:
    with pytest.raises(IRError) as caught:
        run(invocations(body), np.zeros(4, np.int64))
    assert message in caught.value.message


@pytest.mark.parametrize(
    "body",
    [
        "w[l] = 1 x[l] = w[l] w[l] = 2",
        "w[l] = 1 barrier x[l] = w[3 - l] barrier w[l] = 2",
        "w[l] = 1 barrier x[l] = v[1, 1]",
        "s[0] = i64(l) r[0] = s[0] x[l] = r[0]",  # each has its own
    ],
)
def test_what_barriers_hold_apart_is_none(body: str) -> None:
    run(invocations(body), np.zeros(4, np.int64))


def invocations(body: str) -> str:
    body = re.sub(r"= (\d)", r"= \1:i64", body)
    return f"""kernel k(x: i64[4]) {{ w: workgroup i64[4] view v: i64[2, 2] of w
      s: scratch i64[1] r: register i64[1]
      for group g < 1 {{ for local l < 4 {{ {body} }} }} }}"""


def test_nested_local_loops_are_one_workgroup() -> None:
    x = np.zeros((2, 3), np.int64)
    text = """kernel k(x: i64[2, 3]) { w: workgroup i64[6] for group g < 1 {
      for local a < 2 { for local b < 3 {
        w[a * 3 + b] = i64(a * 3 + b) barrier x[a, b] = w[5 - a * 3 - b] } } } }"""
    run(text, x)
    assert x.tolist() == [[5, 4, 3], [2, 1, 0]]


BUTTERFLY = """
kernel k(x: i64[16], out: i64[16], sizes: i64[16]) {
  r: register i64[] other: register i64[]
  for local l < 16 subgroups of 2 (rounds, size, count, number, place) {
    r[] = x[l]
    for serial round < rounds { other[] = exchange r[] over round r[] = r[] + other[] }
    out[l] = r[]
    sizes[l] = i64(number * 100 + count)
  }
}"""


@pytest.mark.parametrize("size", [2, 4, 8, 16])
def test_exchanges_stay_inside_of_subgroups(size: int) -> None:
    """Of each subgroup all invocations know the sum; which are together nobody says."""
    x = 1 << np.arange(16)
    out, facts = np.zeros(16, np.int64), np.zeros(16, np.int64)
    kernel = parse_kernel(BUTTERFLY)
    arrays = dict(zip(kernel.parameters, (x, out, facts), strict=True))
    interpret_kernel(kernel, arrays, subgroup=size)
    numbers = facts // 100
    assert (facts % 100).tolist() == [16 // size] * 16
    assert np.bincount(numbers).tolist() == [size] * (16 // size)
    for number in range(16 // size):
        (total,) = set(out[numbers == number].tolist())
        assert total == x[numbers == number].sum()
    if size < 16:
        assert numbers[:2].tolist() == [0, 1]  # neighbours are apart


@pytest.mark.parametrize(("size", "said"), [(1, "at least 2"), (32, "in subgroups of 32")])
def test_subgroups_that_a_kernel_is_not_made_for(size: int, said: str) -> None:
    kernel = parse_kernel(BUTTERFLY)
    arrays = {p: np.zeros(16, np.int64) for p in kernel.parameters}
    with pytest.raises(IRError, match=said):
        interpret_kernel(kernel, arrays, subgroup=size)


def test_an_exchange_beyond_the_subgroup_is_an_error() -> None:
    kernel = parse_kernel(BUTTERFLY.replace("over round", "over rounds"))
    arrays = {p: np.zeros(16, np.int64) for p in kernel.parameters}
    with pytest.raises(IRError, match="an exchange over 8 places of 8"):
        interpret_kernel(kernel, arrays, subgroup=8)


def test_an_exchange_orders_no_memory() -> None:
    text = """kernel k(x: i64[4]) { r: register i64[] w: workgroup i64[4]
      for local l < 4 subgroups of 4 (rounds, size, count, number, place) {
        w[l] = i64(l) r[] = exchange w[l] over 0 x[l] = w[3 - l] } }"""
    kernel = parse_kernel(text)
    arrays = {kernel.parameters[0]: np.zeros(4, np.int64)}
    with pytest.raises(IRError, match="there is no barrier between them"):
        interpret_kernel(kernel, arrays, subgroup=4)


def test_a_barrier_that_some_miss_is_an_error() -> None:
    text = "kernel k() { for local l < 4 { if l < 2 { barrier } } }"
    with pytest.raises(IRError, match="some invocations reach and others do not"):
        run(text)


def test_tasks_do_not_see_each_others_memory() -> None:
    out = np.zeros(3, np.float32)
    text = """kernel k(out: f32[3]) { s: scratch f32[1]
      for parallel i < 3 { if i == 0 { s[0] = 7.0:f32 } out[i] = s[0] } }"""
    run(text, out)
    assert out[0] == 7
    assert np.isnan(out[1:]).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x[4] = 1.0:f32", r"store to x\[4\] outside of shape \(4,\)"),
        ("x[0] = x[0 - 1]", r"load of x\[-1\] outside of shape \(4,\)"),
        ("for serial i < 5 { x[i] = 1.0:f32 }", r"store to x\[4\] outside"),
        ("barrier", "a barrier outside of local loops"),
    ],
)
def test_errors(text: str, message: str) -> None:
    with pytest.raises(IRError, match=message):
        run(f"kernel k(x: f32[4]) {{ {text} }}", np.zeros(4, np.float32))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(4), "of float32 was given float64"),
        (np.zeros(5, np.float32), r"has shape \(4,\), its array \(5,\)"),
        (np.zeros((2, 2), np.float32), "has rank 1, its array 2"),
        (np.zeros(8, np.float32)[::2], "not in row-major order"),
    ],
)
def test_wrong_arrays(array: np.ndarray, message: str) -> None:
    with pytest.raises(IRError, match=message):
        run("kernel k(x: f32[4]) { }", array)


SCHEDULES = st.builds(
    Schedule,
    vector=st.sampled_from([None, "inner"]),
    width=st.sampled_from([1, 4]),
    unroll=st.integers(1, 2),
    chunks=st.integers(1, 3),
    reduce_block=st.sampled_from([0, 3]),
)


@given(rows=st.integers(1, 4), columns=st.integers(1, 40), schedule=SCHEDULES, data=st.data())
@settings(max_examples=60, deadline=None)
def test_lowered_nests_agree_with_the_program(
    rows: int, columns: int, schedule: Schedule, data: st.DataObject
) -> None:
    """Lowering, and both interpreters, on a row-wise sum of squares that scales the row."""
    x, out = Buffer("x", (rows, columns), F64), Buffer("out", (rows, columns), F64)
    total = Buffer("total", (), F64, "scratch")
    i, j, k = Var("i", rows), Var("j", columns), Var("k", columns)
    here = Load(x, (i, j))
    scaled = Apply(ops.DIV, (Load(x, (i, k)), Load(total, ())))
    stages = (
        Stage((), (j,), "add", Apply(ops.MUL, (here, here)), total, ()),
        Stage((k,), (), None, scaled, out, (i, k)),
    )
    nest = Nest("n", (i,), stages, (total,))
    seed = data.draw(st.integers(0, 1 << 16))
    values = np.random.default_rng(seed).integers(1, 9, (rows, columns)).astype(np.float64)
    (wanted,) = interpret_program(Program("p", (), (x,), (out,), (), (), (nest,)), [values])
    np.testing.assert_array_equal(wanted, values / (values**2).sum(1, keepdims=True))
    kernel = lower_nest(nest, schedule, "k")
    found: Any = np.zeros_like(values)
    interpret_kernel(kernel, {x: values, out: found})
    np.testing.assert_array_equal(found, wanted)


def test_identities_are_neutral() -> None:
    for dtype in (F16, F32, F64):
        for name in ("add", "mul", "min", "max", "fmin", "fmax"):
            start = identity(name, dtype)
            value = build.const(1.5, dtype)
            op = ops.OPS[name]
            operands = [dtype.numpy.type(e.value) for e in (start, value)]  # type: ignore[attr-defined]
            assert op.reference(*operands) == 1.5
