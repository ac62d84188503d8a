"""NumPy functions on traced arrays, interpreted, against NumPy: one line per case."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.compiler.trace_oracle import check

RNG = np.random.default_rng(3)
F = RNG.standard_normal((3, 4, 5)).astype(np.float32)
M = RNG.standard_normal((4, 5)).astype(np.float32)
S = RNG.standard_normal((5, 5))
V = RNG.standard_normal(6).astype(np.float32)
W = RNG.standard_normal(4).astype(np.float32)
INTS = RNG.integers(-50, 50, (3, 4)).astype(np.int32)
U = RNG.integers(0, 255, (4, 6)).astype(np.uint8)
B = RNG.integers(0, 2, (3, 4)).astype(bool)
H = RNG.standard_normal((8, 16)).astype(np.float16)
NANS = np.array([[1.0, np.nan, 3.0], [np.nan, np.nan, np.nan], [-2.0, 0.0, np.inf]], np.float32)
E = np.zeros((0, 5), np.float32)
P = np.array([2, 0, 1, 2, -1])
T = np.arange(10.0)

CASES: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {}


def case(name: str, function: Callable[..., Any], *args: Any) -> None:
    assert name not in CASES
    CASES[name] = (function, args)


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
case(
    "median",
    lambda x: (np.median(x), np.median(x, axis=0), np.median(x, axis=(0, 1), keepdims=True)),
    F,
)
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

# Elementwise.
case(
    "where",
    lambda x: (
        np.where(x > 0, x, 0),
        np.where(x > 0, 1.0, x),
        np.where(x > 0, 1, 2),
        np.where(x, 1.5, 2),
    ),
    M,
)
case("where broadcast", lambda x, y: np.where(x[:, :1] > 0, y, 0.0), M, S[0])
case("select", lambda x: np.select([x < -1, x < 0, x < 1], [x * 2, -1, x], default=9), M)
case(
    "clip", lambda x: (np.clip(x, -1, 1), x.clip(0), np.clip(x, None, 0.5), np.clip(x, min=-0.5)), M
)
case("clip ints", lambda x: (np.clip(x, 10, 200), np.clip(x, -5, 300)), U)
case("clip arrays", lambda x, low: np.clip(x, low, low + 1), M, M[:, :1])
case(
    "round",
    lambda x: (np.round(x), np.round(x, 2), x.round(1), np.round(x * 100, -1), np.rint(x)),
    M,
)
case("round half even", lambda x: (np.round(x), round(x[0])), np.array([0.5, 1.5, 2.5, -0.5]))
case(
    "nan_to_num", lambda x: (np.nan_to_num(x), np.nan_to_num(x, nan=-1, posinf=5, neginf=-5)), NANS
)
case(
    "nan in comparisons",
    lambda x: (x == x, x != x, x < 1, np.sign(x), np.maximum(x, 0), np.fmax(x, 0)),
    NANS,
)
case("sinc", lambda x: np.sinc(x), np.array([0.0, 0.5, 1.0, -2.5]))
case(
    "isclose",
    lambda x, y: (np.isclose(x, y), np.allclose(x, x), np.array_equal(x, y)),
    M,
    M * np.float32(1.000001),
)
case("isposinf", lambda x: (np.isposinf(x), np.isneginf(-x)), NANS)
case("heaviside", lambda x: np.heaviside(x, 0.5), NANS)
case(
    "weak scalars", lambda x: (x * 2, x + 1.5, 2 - x, x / 3, x // 2, x % 2, -x, +x, abs(x), x**2), U
)
case("weak bool", lambda x: (x * True, x + True), U)
case(
    "numpy scalars", lambda x: (x * np.float64(2), np.float32(3) * x, x + np.int8(1), np.pi * x), M
)
case(
    "mixed chains",
    lambda x: ((x - x.mean()) / x.std(), np.exp(x) / np.exp(x).sum(-1, keepdims=True)),
    M,
)

# Creation.
case(
    "zeros like",
    lambda x: (
        np.zeros_like(x),
        np.ones_like(x, dtype=int),
        np.full_like(x, 7.9, dtype=np.int16),
        np.empty_like(x).shape,
    ),
    M,
)
del CASES["zeros like"]
case(
    "likes",
    lambda x: (np.zeros_like(x), np.ones_like(x, dtype=int), np.full_like(x, 7.9, dtype=np.int16)),
    M,
)
case(
    "creation",
    lambda x: (
        np.zeros(3) + x[0, 0],
        np.ones((2, 2), np.int8),
        np.full((2,), 3),
        np.full(2, 2.5, np.float32),
        np.eye(3),
        np.eye(2, 4, 1),
        np.identity(2),
    ),
    M,
)
case(
    "large creation",
    lambda x: (np.zeros((100, 100)), np.ones(5000, "f4"), np.arange(10000)[::7], np.eye(80)),
    M,
)
case("full traced", lambda x: (np.full((2, 3), x[0, 1]), np.full_like(x, x[0, 0])), M)
case(
    "arange",
    lambda x: (
        np.arange(5) * x[0],
        np.arange(1, 10, 3),
        np.arange(0, 1, 0.25),
        np.arange(5, dtype=np.float32),
    ),
    M,
)
case(
    "linspace",
    lambda x: (
        np.linspace(0, 1, 5) * x[0],
        np.linspace(x[0, 0], x[0, 1], 7),
        np.linspace(0, 5, 3, endpoint=False),
    ),
    M,
)
case("logspace", lambda x: np.logspace(0, 2, 4) + x[0, 0], M)
case("indices", lambda x: (np.indices((2, 3)), np.indices((3,), sparse=True)[0] + x[0, 0]), M)
case(
    "meshgrid",
    lambda a, b: (*np.meshgrid(a, b), *np.meshgrid(a, b, indexing="ij", sparse=True)),
    V,
    W,
)
case("mgrid", lambda x: (np.mgrid[0:4, 0:5][0] * x, np.ogrid[0:4, 0:5][1] + x), M)
case(
    "array of traced",
    lambda x: (
        np.array([x[0, 0], x[1, 1], 2.0]),
        np.array([[x[0, 0], 1], [2, x[1, 0]]]),
        np.asarray([x[0], x[1]]),
    ),
    M,
)
case("array of numbers", lambda x: np.array([1, 2, 3]) * x[:3, 0], M)
case("tri", lambda x: (np.tri(4, 5) * x, np.tri(3, 3, 1, dtype=np.int8)), M)
case("fromfunction", lambda x: np.fromfunction(lambda i, j: i * 2 + j, (4, 5)) + x, M)
case("vander", lambda x: np.vander(x, 3), V)
case(
    "astype",
    lambda x: (
        x.astype(np.int32),
        x.astype("u1"),
        x.astype(bool),
        x.astype(np.float64),
        x.astype(float),
    ),
    M[M > 0].reshape(-1)[:4],
)
case("float to int", lambda x: x.astype(np.int32), np.array([1.9, -1.9, 0.0, 1e9]))
case("scalar types", lambda x: (np.float32(x), np.int64(x), np.float64(x[0, 0])), INTS)
case(
    "shape questions",
    lambda x: (
        x * x.shape[0],
        x * x.ndim,
        x * len(x),
        x + x.size,
        x * np.shape(x)[1],
        x * x.itemsize,
    ),
    M,
)
case(
    "dtype questions",
    lambda x: (
        x.astype(np.float64) if x.dtype == np.float32 and np.issubdtype(x.dtype, np.floating) else x
    ),
    M,
)
case("finfo", lambda x: x + np.finfo(x.dtype).eps, M)

# Manipulation.
case(
    "reshape",
    lambda x: (
        x.reshape(-1),
        x.reshape(4, 15),
        np.reshape(x, (2, -1)),
        x.reshape((3, 2, 2, 5)),
        x.reshape(3, 20, order="F"),
    ),
    F,
)
case(
    "reshape units",
    lambda x: (x.reshape(3, 1, 4, 5, 1), x[:1].reshape(4, 5), x.reshape(3, 4, 5)),
    F,
)
case("ravel", lambda x: (x.ravel(), np.ravel(x.T), x.flatten(), x.T.ravel(order="F")), F)
case(
    "transpose",
    lambda x: (
        x.T,
        x.transpose(1, 0, 2),
        np.transpose(x, (2, 0, 1)),
        x.transpose(),
        x.swapaxes(0, 2),
        x.mT,
    ),
    F,
)
case(
    "moveaxis",
    lambda x: (
        np.moveaxis(x, 0, -1),
        np.moveaxis(x, [0, 1], [-1, 0]),
        np.rollaxis(x, 2),
        np.rollaxis(x, 0, 3),
    ),
    F,
)
case(
    "expand squeeze",
    lambda x: (
        np.expand_dims(x, 0),
        np.expand_dims(x, (1, -1)),
        x[:, None],
        np.squeeze(x[:1]),
        x[:, :1].squeeze(1),
    ),
    F,
)
case(
    "broadcast", lambda x, v: (np.broadcast_to(v, (2, 6)), *np.broadcast_arrays(v, x[:, :1])), M, V
)
case(
    "atleast",
    lambda x: (
        np.atleast_1d(x[0, 0]),
        np.atleast_2d(x[0]),
        np.atleast_3d(x),
        *np.atleast_1d(x, x[0]),
    ),
    M,
)
case(
    "concatenate",
    lambda x, y: (
        np.concatenate([x, y]),
        np.concatenate((x, x, y), axis=0),
        np.concatenate([x, x], axis=1),
        np.concatenate([x, y], axis=None),
    ),
    M,
    M[:2],
)
case("concatenate dtypes", lambda x, y: np.concatenate([x, y]), np.arange(3), np.ones(2, "f4"))
case("concatenate empty", lambda x, y: np.concatenate([x[:0], y, x[:0]]), M, M)
case(
    "stack",
    lambda x: (
        np.stack([x, x * 2]),
        np.stack([x, x], axis=-1),
        np.stack((x[0], x[1], x[2]), axis=1),
    ),
    M,
)
case(
    "vstack",
    lambda x, v: (
        np.vstack([x, x]),
        np.hstack([x, x]),
        np.dstack([x, x]),
        np.vstack([v, v]),
        np.hstack([v, v]),
        np.column_stack([v, v]),
    ),
    M,
    V,
)
case(
    "block append",
    lambda x: (np.block([[x, x], [x, x]]), np.append(x, x, axis=0), np.append(x, 1.0)),
    M,
)
case(
    "split",
    lambda x: (
        *np.split(x, 2),
        *np.split(x, [1, 3], axis=1),
        *np.array_split(x, 3, axis=1),
        *np.hsplit(x, 5),
        *np.vsplit(x, 2),
    ),
    M,
)
case(
    "flip", lambda x: (np.flip(x), np.flip(x, 0), np.fliplr(x), np.flipud(x), np.flip(x, (0, 1))), M
)
case("rot90", lambda x: (np.rot90(x), np.rot90(x, 2), np.rot90(x, -1), np.rot90(x, 4)), M)
case(
    "roll",
    lambda x: (
        np.roll(x, 2),
        np.roll(x, -1, axis=0),
        np.roll(x, (1, 2), axis=(0, 1)),
        np.roll(x, 7, axis=1),
    ),
    M,
)
for _mode in ("constant", "edge", "reflect", "symmetric", "wrap"):
    case(
        f"pad {_mode}",
        lambda x, m=_mode: (
            np.pad(x, 1, mode=m),
            np.pad(x, ((2, 1), (0, 3)), mode=m),
            np.pad(x, (1, 2), mode=m),
        ),
        M,
    )
    case(f"pad {_mode} far", lambda x, m=_mode: np.pad(x, 9, mode=m), M)
case(
    "pad values",
    lambda x: (
        np.pad(x, 1, constant_values=5),
        np.pad(x, ((1, 2), (3, 4)), constant_values=((1, 2), (3, 4))),
    ),
    M,
)
case("pad empty", lambda x: np.pad(x, 1), E)
case("pad ints", lambda x: np.pad(x, 1, constant_values=7), U)
case(
    "tile repeat",
    lambda x: (
        np.tile(x, 2),
        np.tile(x, (2, 3)),
        np.tile(x, (2, 1, 1)),
        np.repeat(x, 3),
        np.repeat(x, 2, axis=0),
        np.repeat(x, [1, 0, 2, 1], axis=0),
    ),
    M,
)
case("tril triu", lambda x: (np.tril(x), np.triu(x), np.tril(x, 1), np.triu(x, -1)), F)
case(
    "diagonals",
    lambda x: (
        np.diagonal(x),
        np.diagonal(x, 1),
        np.diag(x),
        np.diag(x, -1),
        np.diag(x[0]),
        np.diag(x[0], 2),
        np.diag(x[0], -1),
    ),
    M,
)
case("diagonal 3d", lambda x: (np.diagonal(x, axis1=1, axis2=2), np.diagonal(x, 1, 0, 2)), F)
case(
    "diff gradient",
    lambda x: (
        np.diff(x),
        np.diff(x, 2, axis=0),
        np.gradient(x[0]),
        *np.gradient(x),
        np.diff(x, prepend=0.0),
    ),
    M,
)
case("windows", lambda x: np.lib.stride_tricks.sliding_window_view(x, (2, 3)).sum((2, 3)), M)
case(
    "insert delete",
    lambda x: (np.delete(x, 1, axis=0), np.insert(x, 1, 9.0, axis=1), np.delete(x, [0, 2], axis=1)),
    M,
)
case(
    "unravel",
    lambda i: (*np.unravel_index(i, (3, 4)), np.ravel_multi_index((i % 3, i % 4), (3, 4))),
    np.arange(12),
)

case("isin", lambda x: (np.isin(x, [1, 5, -3]), np.isin(x, x[0], invert=True)), INTS)
case(
    "polyval piecewise",
    lambda x: (
        np.polyval([1.0, -2.0, 3.0], x),
        np.piecewise(x, [x < 0, x > 1], [lambda v: -v, lambda v: v * 2, 5]),
    ),
    S,
)
case("ix_", lambda x, i: x[np.ix_(i[:2], i[2:] % 3)], M, np.array([0, 3, 1, 2]))
case(
    "indices from",
    lambda x: (
        x[np.tril_indices_from(x)],
        x[np.triu_indices_from(x, 1)],
        x[np.diag_indices_from(x)],
    ),
    S,
)
case("geomspace corrcoef", lambda x: (np.geomspace(abs(x[0, 0]), 10.0, 5), np.corrcoef(x)), S)
case("sum of bools as bools", lambda x: (np.sum(x, axis=0, dtype=bool), np.prod(x, dtype=bool)), B)

# Gathering.
case(
    "take",
    lambda x, i: (
        np.take(x, i),
        np.take(x, i, axis=0),
        np.take(x, 2, axis=1),
        x.take(i, axis=1, mode="wrap"),
        np.take(x, i + 9, axis=0, mode="clip"),
    ),
    M,
    P,
)
case(
    "take_along_axis",
    lambda x: (
        np.take_along_axis(x, np.argsort(x, axis=1), axis=1),
        np.take_along_axis(x, np.argmax(x, axis=0)[None], axis=0),
    ),
    M,
)
case("choose", lambda i, x: np.choose(i, [x, x * 2, x * 3], mode="clip"), np.array([0, 1, 2, 5]), W)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", CASES)
def test_as_numpy(name: str) -> None:
    function, args = CASES[name]
    loose = {"cov": 1e-13, "geomspace corrcoef": 1e-12, "matrix_power": 1e-12, "var stable": 1e-5}
    float16 = any(getattr(a, "dtype", None) == np.float16 for a in args)
    check(
        function,
        *args,
        tolerance=4e-3
        if float16
        else loose.get(
            name, 5e-6 if any(getattr(a, "dtype", None) == np.float32 for a in args) else None
        ),
    )
