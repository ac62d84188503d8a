"""Reductions, running reductions, sorts and searches."""

from __future__ import annotations

from typing import Any

from tests.fuzz.builder import Builder, Made, Rule

_OF_FLOATS = ("var", "std", "nanmax", "nanmin", "nansum", "nanmean", "nanargmax", "median")


def reduce(b: Builder) -> Made:
    x = b.pick()
    if x is None:
        return None
    value = b.values[x]
    kind = value.dtype.kind
    names = ["sum", "prod", "max", "min", "any", "all", "argmax", "argmin", "mean", "sum"]
    names += ["count_nonzero", *(["ptp"] if kind != "b" else []), *(_OF_FLOATS * (kind == "f"))]
    name = b.one_of(*names)
    axis: Any = b.axis(x) if value.ndim and b.chance(0.75) else None
    if axis is not None and value.ndim > 2 and b.chance(0.3) and "arg" not in name:
        axis = tuple(int(a) for a in b.rng.choice(value.ndim, 2, replace=False))
    more = ", keepdims=True" if b.chance(0.4) else ""
    if b.width == "none" and kind in "biu":
        if name in ("sum", "prod"):
            more += b.one_of(", dtype=np.int32", ", dtype=np.uint32", ", dtype=np.float32")
        if name == "mean":
            more += ", dtype=np.float32"
    if name in ("sum", "prod", "max", "min") and b.chance(0.2):
        more += b.one_of(", initial=2", f", initial=1, where={x} > 1")
    if name in ("var", "std") and b.chance(0.3):
        more += ", ddof=1"
    return f"np.{name}({x}, axis={axis}{more})", f"np.{name}"


def of_ufunc(b: Builder) -> Made:
    x = b.pick("iuf", least_rank=1)
    if x is None:
        return None
    ufunc = b.one_of("add", "multiply", "maximum", "minimum", "logical_and", "logical_or", "fmax")
    form = b.one_of("reduce", "accumulate", "accumulate")
    more = ", dtype=np.int32" if b.width == "none" and b.values[x].dtype.kind in "iu" else ""
    more = more if ufunc in ("add", "multiply") else ""
    return f"np.{ufunc}.{form}({x}, axis={b.axis(x)}{more})", f"np.{ufunc}.{form}"


def running(b: Builder) -> Made:
    x = b.pick("iuf", least_rank=1)
    if x is None:
        return None
    name = b.one_of("cumsum", "cumsum", "cumprod", "diff")
    more = ", dtype=np.int32" if b.width == "none" and b.values[x].dtype.kind in "iu" else ""
    more = "" if name == "diff" else more
    return f"np.{name}({x}, axis={b.axis(x)}{more})", f"np.{name}"


def order(b: Builder) -> Made:
    x = b.pick("iuf", least_rank=1)
    if x is None:
        return None
    name, axis = b.one_of("sort", "argsort", "sort"), b.axis(x)
    text = f"np.{name}({x}, axis={axis}, kind='stable')"
    if name == "argsort" and b.width == "none":
        text += ".astype(np.int32)"
    if b.chance(0.3) and axis in (0, -b.values[x].ndim):
        return f"{text}[::-1][:{b.integer(1, 5)}]", f"top of np.{name}"
    return text, f"np.{name}"


def search(b: Builder) -> Made:
    x = b.pick("f")
    if x is None:
        return None
    dtype = b.values[x].dtype.name
    knots = b.array(dtype, (b.one_of(1, 2, 7, 16),))
    form = b.integer(0, 3)
    if form == 0:
        values = b.array(dtype, b.values[knots].shape)
        return f"np.interp({x}, np.sort({knots}), {values})", "np.interp"
    side = b.one_of("left", "right")
    narrow = ".astype(np.int32)" if b.width == "none" else ""
    if form == 1:
        return f"np.digitize({x}, np.sort({knots})){narrow}", "np.digitize"
    text = f"np.searchsorted(np.sort({knots}), {x}, side={side!r}){narrow}"
    return text, "np.searchsorted"


def normalise(b: Builder) -> Made:
    x = b.pick("f", least_rank=1)
    if x is None:
        return None
    axis = b.axis(x)
    text, op = b.one_of(
        (f"tw.softmax({x}, axis={axis})", "tw.softmax"),
        (f"tw.log_softmax({x}, axis={axis})", "tw.log_softmax"),
        (f"tw.logsumexp({x}, axis={axis})", "tw.logsumexp"),
        (f"{x} - {x}.mean(axis={axis}, keepdims=True)", "centre"),
        (f"{x} / np.sqrt(({x} * {x}).sum(axis={axis}, keepdims=True) + 1)", "unit vectors"),
        (f"np.linalg.norm({x}, axis={axis})", "np.linalg.norm"),
    )
    return text, op


RULES: dict[Rule, int] = {reduce: 13, of_ufunc: 2, running: 3, order: 3, search: 2, normalise: 4}
