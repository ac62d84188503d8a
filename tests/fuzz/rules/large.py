"""What takes more elements than other rules have: tiles, packed operands, split reductions, long
rows. Each makes its own arguments."""

from __future__ import annotations

import numpy as np

from tests.fuzz.builder import Builder, Made, Rule

LARGEST = 400_000
"""The most elements of one array."""
_MOST_PRODUCTS = 3_000_000


def matrix_product(b: Builder) -> Made:
    rows, depth, columns = (int(b.one_of(1, 2, 5, 31, 64, 96, 130, 257, 600)) for _ in range(3))
    if rows * depth * columns > _MOST_PRODUCTS:
        return None
    dtype = b.one_of("float32", "float32", "float32", "float16", "int32", "float64")
    dtype = "float32" if dtype == "float64" and b.width != "all" else dtype
    x = b.array(dtype, (rows, depth))
    y = (
        f"{b.array(dtype, (columns, depth))}.T"
        if b.chance(0.4)
        else b.array(dtype, (depth, columns))
    )
    text = f"{x} @ {y}"
    if b.chance(0.3):
        text = f"np.maximum({text} + {b.array(dtype, (columns,))}, 0)"
    if b.chance(0.2):
        text = f"np.einsum('ik,kj->ji', {x}, {y})"
    return text, "large @"


def attention(b: Builder) -> Made:
    length, width = b.one_of(17, 64, 100), b.one_of(8, 32)
    q, k, v = (b.array("float32", (2, length, width)) for _ in range(3))
    return f"tw.softmax({q} @ {k}.swapaxes(1, 2) * 0.25, axis=-1) @ {v}", "attention"


def reduction(b: Builder) -> Made:
    shape = b.one_of((300_000,), (4, 70_000), (70_000, 4), (257, 1000), (1000, 257), (40, 50, 60))
    x = b.array(b.one_of("float32", "float32", "int32", "uint8", "float16"), shape)
    axis = b.one_of(None, *range(len(shape)))
    name = b.one_of("sum", "mean", "max", "min", "argmax", "argmin", "any", "prod")
    float32 = ", dtype=np.float32" if name in ("sum", "mean", "prod") else ""
    made = f"np.{name}({x}, axis={axis}{float32})"
    if "arg" in name and b.width == "none":
        made += ".astype(np.int32)"
    return made, f"large np.{name}"


def statistics(b: Builder) -> Made:
    shape = b.one_of((3, 5000), (2000, 7), (90, 90))
    x, axis = b.array("float32", shape), b.integer(0, 1)
    text = b.one_of(
        f"({x} - {x}.mean(axis={axis}, keepdims=True)) / ({x}.std(axis={axis}, keepdims=True) + 1)",
        f"tw.softmax({x}, axis={axis})",
        f"np.cumsum({x}, axis={axis})",
        f"np.maximum.accumulate({x}, axis={axis})",
        f"np.var({x}, axis={axis})",
    )
    return text, "large rows"


def sorting(b: Builder) -> Made:
    shape = b.one_of((300, 3), (3, 300), (5000,), (2, 2600))
    x, axis = b.array(b.dtype_of("iuf"), shape), b.integer(-1, len(shape) - 1)
    text = b.one_of(
        f"np.sort({x}, axis={axis})",
        f"np.argsort({x}, axis={axis}, kind='stable').astype(np.int32)",
        f"np.sort({x}, axis={axis})[::-1][:7]",
        f"np.median({x}, axis={axis})",
    )
    return text, "large sort"


def histogram(b: Builder) -> Made:
    count = b.one_of(3000, 20_000, 40_000)
    index = b.array("int32", (count,))
    bins = b.one_of(1, 7, 256)
    text = b.one_of(
        f"{{t}} = np.zeros({bins}, np.int32)\nnp.add.at({{t}}, {index} % {bins}, 1)",
        f"{{t}} = np.zeros({bins}, np.int32)\n{{t}}[{index} % {bins}] = {index}",
        f"{{t}} = np.bincount({index} % {bins}, minlength={bins}).astype(np.int32)",
    )
    return text, "histogram"


def picture(b: Builder) -> Made:
    """Resizing and filters, with positions between pixels."""
    rows, columns = b.one_of(37, 120, 200), b.one_of(41, 64, 301)
    x = b.array(b.one_of("float32", "uint8"), (rows, columns))
    high, wide = b.one_of(50, 240), b.one_of(33, 128)
    if b.chance(0.4):
        places = f"np.floor((y + 0.5) * {rows / high}), np.floor((x + 0.5) * {columns / wide})"
        read = (
            f"lambda i, j: tw.at({x}, (i.astype(np.int32), j.astype(np.int32)), boundary='clamp')"
        )
        return f"tw.compute(({high}, {wide}), lambda y, x: ({read})({places}))", "resize"
    taps = f"tw.at({x}, (y + i - 1, x + j - 1), boundary={b.one_of('reflect', 'clamp', 'wrap')!r})"
    kind = b.one_of("max", "min") if b.chance(0.4) else "sum"
    weight = f" * {b.array('float32', (3, 3))}[i, j]" if kind == "sum" else ""
    inner = f"tw.{kind}(lambda i, j: {taps}{weight}, (3, 3))"
    return f"tw.compute(({rows}, {columns}), lambda y, x: {inner})", "filter"


def with_literals(b: Builder) -> Made:
    """Arrays that are known when the kernel is compiled."""
    x = b.pick("f", least_rank=1)
    if x is None:
        return None
    size = b.values[x].shape[-1]
    if not 0 < size <= 64:
        return None
    numbers = np.round(b.rng.standard_normal(size), 2).tolist()
    known = f"np.array({numbers}, np.float32)"
    text = b.one_of(
        f"{x} * ({known} * 2 + 1)",
        f"{x} - np.sort({known})",
        f"{x}[..., np.argsort({known})]",
        f"{x} * np.hanning({size}).astype(np.float32)",
        f"{x} + np.cumsum({known})[::-1]",
    )
    return text, "literals"


def chain(b: Builder) -> Made:
    x = b.array("float32", b.one_of((300, 400), (100_003,), (3, 5, 7, 11, 13)))
    text = b.one_of(
        f"np.sqrt(np.abs({x})) * 0.5 + np.tanh({x})",
        f"np.where({x} > 0, {x}, np.exp({x}) - 1)",
        f"np.clip(np.nan_to_num({x}.T) * 255, 0, 255).astype(np.uint8)",
        f"({x}[::-1] - {x}) * {x}",
    )
    return text, "large map"


RULES: dict[Rule, int] = {
    matrix_product: 6, attention: 1, reduction: 6, statistics: 3, sorting: 3, histogram: 2,
    picture: 4, with_literals: 3, chain: 2,
}  # fmt: skip
