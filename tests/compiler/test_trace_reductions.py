"""Reductions, sorting and products on traced arrays, against NumPy: one line per case."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.compiler.function_cases import INTS, NANS, RNG, B, Cases, E, F, H, M, S, T, U, V, W

CASES = Cases()
case = CASES.add

# Reductions.
for _name in (
    "sum",
    "prod",
    "mean",
    "max",
    "min",
    "var",
    "std",
    "any",
    "all",
    "argmax",
    "argmin",
    "ptp",
):
    _f = getattr(np, _name)
    case(f"{_name}", lambda x, f=_f: f(x), M)
    case(f"{_name} axis 0", lambda x, f=_f: f(x, axis=0), M)
    case(f"{_name} axis -1 keepdims", lambda x, f=_f: f(x, axis=-1, keepdims=True), F)
    case(f"{_name} int", lambda x, f=_f: f(x, axis=1), INTS)
    case(f"{_name} uint8", lambda x, f=_f: f(x, axis=0), U)
    if _name != "ptp":
        case(f"{_name} bool", lambda x, f=_f: f(x, axis=0), B)
    if _name not in ("argmax", "argmin"):
        case(f"{_name} axes", lambda x, f=_f: f(x, axis=(0, 2)), F)
        case(f"{_name} float16", lambda x, f=_f: f(x, axis=1), H)
    case(f"{_name} nan", lambda x, f=_f: f(x, axis=1), NANS)
for _name in ("sum", "prod", "any", "all", "mean"):
    _f = getattr(np, _name)
    case(f"{_name} empty", lambda x, f=_f: f(x, axis=1), E)
case(
    "sum dtype",
    lambda x: (np.sum(x, dtype=np.float64), x.sum(0, np.float64), np.sum(x, axis=())),
    M,
)
case("sum of nothing", lambda x: np.sum(x, axis=0), E)
case("sum initial where", lambda x: np.sum(x, axis=1, initial=2, where=x > 0), M)
case("max initial where", lambda x: np.max(x, axis=1, initial=0, where=x < 1), M)
case("max initial", lambda x: np.max(x, axis=0, initial=-5.0), E)
case("mean where", lambda x: np.mean(x, axis=0, where=x > -1), M)
case("var ddof", lambda x: (np.var(x, ddof=1), np.std(x, axis=0, ddof=1), x.var(1), x.std()), M)
case("var where", lambda x: np.var(x, axis=1, where=x > -1), F)
case("var correction mean", lambda x: np.var(x, axis=1, keepdims=True, correction=1), M)
case("mean dtype", lambda x: np.mean(x, dtype=np.float64), M)
case("var stable", lambda x: np.var(x), (1e4 + RNG.random(100)).astype(np.float32))
case("mean of large float16", lambda x: np.mean(x), np.full(5000, 60.0, np.float16))
case(
    "count_nonzero",
    lambda x: (np.count_nonzero(x), np.count_nonzero(x, axis=0, keepdims=True)),
    INTS,
)
case(
    "average",
    lambda x, w: (np.average(x), np.average(x, axis=0, weights=w), np.average(x, axis=0)),
    M,
    W,
)
case("average returned", lambda x: np.average(x, axis=1, weights=x * x, returned=True), M)
for _name in ("nansum", "nanprod", "nanmean", "nanvar", "nanstd"):
    _f = getattr(np, _name)
    case(
        _name,
        lambda x, f=_f: (f(x), f(x, axis=1), f(x, axis=0, keepdims=True)),
        NANS[::2],
    )
case(
    "nanmax",
    lambda x: (
        np.nanmax(x),
        np.nanmin(x, axis=0),
        np.nanargmax(x[::2], axis=1),
        np.nanargmin(x[::2], axis=1),
    ),
    NANS,
)
for _name in ("cumsum", "cumprod"):
    _f = getattr(np, _name)
    case(_name, lambda x, f=_f: (f(x), f(x, axis=0), f(x, axis=-1)), F)
    case(f"{_name} ints", lambda x, f=_f: (f(x), f(x, axis=0), f(x, dtype=np.int32)), U)
    case(f"{_name} float16", lambda x, f=_f: f(x, axis=1), H)
case("accumulate", lambda x: (np.maximum.accumulate(x), np.minimum.accumulate(x, axis=1)), M)
case("nancumsum", lambda x: np.nancumsum(x, axis=1), NANS)
case(
    "cumulative_sum",
    lambda x: (np.cumulative_sum(x, axis=1, include_initial=True), np.cumulative_prod(x, axis=0)),
    M,
)
case("trapezoid", lambda x: (np.trapezoid(x), np.trapezoid(x, dx=0.5, axis=0)), M)
case("trapezoid x", lambda x, p: np.trapezoid(x, p), M, np.arange(5.0) ** 2)
case("cov", lambda x: np.cov(x), S)

# Order.
case("sort", lambda x: (np.sort(x), np.sort(x, axis=0), np.sort(x, axis=None)), M)
case("sort nan", lambda x: np.sort(x, axis=0), NANS)
case("argsort", lambda x: (np.argsort(x, stable=True), np.argsort(x, axis=0, kind="stable")), INTS)
case("sort bool", lambda x: (np.sort(x), np.argsort(x, axis=0, stable=True)), B)
case("method sort", lambda x: (lambda y: (y.sort(axis=0), y)[1])(x.copy()), M)
case(
    "searchsorted",
    lambda a, v: (np.searchsorted(a, v), np.searchsorted(a, v, side="right")),
    np.array([1, 2, 2, 2, 5, 9], "f4"),
    np.array([0, 1, 2, 3, 9, 10, np.nan], "f4"),
)
case(
    "searchsorted nan",
    lambda a, v: np.searchsorted(a, v),
    np.array([1, 2, np.nan, np.nan]),
    np.array([1.5, np.nan, np.inf]),
)
case(
    "searchsorted mixed",
    lambda a, v: np.searchsorted(a, v),
    np.arange(0, 200, 20),
    np.array([[0.5, 39.9], [40.0, 1e9]]),
)
case("searchsorted scalar", lambda a: np.searchsorted(a, 3.5), T)
case("digitize", lambda x: np.digitize(x, np.array([-1.0, 0.0, 0.5])), M)
case("digitize known falling", lambda x: np.digitize(x, np.array([0.5, 0.5, -1.0])), M)
for name, bins in {
    "rising": [-1, -1, 0, 0.5],
    "falling": [0.5, 0.5, 0, -1],
    "equal": [0.5, 0.5],
    "one": [0.5],
    "rising to NaN": [0, 0.5, np.nan],
    "falling to NaN": [0.5, np.nan],
}.items():
    case(f"digitize {name}", lambda x, b: np.digitize(x, b, right=True), M, np.array(bins))
case(
    "median",
    lambda x: (np.median(x), np.median(x, axis=0), np.median(x, axis=(0, 1), keepdims=True)),
    F,
)
case("median of nothing", lambda x: (np.median(x[:0], axis=1), np.median(x[:0], axis=0)), F)
case("median odd nan", lambda x: np.median(x, axis=1), NANS)
case("quantile", lambda x: (np.quantile(x, 0.3), np.percentile(x, [10, 90], axis=1)), S)
case("lexsort", lambda a, b: np.lexsort((a, b)), np.array([3, 1, 2, 1]), np.array([0, 1, 0, 1]))
case(
    "interp",
    lambda x: np.interp(x, np.array([-1.0, 0.0, 2.0]), np.array([5.0, 1.0, 3.0])),
    np.linspace(-2, 3, 21),
)
case(
    "interp ends",
    lambda x, p, q: np.interp(x, p, q, left=-7, right=9),
    np.array([-5.0, 0.5, np.nan, 50]),
    T,
    T**2,
)

# Contractions.
case("matmul", lambda a, b: (a @ b.T, np.matmul(a, b.T)), M, M)
case("matmul batch", lambda a, b: a @ b, F, RNG.standard_normal((5, 2)).astype("f4"))
case("matmul broadcast", lambda a, b: a @ b, RNG.random((2, 1, 3, 4)), RNG.random((5, 4, 2)))
case(
    "matmul vectors",
    lambda a, b, m: (a @ b, m @ a, a @ m.T, np.vecdot(m, a)),
    np.ones(5, "f4"),
    np.arange(5, dtype="f4"),
    M,
)
case("matmul ints", lambda a: a @ a.T, INTS)
case("matmul uint8 wraps", lambda a: a @ a.T, U)
case("matmul bool", lambda a: a @ a.T, B)
case("matmul float16", lambda a: a @ a.T, H)
case("matmul mixed", lambda a, b: a @ b, INTS, S[:4])
case("matmul empty", lambda a: a @ np.ones((5, 2), np.float32), E)
case("matmul inner 0", lambda a: a.T @ a, E)
case(
    "dot",
    lambda a, b, v: (np.dot(a, b.T), np.dot(v, v), np.dot(a, 2.0), a.dot(b.T), np.dot(v, 3)),
    M,
    M,
    V,
)
case("dot 3d", lambda a, b: np.dot(a, b), F, RNG.random((2, 5, 3)))
case("vdot", lambda a: np.vdot(a, a), M)
case("inner", lambda a, b: (np.inner(a, b), np.inner(a[0], b[0])), F, M)
case("outer", lambda a, b: (np.outer(a, b), np.add.outer(a, b)), V, W)
case(
    "tensordot",
    lambda a, b: (np.tensordot(a, b, axes=([1, 2], [0, 1])), np.tensordot(a, b.T, axes=1)),
    F,
    M,
)
case("kron", lambda a, b: (np.kron(a, b), np.kron(a[0], b)), M[:2, :3], M[:2, :2])
case("cross", lambda a, b: np.cross(a, b), S[:, :3], S[:, 2:])
case("trace", lambda a: (np.trace(a), np.trace(a, offset=1), a.trace()), S)
case(
    "norm",
    lambda a: (
        np.linalg.norm(a),
        np.linalg.norm(a, axis=1),
        np.linalg.norm(a, axis=0, keepdims=True),
    ),
    M,
)
case(
    "norm ord",
    lambda a: (
        np.linalg.norm(a, 1, axis=1),
        np.linalg.norm(a, np.inf, axis=0),
        np.linalg.norm(a, 3, axis=0),
        np.linalg.norm(a, 1),
        np.linalg.norm(a, np.inf),
    ),
    M,
)
case("multi_dot", lambda a, b: np.linalg.multi_dot([a, b, a]), M, M.T)
case("matrix_power", lambda a: np.linalg.matrix_power(a, 5), S)
for _text, _operands in {
    "ij,jk->ik": (M, M.T),
    "ij,ij": (M, M),
    "ij->ji": (M,),
    "ii->i": (S,),
    "ii": (S,),
    "ij->": (M,),
    "...j,j": (F, M[0]),
    "bij,bjk->bik": (F, F.transpose(0, 2, 1)),
    "i,j->ij": (V, W),
    "ijk,ilk->jl": (F, F),
    "i...->...": (F,),
    "...i,...i->...": (F, M),
    "ij,jk,kl->il": (M, M.T, M),
    "i,i,i": (V, V, V),
    "ab,bc": (M, M.T),
    "bhqd,bhkd->bhqk": (RNG.random((2, 2, 3, 4)), RNG.random((2, 2, 5, 4))),
    "ij, jk": (M, M.T),
}.items():
    _by_count: dict[int, Callable[..., Any]] = {
        1: lambda a, t=_text: np.einsum(t, a),
        2: lambda a, b, t=_text: np.einsum(t, a, b),
        3: lambda a, b, c, t=_text: np.einsum(t, a, b, c),
    }
    case(f"einsum {_text}", _by_count[len(_operands)], *_operands)
case(
    "convolve",
    lambda a, v: (
        np.convolve(a, v),
        np.convolve(a, v, "same"),
        np.convolve(a, v, "valid"),
        np.convolve(v, a),
    ),
    V,
    W,
)
case(
    "correlate",
    lambda a, v: (np.correlate(a, v), np.correlate(a, v, "full"), np.correlate(a, v, "same")),
    V,
    W,
)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", CASES)
def test_as_numpy(name: str) -> None:
    CASES.check(name)
