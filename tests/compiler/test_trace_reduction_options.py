"""Reductions, methods of ufuncs and of arrays under combinations of their options and dtypes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from tests.compiler.options_oracle import Entry, check_options

RNG = np.random.default_rng(43)
CUBE = RNG.integers(-4, 5, (2, 3, 4))
MASK = RNG.random((2, 3, 4)) < 0.6
DTYPES = (
    "bool",
    "int8",
    "uint8",
    "int16",
    "int32",
    "uint32",
    "int64",
    "uint64",
    "float32",
    "float64",
)
AXES: tuple[Any, ...] = (None, 0, -1, (0, 2), (1, 1), 3)
KEEP = (False, True)


def entries() -> Iterator[Entry]:
    for dtype in DTYPES:
        yield from _reductions(CUBE.astype(dtype))
    yield from _ufunc_methods()
    yield from _array_methods()
    yield from _python()


def _reductions(x: np.ndarray) -> Iterator[Entry]:
    for name in ("sum", "prod", "max", "min", "any", "all", "mean", "count_nonzero"):
        function = getattr(np, name)
        where = {} if name == "count_nonzero" else {"where": (MASK,)}
        start: Any = {"sum": 3, "prod": 2, "max": 1, "min": 1}.get(name)
        yield f"{name} {x.dtype}", function, (x,), {"axis": AXES, "keepdims": KEEP}
        if start is not None:
            yield f"{name} {x.dtype} initial", function, (x,), {
                "axis": (None, 1), "initial": (start,), "where": (True, MASK),
            }  # fmt: skip
        elif where:
            yield f"{name} {x.dtype} where", function, (x,), {"axis": (None, 1), **where}
        if name in ("sum", "prod", "mean"):
            yield f"{name} {x.dtype} dtype", function, (x,), {
                "axis": (None, 1), "dtype": (np.float32, np.int16, np.float64),
            }  # fmt: skip
    for name in ("argmax", "argmin"):
        yield f"{name} {x.dtype}", getattr(np, name), (x,), {
            "axis": (None, 0, -1, 5), "keepdims": KEEP,
        }  # fmt: skip
    for name in ("cumsum", "cumprod"):
        yield f"{name} {x.dtype}", getattr(np, name), (x,), {
            "axis": (None, 1, -1), "dtype": (None, np.float32, np.int16),
        }  # fmt: skip
    for name in ("sort", "argsort"):
        kind = {"kind": ("stable",)} if name == "argsort" else {}
        yield f"{name} {x.dtype}", getattr(np, name), (x,), {"axis": (None, 0, 1, -1, 4), **kind}


def _ufunc_methods() -> Iterator[Entry]:
    positive = np.abs(CUBE[0]) + 1
    for name in (
        *("add", "subtract", "multiply", "maximum", "minimum", "fmax", "fmin", "bitwise_and"),
        *("bitwise_or", "bitwise_xor", "logical_and", "logical_or", "true_divide", "hypot"),
        *("logaddexp", "floor_divide", "remainder", "power", "copysign"),
    ):
        ufunc = getattr(np, name)
        x = positive.astype(float) if name in ("copysign", "hypot") else positive
        if name == "logical_and":
            x = (x > 2).astype(int)
        yield f"{name}.reduce", ufunc.reduce, (x,), {"axis": (0, 1, -1, 2), "keepdims": KEEP}
        if name not in ("logical_and", "logical_or"):
            yield f"{name}.accumulate", ufunc.accumulate, (x,), {"axis": (0, 1, -1, 2)}
        yield f"{name}.outer", ufunc.outer, (x[0], x[:, 1]), {}
        yield f"{name}.reduceat", _reduced_at(ufunc), (x,), {
            "indices": ([0, 2], [1, 0, 2], [2, 2], [3]), "axis": (0, 1),
        }  # fmt: skip
    for name in ("add", "multiply", "maximum", "minimum", "subtract", "bitwise_or", "logical_or"):
        for dtype in ("int32", "uint8") if name != "logical_or" else ("bool",):
            yield f"{name}.at {dtype}", _updated(getattr(np, name)), (positive.astype(dtype),), {
                "index": (0, -1, [0, 0, 2], ([1, 1], [0, 0]), slice(0, 2)),
            }  # fmt: skip


def _reduced_at(ufunc: np.ufunc) -> Callable[..., Any]:
    return lambda a, indices, axis: ufunc.reduceat(a, indices, axis)


def _updated(ufunc: np.ufunc) -> Callable[..., Any]:
    def run(a: Any, *, index: Any) -> Any:
        made = a.copy()
        ufunc.at(made, index, 3)
        return made

    return run


def _array_methods() -> Iterator[Entry]:
    x = CUBE.astype(np.float32)

    def method(name: str) -> Callable[..., Any]:
        return lambda a, **options: getattr(a, name)(**options)

    for name in ("sum", "prod", "max", "min", "mean", "any", "all"):
        yield f".{name}", method(name), (x,), {"axis": (None, 1, (0, 2), 3), "keepdims": KEEP}
    for name in ("var", "std"):
        yield f".{name}", method(name), (x,), {"axis": (None, 1), "ddof": (0, 1), "keepdims": KEEP}
    for name in ("argmax", "argmin", "cumsum", "cumprod", "argsort"):
        yield f".{name}", method(name), (x + np.arange(4, dtype="f4") / 8,), {"axis": (0, 2, -1, 3)}
    yield ".flatten", method("flatten"), (x,), {"order": ("C", "F", "A")}
    yield ".ravel", method("ravel"), (x,), {"order": ("C", "F")}
    yield ".repeat", method("repeat"), (x,), {"repeats": (0, 2, [1, 2]), "axis": (None, 0, 1)}
    yield ".squeeze", method("squeeze"), (x[:1].copy(),), {"axis": (None, 0, 1)}
    yield ".diagonal", method("diagonal"), (x,), {"offset": (0, -1), "axis1": (0, 2), "axis2": (1,)}
    yield ".trace", method("trace"), (x,), {"offset": (0, 1)}
    yield ".clip", method("clip"), (x,), {"min": (None, -1), "max": (None, 2)}
    yield ".round", method("round"), (x / 8,), {"decimals": (0, 1, 2)}
    yield ".take", method("take"), (x,), {"indices": ([0, 1], -1, 9), "axis": (None, 0)}
    yield ".swapaxes", method("swapaxes"), (x,), {}
    yield ".astype", method("astype"), (x,), {"dtype": ("int8", "int64", "bool", "float64", "?")}
    yield ".compress", method("compress"), (x,), {"condition": ([0, 1], [True] * 3), "axis": (0, 1)}
    table: dict[str, Callable[[Any], Any]] = {
        "transpose": lambda a: (a.transpose(), a.transpose(2, 0, 1), a.transpose((1, 0, 2)), a.T),
        "transpose twice": lambda a: a.transpose(0, 0, 1),
        "reshape": lambda a: (a.reshape(4, -1), a.reshape((6, 4)), a.reshape(-1, order="F")),
        "swapaxes": lambda a: (a.swapaxes(0, 2), a.swapaxes(-1, 1)),
        "item": lambda a: (a.item(5), a.item(1, 2, 3), a.item((0, 1, 2)), a[0, 0, 0].item()),
        "item beyond": lambda a: a.item(24),
        "tolist": lambda a: (a[0, 0].tolist(), a[0, :2, :2].tolist(), a[0, 0, 0].tolist()),
        "fill": _filled,
        "sorted in place": _sorted_in_place,
        "view": lambda a: (a.view(np.int32), a.view(), a[0].view("uint32")),
        "sizes": lambda a: a.sum() + a.size + a.ndim + a.nbytes + a.itemsize + len(a) + a.shape[1],
        "real": lambda a: (a.real, a.imag, a.conj(), a.conjugate()),
        "dot": lambda a: (a[0].dot(a[1].T), a.dot(a[0, 0])),
        "nonzero of a mask": lambda a: a[a > 1].sum(),
    }
    for name, function in table.items():
        yield f"method {name}", function, (x,), {}


def _filled(a: Any) -> Any:
    made, part = a.copy(), a.copy()
    made.fill(2.5)
    part[0, 1:].fill(-1)
    return made, part


def _sorted_in_place(a: Any) -> Any:
    made, first = a.copy(), a.copy()
    made.sort()
    first.sort(axis=0)
    return made, first


def _python() -> Iterator[Entry]:
    x = np.array([3.7, -1.5, 2.5, 0.5, -0.5, 4.0])
    table: dict[str, Callable[[Any], Any]] = {
        "abs": lambda a: (abs(a), abs(a[0])),
        "round": lambda a: (round(a[0]), round(a[1], 1), round(a[2]), round(a[3], 0)),
        "pow": lambda a: (pow(a, 2), pow(2.0, a), pow(a[0], 3)),
        "three powers": lambda a: pow(a, 2, 3),
        "max": lambda a: (max(a[0], a[1]), max(a[:3]), max(a[0], 5.0), max(a[3], a[4], 1.0)),
        "min": lambda a: (min(a[0], a[1]), min(a[:3]), min(a[0], -5.0), min(a[3], a[4], 1.0)),
        "sum": lambda a: (sum(a), sum(a[:2], 5), sum([a[0], a[1]])),
        "sorted": lambda a: (sorted(a), sorted(a, reverse=True)),
        "len": lambda a: a + len(a),
        "zip": lambda a: [p * q for p, q in zip(a[:3], a[3:], strict=True)],
        "enumerate": lambda a: [k * v for k, v in enumerate(a)],
        "reversed": lambda a: list(reversed(a)),
        "divmod": lambda a: (divmod(a, 2), divmod(7, a), divmod(a[0], a[1])),
        "unpacking": _unpacked,
        "comparisons": lambda a: (a < 1, a >= 1, a == 2.5, a != a[::-1], a < 3, a >= -1.5),
        "signs": lambda a: (-a, +a, -a[0]),
        "bits": lambda a: (~(a > 0), (a > 0) & (a < 3), (a > 0) | (a < -1), (a > 0) ^ (a < 3)),
        "shifts of floats": lambda a: a << 1,
        "matrix product": lambda a: (a @ a, a.reshape(2, 3) @ a.reshape(3, 2)),
        "in place": _in_place,
        "membership": lambda a: np.array([2.5 in (1, 2.5), len(a) in (6,)]),
    }
    for name, function in table.items():
        yield f"python {name}", function, (x,), {}


def _unpacked(a: Any) -> Any:
    first, *others, last = a
    return first * last, others[0] - others[-1]


def _in_place(a: Any) -> Any:
    made = a.copy()
    made += 1
    made *= a
    made[::2] -= 2
    made[1] /= 4
    made[2:4] **= 2
    made //= 0.75
    made %= 5
    return made


ENTRIES = list(entries())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("entry", ENTRIES, ids=[entry[0] for entry in ENTRIES])
def test_as_numpy(entry: Entry) -> None:
    check_options(entry)
