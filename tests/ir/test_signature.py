"""What declares an argument: sizes, dimensions, kinds of scalars."""

from __future__ import annotations

from typing import Any

import pytest

import tilewright as tw
from tilewright.compiler.declared_arguments import DeclaredArguments
from tilewright.ir import dtypes
from tilewright.ir.errors import DTypeError, ShapeError, TraceError
from tilewright.ir.signature import MAX_RANK, ArraySpec, ScalarSpec, StaticSpec


@pytest.mark.parametrize("least", [-1, True, 1.0, "2", None])
def test_the_least_size_is_a_number_from_0_up(least: Any) -> None:
    with pytest.raises(
        ShapeError, match=f"the least size of N is a number from 0 up, not {least!r}"
    ):
        tw.dim("N", least=least)
    assert tw.dim("N", least=0).least == 0


@pytest.mark.parametrize("name", ["", "2N", "a b", 3])
def test_the_name_of_a_dimension_is_an_identifier(name: Any) -> None:
    with pytest.raises(ShapeError, match="the name of a dimension is an identifier"):
        tw.dim(name)


@pytest.mark.parametrize("size", [-1, True, 2.0, "N"])
def test_a_size_is_a_number_or_an_open_dimension(size: Any) -> None:
    with pytest.raises(ShapeError, match="a dimension is a number from 0 up or an open dimension"):
        tw.f32[3, size]
    assert tw.f32[3, 0].shape == (3, 0)


def test_ranks_have_a_limit() -> None:
    assert len(tw.f32[(1,) * MAX_RANK].shape) == MAX_RANK
    with pytest.raises(ShapeError, match=f"{MAX_RANK + 1} dimensions are more than the limit"):
        tw.f32[(1,) * (MAX_RANK + 1)]


def test_scalars_are_floats_or_ints() -> None:
    assert ScalarSpec("float").dtype is dtypes.F64
    assert ScalarSpec("int").dtype is dtypes.I64
    with pytest.raises(DTypeError, match="a run-time scalar is 'float' or 'int', not 'bool'"):
        ScalarSpec("bool")


def test_limits_of_an_int_are_those_of_all_its_dtypes() -> None:
    assert ScalarSpec("int").limits is None
    assert ScalarSpec("int", (dtypes.I8, dtypes.U8)).limits == (0, 127)
    assert ScalarSpec("int", (dtypes.I16,)).limits == (-32768, 32767)


def test_element_types_have_their_names() -> None:
    for dtype in dtypes.ALL:
        element = getattr(tw, dtype.short if dtype is not dtypes.BOOL else "bool_")
        assert element[2, 3] == ArraySpec(dtype, (2, 3))


def declared(**specs: Any) -> DeclaredArguments:
    return DeclaredArguments(specs, ("x", "y"))


def test_declarations_are_of_arrays_that_the_kernel_has() -> None:
    with pytest.raises(TraceError, match="the kernel has no argument 'z'"):
        declared(z=tw.f32[3])
    with pytest.raises(TraceError, match="argument 'x' is declared as 3"):
        declared(x=3)
    assert declared(x=tw.f32).specs["x"] == ArraySpec(dtypes.F32, ())


def test_what_is_given_fits_what_was_declared() -> None:
    n = tw.dim("N", least=2)
    found = declared(x=tw.f32[n, 3])
    assert found.apply("x", ArraySpec(dtypes.F32, (5, 3))) == tw.f32[n, 3]
    assert found.apply("y", ArraySpec(dtypes.F64, (5,))) == ArraySpec(dtypes.F64, (5,))
    assert declared(x=tw.f32).apply("x", ScalarSpec("float")) == ArraySpec(dtypes.F32, ())
    for wrong in (ArraySpec(dtypes.F64, (5, 3)), StaticSpec(None), ScalarSpec("float")):
        with pytest.raises(DTypeError, match=r"argument 'x' is .*, but was declared as"):
            found.apply("x", wrong)
    for shape in ((5,), (5, 3, 1), (5, 4)):
        with pytest.raises(ShapeError):
            found.apply("x", ArraySpec(dtypes.F32, shape))
