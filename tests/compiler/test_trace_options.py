"""Functions of NumPy under every combination of their options, right ones and wrong ones.

Where NumPy has an answer, the trace has it too; where NumPy raises an error, so does the trace.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from tests.compiler.options_oracle import Entry, check_options

RNG = np.random.default_rng(41)
numpy: Any = np  # for calls that NumPy's annotations do not allow
VECTOR = np.array([3.0, -1.0, 4.0, 1.5, -5.0])
MATRIX = RNG.integers(-4, 5, (3, 4)).astype(np.float64)
CUBE = RNG.integers(-4, 5, (2, 3, 4)).astype(np.float64)
SQUARE = np.array([[4.0, 1, -2], [1, 3, 0.5], [-2, 0.5, 5]])
COUNTS = np.array([3, 0, 2, 2, 5, 0, 1])
AXES = (None, 0, 1, -1, -2, 2, -3)


def entries() -> Iterator[Entry]:
    yield from _linear_algebra()
    yield from _statistics()
    yield from _places()
    yield from _shapes()
    yield from _grids()
    yield from _polynomials()


def _linear_algebra() -> Iterator[Entry]:
    orders = (None, 1, -1, 3, np.inf, -np.inf, "fro", "odd")
    keep = (False, True)
    yield "norm v", np.linalg.norm, (VECTOR,), {"ord": (*orders, 2, -2, 0), "keepdims": keep}
    yield "norm m", np.linalg.norm, (MATRIX,), {"ord": orders, "axis": (None, (0, 1), (1, 0))}
    yield "norm r", np.linalg.norm, (MATRIX,), {"ord": (*orders, 2, 0), "axis": (0, -1, 2)}
    yield "norm c", np.linalg.norm, (CUBE,), {"ord": (None, 1), "axis": (None, 1, (0, 2), 3)}
    yield "norm k", np.linalg.norm, (CUBE,), {"axis": (0, (2, 0)), "keepdims": keep}
    yield "vector_norm", np.linalg.vector_norm, (CUBE,), {
        "ord": (0, 1, 2, 3, np.inf, -np.inf), "axis": (None, 0, -1, (0, 2)), "keepdims": keep,
    }  # fmt: skip
    yield "matrix_norm", np.linalg.matrix_norm, (CUBE,), {
        "ord": ("fro", 1, -1, np.inf, -np.inf), "keepdims": keep,
    }  # fmt: skip
    threes = (MATRIX[:, :3].copy(), MATRIX[:, 1:].copy())
    yield "cross", np.cross, threes, {"axis": (-1, 0, 1, 5)}
    yield "cross axes", np.cross, (CUBE[:, :, :3].copy(), CUBE[:, :, 1:].copy()), {
        "axisa": (-1, 1), "axisb": (-1, 2), "axisc": (-1, 0, 1),
    }  # fmt: skip
    yield "vecdot", np.vecdot, (CUBE, CUBE[::-1].copy()), {"axis": (-1, 0, 1, 7)}
    yield "trace", np.trace, (CUBE,), {
        "offset": (-2, 0, 1, 9), "axis1": (0, 1, -1), "axis2": (1, 2, -1),
    }  # fmt: skip
    yield "diagonal", np.diagonal, (CUBE,), {
        "offset": (-2, 0, 1, 9), "axis1": (0, 1, -1), "axis2": (1, 2, -1),
    }  # fmt: skip
    yield "matrix_power", np.linalg.matrix_power, (SQUARE,), {"n": (0, 1, 2, 3, 5, -1)}
    yield "vander", np.vander, (VECTOR,), {"N": (None, 0, 1, 3), "increasing": (False, True)}
    for rank in (np.linalg.det, np.linalg.slogdet, np.linalg.inv, np.linalg.cholesky):
        yield rank.__name__, rank, (SQUARE,), {}
        yield rank.__name__ + " m", rank, (MATRIX,), {}
        stacked = np.stack([SQUARE, SQUARE + np.eye(3), 2 * SQUARE.T])
        yield rank.__name__ + " s", rank, (stacked,), {}
    yield "solve", np.linalg.solve, (SQUARE, VECTOR[:3]), {}
    yield "solve m", np.linalg.solve, (SQUARE, MATRIX), {}
    yield "solve x", np.linalg.solve, (SQUARE, MATRIX.T.copy()), {}
    yield "kron", np.kron, (MATRIX, CUBE), {}
    for mode in ("full", "same", "valid", "odd"):
        for n in (1, 3, 5):
            yield f"convolve {mode} {n}", np.convolve, (VECTOR, VECTOR[:n] + 1), {"mode": (mode,)}
            yield f"correlate {mode} {n}", np.correlate, (VECTOR[:n] + 1, VECTOR), {"mode": (mode,)}


def _statistics() -> Iterator[Entry]:
    weights = np.array([1.0, 2.0, 0.5, 3.0])
    keep = (False, True)
    yield "average", np.average, (MATRIX,), {"axis": AXES, "keepdims": keep}
    for axis, given in (
        (1, weights),
        (-1, weights),
        (0, weights[:3]),
        (0, weights),
        (None, MATRIX),
    ):
        positive = np.abs(given) + 1
        yield f"weighted {axis} {len(given)}", np.average, (MATRIX,), {
            "axis": (axis,), "weights": (positive,), "returned": keep, "keepdims": keep,
        }  # fmt: skip
    yield "ptp", np.ptp, (CUBE,), {"axis": (*AXES, (0, 2)), "keepdims": keep}
    for function in (np.var, np.std):
        yield function.__name__, function, (CUBE,), {
            "axis": (None, 0, -1, (0, 1)), "ddof": (0, 1, 0.5), "keepdims": keep,
        }  # fmt: skip
    yield "cov", np.cov, (MATRIX,), {
        "rowvar": (True, False), "bias": (False, True), "ddof": (None, 0, 1, 2),
    }  # fmt: skip
    yield "cov two", np.cov, (MATRIX, MATRIX[::-1] + 1), {"rowvar": (True, False)}
    yield "corrcoef", np.corrcoef, (MATRIX,), {"rowvar": (True, False)}
    yield "trapezoid", np.trapezoid, (MATRIX,), {"dx": (1.0, 0.5), "axis": (0, 1, -1, 2)}
    yield "trapezoid x", np.trapezoid, (MATRIX,), {
        "x": (np.array([0.0, 1, 3, 4]), np.array([0.0, 2, 3])), "axis": (0, 1),
    }  # fmt: skip
    nan = CUBE.copy()
    nan[0, 1, 2] = nan[1, :, 0] = np.nan
    for name in ("nansum", "nanprod", "nanmax", "nanmin", "nanmean", "nanvar", "nanstd"):
        yield name, getattr(np, name), (nan,), {
            "axis": (None, 0, 1, -1, (0, 2)), "keepdims": keep,
        }  # fmt: skip
    for name in ("nanargmax", "nanargmin"):
        yield name, getattr(np, name), (nan,), {"axis": (None, 0, 2, -1), "keepdims": keep}
    for name in ("cumsum", "cumprod", "nancumsum", "nancumprod"):
        yield name, getattr(np, name), (nan,), {"axis": AXES, "dtype": (None, np.float32)}
    for name in ("cumulative_sum", "cumulative_prod"):
        yield name, getattr(np, name), (CUBE,), {
            "axis": (None, 0, -1, 5), "include_initial": (False, True),
        }  # fmt: skip
    yield "bincount", np.bincount, (COUNTS,), {
        "weights": (None, np.arange(7) / 2), "minlength": (6, 9),
    }  # fmt: skip
    yield "histogram", np.histogram, (VECTOR,), {
        "bins": (1, 4, [-5.0, 0.0, 1.5, 4.0], [2, 1]), "range": (None, (-2, 3), (1, 1)),
        "density": (None, True),
    }  # fmt: skip
    yield "histogram w", np.histogram, (VECTOR,), {
        "bins": (3,), "range": ((-5, 5),), "weights": (np.arange(5) / 4,), "density": (None, True),
    }  # fmt: skip
    ordered = np.array([0.0, 1, 1, 2.5, 7])
    for side in ("left", "right"):
        for name, bins in (("rises", ordered), ("falls", ordered[::-1].copy())):
            right = side == "right"
            yield f"digitize {name} {side}", np.digitize, (np.arange(-1.0, 8, 0.5),), {
                "bins": (bins,), "right": (right,),
            }  # fmt: skip
        yield (
            f"searchsorted {side}",
            np.searchsorted,
            (ordered, np.arange(-1.0, 8, 0.5)),
            {"side": (side,)},
        )


def _places() -> Iterator[Entry]:
    positions = ([0, -1, 1], [[1, 0], [-2, 1]], 0, -1, [5, -7], 3)
    yield "take", np.take, (CUBE,), {
        "indices": positions, "axis": (None, 0, 1, -1, 3), "mode": ("raise", "wrap", "clip"),
    }  # fmt: skip
    along = (np.array([[[0, 1, -1, 0]]]), np.zeros((1, 1, 1), int), np.array([[[2], [0]]]))
    yield "take_along_axis", np.take_along_axis, (CUBE,), {
        "indices": along, "axis": (0, 1, 2, -1, 3),
    }  # fmt: skip
    yield "compress", lambda a, **k: np.compress(a=a, **k), (CUBE,), {
        "condition": ([True, False], [0, 1, 1, 0], [True] * 9), "axis": (None, 0, -1),
    }  # fmt: skip
    yield "delete", np.delete, (MATRIX,), {
        "obj": (0, -1, [0, 2], slice(None, None, 2), 9, []), "axis": (None, 0, 1, 2),
    }  # fmt: skip
    yield "insert", np.insert, (MATRIX,), {
        "obj": (0, -1, 2, [0, 2], 9), "values": (7.0, -1), "axis": (None, 0, 1, 2),
    }  # fmt: skip
    shape = (3, 4)
    for order in ("C", "F"):
        yield f"unravel {order}", np.unravel_index, (np.array([0, 5, 11, 7]),), {
            "shape": (shape,), "order": (order,),
        }  # fmt: skip
        for mode in ("raise", "wrap", "clip"):
            yield f"ravel {order} {mode}", _raveled, (np.array([0, 2, 1]), np.array([3, 0, 2])), {
                "shape": (shape,), "mode": (mode,), "order": (order,),
            }  # fmt: skip
    yield "resize", np.resize, (MATRIX,), {"new_shape": ((2, 3), (5, 4), 7, (0,), (2, 2, 4))}
    yield "trim", lambda a, n: a[n : -n or None], (VECTOR,), {"n": (0, 1, 2, 5)}
    rows, columns = np.array([0, 2]), np.array([1, 3])
    writes: dict[str, Callable[[Any], None]] = {
        "a row": lambda a: a.__setitem__(1, 9.0),
        "the last column": lambda a: a.__setitem__((slice(None), -1), a[:, 0]),
        "steps": lambda a: a.__setitem__((slice(None, None, 2), slice(3, 0, -2)), 7.0),
        "points": lambda a: a.__setitem__((rows, columns), [5.0, 6.0]),
        "rows": lambda a: a.__setitem__(rows, a[::-2]),
        "a mask": lambda a: a.__setitem__(a > 0, -1.0),
        "broadcast": lambda a: a.__setitem__(slice(None), a[:, :1]),
        "too long": lambda a: a.__setitem__(slice(0, 1), a),
        "beyond": lambda a: a.__setitem__(3, 1.0),
        "too many": lambda a: a.__setitem__((0, 0, 0), 1.0),
    }
    for name, write in writes.items():
        yield f"writes {name}", _written, (MATRIX,), {"write": (write,)}


def _raveled(i: Any, j: Any, *, shape: Any, mode: Any, order: Any) -> Any:
    return np.ravel_multi_index((i, j), shape, mode, order)


def _written(a: Any, *, write: Callable[[Any], None]) -> Any:
    made = a.copy()
    write(made)
    return made


def _shapes() -> Iterator[Entry]:
    yield "squeeze", np.squeeze, (CUBE[:1, :, :1].copy(),), {"axis": (None, 0, 2, -1, (0, 2), 1, 4)}
    yield "reshape", np.reshape, (CUBE,), {
        "shape": (24, -1, (4, 6), (-1, 3), (2, -1, 2), (5, -1), (-1, -1), ()),
        "order": ("C", "F", "A"),
    }  # fmt: skip
    yield "ravel", np.ravel, (CUBE,), {"order": ("C", "F", "A", "K")}
    yield "broadcast_to", np.broadcast_to, (MATRIX,), {"shape": ((3, 4), (2, 3, 4), (4,), (3, 8))}
    yield "moveaxis", np.moveaxis, (CUBE,), {
        "source": (0, -1, (0, 1), (0, 0)), "destination": (2, (1, 2), (-1, 0), 5),
    }  # fmt: skip
    windows = np.lib.stride_tricks.sliding_window_view
    yield "windows", windows, (MATRIX,), {
        "window_shape": (2, 3, (2, 2), (1, 4), (4, 4)), "axis": (None, 0, 1, -1, (0, 1)),
    }  # fmt: skip
    pads = (1, (2, 0), ((0, 2), (3, 1)))
    yield "pad", np.pad, (MATRIX,), {
        "pad_width": pads, "mode": ("edge", "reflect", "symmetric", "wrap", "odd"),
    }  # fmt: skip
    yield "pad c", np.pad, (MATRIX,), {
        "pad_width": pads, "constant_values": (0, 5, (1, 2), ((1, 2), (3, 4))),
    }  # fmt: skip
    yield "pad r", np.pad, (MATRIX,), {
        "pad_width": pads, "mode": ("linear_ramp",), "end_values": (0, (1, -2)),
    }  # fmt: skip
    yield "pad s", np.pad, (MATRIX,), {
        "pad_width": pads, "mode": ("maximum", "minimum", "mean", "median"),
        "stat_length": (None, 1, 2, (1, 3), 9),
    }  # fmt: skip
    yield "pad i", np.pad, (MATRIX.astype(np.int16),), {
        "pad_width": pads, "mode": ("mean", "median", "linear_ramp"),
    }  # fmt: skip
    parts = (1, 2, 3, 5, 0, [1], [1, 2], [2, 1], [0, 9], [-1])
    yield "split", np.split, (MATRIX,), {"indices_or_sections": parts, "axis": (0, 1, -1, 2)}
    yield "array_split", np.array_split, (MATRIX,), {
        "indices_or_sections": parts, "axis": (0, 1, -1, 2),
    }  # fmt: skip
    for name in ("hsplit", "vsplit", "dsplit"):
        for which, array in (("v", VECTOR), ("m", MATRIX), ("c", CUBE)):
            yield (
                f"{name} {which}",
                getattr(np, name),
                (array,),
                {"indices_or_sections": (1, 2, [1])},
            )
    yield "unstack", np.unstack, (CUBE,), {"axis": (0, 1, -1, 3)}
    pair = (MATRIX, MATRIX[::-1] + 1)
    for name in ("stack", "concatenate"):
        yield name, _of_list(getattr(np, name)), pair, {"axis": AXES}
    for name in ("vstack", "hstack", "dstack", "column_stack"):
        for which, given in (("v", (VECTOR, VECTOR + 1)), ("m", pair), ("c", (CUBE, CUBE + 1))):
            yield f"{name} {which}", _of_list(getattr(np, name)), given, {}
    yield "append", np.append, pair, {"axis": (None, 0, 1, 2)}
    bits = np.array([[1, 0, 0, 1, 1], [0, 1, 1, 1, 0]], np.uint8)
    yield "packbits", np.packbits, (bits,), {
        "axis": (None, 0, 1, -1), "bitorder": ("big", "little"),
    }  # fmt: skip
    yield "unpackbits", np.unpackbits, (bits * 77,), {
        "axis": (None, 0, 1, -1, 2), "bitorder": ("big", "little"),
    }  # fmt: skip
    for name, array in (("v", VECTOR), ("m", MATRIX), ("c", CUBE)):
        for function in (np.atleast_1d, np.atleast_2d, np.atleast_3d, np.fliplr, np.flipud):
            yield f"{function.__name__} {name}", function, (array,), {}
        yield f"diag {name}", np.diag, (array,), {"k": (-1, 0, 2)}
        yield f"tril {name}", np.tril, (array,), {"k": (-2, 0, 1, 9)}
        yield f"triu {name}", np.triu, (array,), {"k": (-2, 0, 1, 9)}
        yield f"diagflat {name}", np.diagflat, (array,), {"k": (-1, 0, 2)}


def _of_list(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda a, b, **options: function([a, b], **options)


def _grids() -> Iterator[Entry]:
    ends = (np.array(2.0), np.array(-1.5))
    yield "linspace", np.linspace, ends, {
        "num": (0, 1, 2, 5), "endpoint": (True, False), "retstep": (False, True),
    }  # fmt: skip
    spread = (np.array([1.0, 2.0]), np.array([4.0, -3.0]))
    yield "linspace v", np.linspace, spread, {"num": (3,), "axis": (0, 1, -1)}
    yield "logspace", np.logspace, ends, {
        "num": (1, 4), "endpoint": (True, False), "base": (10.0, 2.0),
    }  # fmt: skip
    yield "geomspace", np.geomspace, (np.array(2.0), np.array(54.0)), {
        "num": (1, 4), "endpoint": (True, False),
    }  # fmt: skip
    yield "meshgrid", np.meshgrid, (VECTOR, VECTOR[:3] + 1), {
        "indexing": ("xy", "ij"), "sparse": (False, True),
    }  # fmt: skip


def _polynomials() -> Iterator[Entry]:
    short = VECTOR[:3].copy()
    for function in (np.polyadd, np.polysub, np.polymul):
        for name, pair in (("long", (VECTOR, short)), ("short", (short, VECTOR))):
            yield f"{function.__name__} {name}", function, pair, {}
    yield "polyval", np.polyval, (VECTOR, MATRIX), {}
    yield "polyder", np.polyder, (VECTOR,), {"m": (0, 1, 2, 5, 6, -1)}
    yield "polyint", np.polyint, (VECTOR,), {"m": (0, 1, 2, -1), "k": (None, 3.0)}
    yield "polyint k", np.polyint, (VECTOR,), {"m": (2,), "k": ([1.0, 2.0], [1.0, 2.0, 3.0])}
    yield "poly", np.poly, (short,), {}
    places = np.arange(4.0)
    yield "polyfit", np.polyfit, (places, MATRIX[0]), {"deg": (0, 1, 2, -1)}
    yield "polyfit m", np.polyfit, (places, MATRIX.T.copy()), {"deg": (1, 2)}


ENTRIES = list(entries())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("entry", ENTRIES, ids=[entry[0] for entry in ENTRIES])
def test_as_numpy(entry: Entry) -> None:
    check_options(entry)
