"""Element types: one object each, NumPy's promotion, names that lead back."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import tilewright as tw
from tilewright.ir import dtypes
from tilewright.ir.dtypes import ALL, BOOL, F32, I32, I64, INDEX, U8, DType

EVERY = (*ALL, INDEX)


@pytest.mark.parametrize("a", ALL)
@pytest.mark.parametrize("b", ALL)
def test_promotion_is_numpys(a: DType, b: DType) -> None:
    assert dtypes.promote(a, b).numpy == np.result_type(a.numpy, b.numpy)


@pytest.mark.parametrize("other", EVERY)
def test_index_is_weak(other: DType) -> None:
    wanted = I64 if other is BOOL else other
    assert dtypes.promote(INDEX, other) is wanted
    assert dtypes.promote(other, INDEX) is wanted


@pytest.mark.parametrize("dtype", EVERY)
def test_short_names_lead_back(dtype: DType) -> None:
    assert dtypes.from_short(dtype.short) is dtype


def test_other_names_lead_nowhere() -> None:
    assert dtypes.from_short("f128") is None
    assert dtypes.from_numpy("complex64") is None
    assert dtypes.from_numpy(">f4") is None
    assert dtypes.from_numpy("M8[s]") is None


@pytest.mark.parametrize("dtype", ALL)
def test_numpy_dtypes_lead_back(dtype: DType) -> None:
    assert dtypes.from_numpy(dtype.numpy) is dtype
    assert dtype.itemsize == dtype.numpy.itemsize


@pytest.mark.parametrize("dtype", EVERY)
def test_copies_are_the_same_object(dtype: DType) -> None:
    assert pickle.loads(pickle.dumps(dtype)) is dtype
    assert copy.deepcopy(dtype) is dtype


@pytest.mark.parametrize("dtype", [d for d in ALL if d.kind in "iu"])
def test_limits_of_integers(dtype: DType) -> None:
    info = np.iinfo(dtype.numpy)
    assert (dtype.min, dtype.max) == (info.min, info.max)
    assert dtypes.signed_of(dtype).kind == "i"
    assert dtypes.unsigned_of(dtype).kind == "u"
    assert dtypes.unsigned_of(dtypes.signed_of(dtype)).bits == dtype.bits


NAMES = [
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64"),
]


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_numpys(name: str) -> None:
    dtype = dtypes.from_numpy(name)
    assert dtype is not None
    assert dtype.name == name
    assert dtype.numpy == np.dtype(name)
    assert dtype.bits == np.dtype(name).itemsize * 8
    constant = getattr(dtypes, dtype.short.upper())
    assert constant is dtype
    element = getattr(tw, name if name != "bool" else "bool_", None) or getattr(tw, dtype.short)
    assert element[2].dtype is dtype
    assert dtype in ALL


def test_families() -> None:
    assert [d.name for d in ALL] == NAMES
    assert tuple(d for d in ALL if d.kind == "i") == dtypes.SIGNED
    assert tuple(d for d in ALL if d.kind == "u") == dtypes.UNSIGNED
    assert tuple(d for d in ALL if d.kind == "f") == dtypes.FLOATS


def test_kinds() -> None:
    assert F32.is_float
    assert not F32.is_integer
    assert INDEX.is_integer
    assert INDEX.is_signed
    assert not BOOL.is_integer
    assert not U8.is_signed
    assert I32.is_signed
