"""NumPy's dtypes in terms of WGSL's: literals, loops, and what has no form there."""

from __future__ import annotations

import numpy as np
import pytest

from tests.ir.elementary_oracle import evaluate
from tests.ir.operation_cases import samples
from tests.ir.wide_literals import check_wide_literals
from tilewright.codegen_wgsl.retype import Retyper, retype, wrap
from tilewright.codegen_wgsl.storage import Storage, computed_as
from tilewright.ir import build, dtypes, ops
from tilewright.ir.dtypes import F16, F32, F64, I8, I16, I32, I64, U8, U16, U32, U64, DType
from tilewright.ir.errors import IRError, UnsupportedError
from tilewright.ir.expr import Apply, Const, Expr, Load, Var, post_order
from tilewright.ir.kernel import Buffer, For, If, Kernel, Store
from tilewright.ir.printer import print_kernel
from tilewright.ir.traverse import rewrite


def typed(expr: Expr) -> Expr:
    return Retyper(Storage()).expr(expr)


@pytest.mark.parametrize(("wide", "narrow"), [(I64, I32), (U64, U32)], ids=str)
def test_literals_of_64_bits(wide: DType, narrow: DType) -> None:
    check_wide_literals(typed, wide, narrow, "wgsl")


@pytest.mark.parametrize("dtype", [F16, F64, F32, I8, U16], ids=str)
def test_other_literals_keep_their_value(dtype: DType) -> None:
    found = typed(build.const(3, dtype))
    assert isinstance(found, Const)
    assert (found.value, found.dtype) == (3, computed_as(dtype))


@pytest.mark.parametrize("dtype", [I8, U8, I16, U16], ids=str)
def test_values_are_brought_back_into_a_narrow_range(dtype: DType) -> None:
    machine = computed_as(dtype)
    x = Var("x", dtype=machine)
    near = [end + k for end in (dtype.min, 0, dtype.max) for k in (-2, -1, 0, 1, 2)]
    values = np.array([*near, 12345, -98765, 2**31 - 1, -(2**31)]).astype(machine.numpy)
    found = evaluate(wrap(x, dtype), {x: values})
    np.testing.assert_array_equal(found, values.astype(dtype.numpy).astype(machine.numpy))


@pytest.mark.parametrize("dtype", [I32, U32, F32, I64, dtypes.BOOL], ids=str)
def test_what_is_not_narrow_is_left_alone(dtype: DType) -> None:
    x = Var("x", dtype=computed_as(dtype))
    assert wrap(x, dtype) is x


@pytest.mark.parametrize(
    ("source", "target"), [(I8, U8), (U8, I8), (I16, U16), (U16, I16)], ids=str
)
def test_bits_of_narrow_values(source: DType, target: DType) -> None:
    """What a load of the dtype yields is given in the dtype that it is computed in."""
    retyper, read = Retyper(Storage()), Load(Buffer("x", (), source, "register"), ())
    legal = retyper.expr(Apply(ops.BITCAST, (read,), target))
    assert legal.dtype is computed_as(target)
    values = samples(source)
    given = values.astype(computed_as(source).numpy)
    x = Var("x", dtype=computed_as(source))
    loaded = retyper.expr(read)
    found = evaluate(rewrite(legal, lambda node: x if node is loaded else None), {x: given})
    wanted = values.view(target.numpy)
    np.testing.assert_array_equal(found, wanted.astype(computed_as(target).numpy))


@pytest.mark.parametrize(
    ("source", "rounded", "tested"),
    [
        *((d, False, False) for d in (dtypes.BOOL, I8, U8)),
        *((d, True, False) for d in (I16,)),
        *((d, True, True) for d in (U16, I32, F32)),
    ],
    ids=str,
)
def test_integers_that_cannot_leave_the_range_of_float16(
    source: DType, rounded: bool, tested: bool
) -> None:
    """Are neither rounded, where float16 has them, nor compared with its end."""
    storage = Storage()
    x = Buffer("x", (8,), source)
    storage.declare(x, "input")
    half = Apply(ops.CAST, (Load(x, (Var("i", 8),)),), F16)
    value = Retyper(storage).expr(half)
    dtypes_of = {node.dtype for node in post_order((value,))}
    assert (F16 in dtypes_of) is rounded
    assert (ops.SELECT in _operations(value)) is tested
    bits = Retyper(storage).expr(Apply(ops.BITCAST, (half,), U16))
    assert (ops.SELECT in _operations(bits)) is tested


def _operations(root: Expr) -> set[ops.Op]:
    return {node.op for node in post_order((root,)) if isinstance(node, Apply)}


def test_what_has_no_form_is_refused() -> None:
    read = {d: Load(Buffer("x", (), d, "register"), ()) for d in (I64, U64, F64, F16, F32)}
    for source, target in ((I64, F64), (F64, I64), (U64, I64)):
        with pytest.raises(UnsupportedError, match=f"the bits of a {source} cannot be had"):
            typed(Apply(ops.BITCAST, (read[source],), target))
    with pytest.raises(UnsupportedError, match="nextafter of float16 has no form"):
        typed(Apply(ops.NEXTAFTER, (read[F16], read[F16])))
    assert isinstance(typed(Apply(ops.NEXTAFTER, (read[F32], read[F32]))), Apply)
    with pytest.raises(IRError, match="of dtype float16 has no form in WGSL"):
        typed(Var("x", dtype=F16))


def test_statements_over_machine_types() -> None:
    """Registers change their dtype, once; extents and conditions are rewritten with the rest."""
    register = Buffer("r", (3,), U8, "register")
    flag = Buffer("flag", (), dtypes.BOOL, "register")
    total = Buffer("n", (), I64, "register")
    size = build.cast(Load(total, ()), dtypes.INDEX)
    i, j = Var("i", 3), Var("j", size)
    add = build.add(Load(register, (i,)), build.const(200, U8))
    small = build.lt(Load(register, (build.index(1),)), build.const(9, U8))
    body = (
        For(i, "unroll", [Store(register, (i,), add)]),
        For(j, "serial", [Store(flag, (), small)]),
        If(small, [Store(total, (), build.const(5, I64))], [Store(total, (), build.zero(I64))]),
    )
    made = retype(Kernel("k", (), (), (register, flag, total), body), Storage())
    assert (
        print_kernel(made)
        == """kernel k() {
  r: register u32[3]
  n: register i32[]
  flag: register bool[]
  for unroll i < 3 {
    r[i] = r[i] + 200:u32 & 255:u32
  }
  for serial j < index(n[]) {
    flag[] = r[1] < 9:u32
  }
  if r[1] < 9:u32 {
    n[] = 5:i32
  }
  else {
    n[] = 0:i32
  }
}
"""
    )
