"""Numbers as text that gives back exactly the same bits, and arrays of them."""

from __future__ import annotations

import hashlib
import math
import struct
from typing import Any

import numpy as np

from tilewright.ir import build
from tilewright.ir.dtypes import BOOL, INDEX, DType
from tilewright.ir.expr import Const, Value

INLINE_ELEMENTS = 16
_CODES = {16: ("<H", "<e"), 32: ("<I", "<f"), 64: ("<Q", "<d")}
_QUIET_NAN = {16: 0x7E00, 32: 0x7FC00000, 64: 0x7FF8000000000000}


def literal_text(node: Const) -> str:
    """``3`` (an index), ``true``, ``3:i32``, ``0.1:f32``, ``-inf:f64``, ``0x7fc00001:f32``."""
    text = value_text(node.value, node.dtype)
    return text if node.dtype in (INDEX, BOOL) else f"{text}:{node.dtype.short}"


def value_text(value: Value, dtype: DType) -> str:
    """A literal without its dtype."""
    if dtype is BOOL:
        return "true" if value else "false"
    return _float_text(float(value), dtype) if dtype.is_float else str(int(value))


def _float_text(value: float, dtype: DType) -> str:
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if math.isnan(value):
        pattern = _bits(value, dtype)
        return "nan" if pattern == _QUIET_NAN[dtype.bits] else f"{pattern:#x}"
    with np.errstate(all="ignore"):
        narrow = dtype.numpy.type(value)
    # The shortest text of the narrow float, unless going through float64 rounds it twice.
    short = repr(float(str(narrow)))
    with np.errstate(all="ignore"):
        exact = float(dtype.numpy.type(float(short))) == value
    return _shorter(str(narrow), repr(value)) if exact else repr(value)


def _shorter(a: str, b: str) -> str:
    return a if len(a) <= len(b) else b


def _bits(value: float, dtype: DType) -> int:
    whole, floating = _CODES[dtype.bits]
    return int(struct.unpack(whole, struct.pack(floating, value))[0])


def parse_value(text: str, dtype: DType) -> Value:
    """The value that `value_text` printed; raises ValueError for text that is no such literal."""
    if dtype is BOOL:
        return {"true": True, "false": False}[text]
    if not dtype.is_float:
        whole = int(text)
        if not dtype.min <= whole <= dtype.max:
            raise ValueError(f"{whole} does not fit {dtype.short}")
        return whole
    if text.startswith("0x"):
        return build.from_bits(int(text, 16), dtype).value
    return build.const(float(text), dtype).value


def digest(array: np.ndarray) -> str:
    """What names the elements of a large constant in printed IR."""
    return hashlib.blake2b(np.ascontiguousarray(array).tobytes(), digest_size=16).hexdigest()


def array_text(array: np.ndarray, dtype: DType) -> str:
    """All elements of a small array in row-major order; of a large one the digest."""
    if array.size > INLINE_ELEMENTS:
        return f'data "{digest(array)}"'
    return f"[{', '.join(_element_text(e, dtype) for e in array.reshape(-1))}]"


def _element_text(element: np.generic, dtype: DType) -> str:
    if not dtype.is_float or not np.isnan(element):
        return value_text(element.item(), dtype)
    pattern = int(element.view(f"u{dtype.itemsize}"))
    return "nan" if pattern == _QUIET_NAN[dtype.bits] else f"{pattern:#x}"


def parse_element(text: str, dtype: DType) -> Any:
    """One element of an array: like `parse_value`, but the bits of any NaN are kept."""
    if dtype.is_float and text.startswith("0x"):
        pattern = np.array([int(text, 16)], f"u{dtype.itemsize}")
        return pattern.view(dtype.numpy)[0]
    return dtype.numpy.type(parse_value(text, dtype))
