"""Python and NumPy idioms, dtypes and special values."""

# Written as users write it, hence:
from __future__ import annotations

from collections import namedtuple

import numpy as np

from tests.corpus.cases import RNG, below, case, doubles, floats


@case(np.array([1.0, np.nan, 3, np.nan, 5, 6]), gpu=True)
def ffill(arr):
    mask = np.isnan(arr)
    idx = np.where(~mask, np.arange(mask.shape[0]), 0)
    np.maximum.accumulate(idx, out=idx)
    return arr[idx]


@case(np.array([1.0, np.nan, 3, np.nan, 5, 6]), gpu=True)
def nan_impute(x):
    x = x.copy()
    m = np.isnan(x)
    x[m] = np.nanmean(x)
    return x, np.nan_to_num(x), np.nansum(x)


@case(doubles(30))
def zscore_outliers(x):
    z = (x - x.mean()) / x.std(ddof=1)
    q1, q3 = np.percentile(x, [25, 75])
    return (
        z,
        (x < q1 - 1.5 * (q3 - q1)) | (x > q3 + 1.5 * (q3 - q1)),
        np.median(np.abs(x - np.median(x))),
    )


@case(doubles(30), doubles(30))
def spearman(a, b):
    ra = np.argsort(np.argsort(a)).astype(float)
    rb = np.argsort(np.argsort(b)).astype(float)
    return np.corrcoef(ra, rb)[0, 1]


@case(doubles(30))
def hist_density(x):
    h, e = np.histogram(x, bins=8, range=(-3, 3), density=True)
    return h, e


@case(doubles(10))
def poly_features(x):
    return np.vander(x, 4), np.column_stack([x**i for i in range(4)])


@case(below(100, 10), gpu=True)
def bit_tricks(x):
    x = x.astype(np.uint32)
    x = x - ((x >> 1) & 0x55555555)
    x = (x & 0x33333333) + ((x >> 2) & 0x33333333)
    return (((x + (x >> 4)) & 0x0F0F0F0F) * 0x01010101) >> 24


@case(RNG.integers(0, 2**32, 10, dtype=np.uint32), gpu=True)
def xorshift(s):
    s = s ^ (s << np.uint32(13))
    s = s ^ (s >> np.uint32(17))
    s ^= s << np.uint32(5)
    return s, (s / np.float64(2**32)).astype(np.float32)


@case(np.arange(-10, 10), 3)
def intdiv(a, n):
    return a // n, a % n, divmod(a, n)[0], np.fmod(a, n), -a // n, a / n, a >> 1


@case(np.array([-128, 127, 100], np.int8), gpu=True)
def int8_wrap(a):
    return a + np.int8(100), -a, abs(a), a * a, a // np.int8(-1), np.abs(a)


@case(np.array([0, 1, 255], np.uint8), gpu=True)
def uint8_wrap(a):
    return a - 1, a + a, ~a, a << 1, 255 - a


@case(np.array([1.0, -1, 0, np.nan, np.inf, -0.0]))
def nan_semantics(x):
    return (
        np.maximum(x, 0),
        np.minimum(x, 0),
        x.max(),
        np.fmax(x, 0),
        np.sign(x),
        np.argmax(x),
        np.sort(x),
        x == x,
        np.round(x),
        x // 1,
        x % 1,
        1 / x,
        np.copysign(1, x),
        np.clip(x, -0.5, 0.5),
        -x,
        x * 0,
    )


@case(np.array([0.5, 1.5, 2.5, -0.5, -2.5, 2.675]))
def rounding(x):
    return (
        np.round(x),
        np.around(x, 2),
        np.rint(x),
        np.floor(x),
        np.ceil(x),
        np.trunc(x),
        np.fix(x),
        x.astype(int),
        x.round(1),
    )


@case(floats(3, 4), floats(4, 5), floats(5), gpu=True)
def einsums(a, b, c):
    return (
        np.einsum("ij,jk,k->i", a, b, c),
        np.einsum("ij->ji", a),
        np.einsum("ij->", a),
        np.einsum("...j,jk->...k", a, b),
    )


@case(floats(2, 6, 4), gpu=True)
def einops_like(x):
    b, n, d = x.shape
    y = x.reshape(b, 2, n // 2, d).swapaxes(1, 2).reshape(b, -1, d)
    return np.moveaxis(y, 1, -1), x.transpose(0, 2, 1).reshape(b * d, n), np.rollaxis(x, 2)


Point = namedtuple("Point", "x y")


@case(Point(doubles(5), doubles(5)))
def nt_args(p):
    return Point(p.x + p.y, p._replace(x=p.y).x * 2)


@case((doubles(5), doubles(4)))
def tuple_args(pair):
    a, b = pair
    return np.outer(a, b), len(pair)


@case([doubles(5), doubles(5), doubles(5)])
def list_args(arrs):
    return np.stack(arrs).mean(0), sum(arrs), np.concatenate(arrs), len(arrs), np.array(arrs).shape


@case(
    {"a": doubles(5), "scale": 2.0, "n": 3, "mode": "sum", "deep": {"w": [doubles(2), doubles(3)]}}
)
def dict_args(cfg):
    out = {k: v * cfg["scale"] for k, v in cfg.items() if isinstance(v, np.ndarray)}
    if cfg["mode"] == "sum":
        out["s"] = cfg["a"].sum()
    out["w"] = [w + cfg["n"] for w in cfg["deep"]["w"]]
    out["z"] = np.zeros(cfg["n"])
    return out


@case(doubles(3, 3))
def returns_str(x):
    return {"x": x, "name": "foo", "flag": True, "n": 3, "dtype": x.shape}


@case(doubles(5))
def try_except(x):
    try:
        y = x.reshape(2, 3)
    except ValueError:
        y = x
    return y


@case(doubles(4, 4))
def while_python(x):
    i = 0
    while i < 3:
        x = x @ x.T / 4
        i += 1
    return x


@case(doubles(4, 4))
def nested_funcs(x):
    acc = []

    def helper(v, *rest, scale=1.0, **kw):
        acc.append(v * scale)
        return v

    helper(x, 1, 2, scale=3.0, foo=1)
    helper(x.T)
    return np.sum(acc, axis=0)


@case(doubles(4, 4), doubles(4))
def broadcasting_fn(x, y):
    a, b = np.broadcast_arrays(x, y[:, None])
    return a + b, np.broadcast_to(y, (2, 4)), np.broadcast_shapes(x.shape, y.shape)


@case(doubles(6))
def item_float(x):
    return float(x.sum()), int(x.argmax()), x.max().item()


@case(doubles(6))
def ufunc_at_reduce(x):
    return (
        np.add.reduce(x),
        np.multiply.accumulate(x),
        np.subtract.outer(x, x),
        np.logical_and.reduce(x > 0),
    )


@case(doubles(6))
def piecewise_use(x):
    return np.piecewise(x, [x < 0, x >= 0], [-1, 1]), np.piecewise(
        x, [x < 0, x >= 0], [lambda v: -v, lambda v: v]
    )


@case(doubles(6, 6))
def mask_2d_axis(x):
    x = x.copy()
    x[:, x[0] > 0] = 0
    x[x[:, 1] < 0, :2] = -1
    return x


@case(doubles(3, 4))
def inplace_many(x):
    y = x.copy()
    y += 1
    y -= x.mean(0)
    y *= 2
    y /= 3
    y **= 2
    y //= 0.1
    y %= 3
    np.add(y, 1, out=y)
    np.clip(y, 0, 2, out=y)
    y[0] += 5
    y[:, 1] *= -1
    y[..., -1] -= y[..., 0]
    return y


@case(doubles(5))
def delete_insert(x):
    return np.delete(x, 2), np.insert(x, 1, 9.0), np.append(x, [1, 2])
