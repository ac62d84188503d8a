"""Random kernels: a seed in, a `FuzzProgram` out.

Types and shapes come from running each statement on NumPy as it is made: what NumPy refuses is
not kept, so everything that is kept must compile.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import tilewright as tw
from tests.fuzz.program import FuzzProgram, Statement
from tests.fuzz.values import (
    DTYPES,
    FLOATS,
    INTEGERS,
    LARGEST,
    NARROW,
    random_array,
    random_shape,
)

Rule = Callable[["Builder"], "tuple[str, str] | None"]


class Builder:
    """Statements so far and their values; the rules below add one expression each."""

    def __init__(self, seed: int, narrow: bool) -> None:
        self.seed = seed
        self.rng = np.random.default_rng(seed)
        self.dtypes = NARROW if narrow else DTYPES
        self.narrow = narrow
        self.arguments: dict[str, np.ndarray] = {}
        self.values: dict[str, Any] = {}
        self.statements: list[Statement] = []

    # Choices.

    def one_of(self, *choices: Any) -> Any:
        return choices[int(self.rng.integers(len(choices)))]

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def pick(self, kinds: str = "biuf", least_rank: int = 0) -> str | None:
        """A name of these kinds of dtype; recent ones are likelier."""
        names = [
            n
            for n, v in self.values.items()
            if v.dtype.kind in kinds and v.ndim >= least_rank and not (self.narrow and _wide(v))
        ]
        if not names or self.chance(0.15):
            return self.argument(kinds, least_rank) if len(self.arguments) < 5 else None
        return str(names[-1 - min(int(self.rng.geometric(0.5)) - 1, len(names) - 1)])

    def argument(self, kinds: str, least_rank: int = 0, shape: Any = None) -> str:
        fitting = [d for d in self.dtypes if np.dtype(d).kind in kinds]
        if shape is None:
            shape = random_shape(self.rng)
            while len(shape) < least_rank:
                shape = random_shape(self.rng, least_rank)
        return self.add_argument(random_array(self.rng, self.one_of(*fitting), shape))

    def add_argument(self, array: np.ndarray) -> str:
        name = f"a{len(self.arguments)}"
        self.arguments[name] = self.values[name] = array
        return name

    def partner(self, name: str, kinds: str) -> str:
        """A value that broadcasts with `name`; of its dtype most of the time."""
        like = self.values[name]
        fitting = [
            n
            for n, v in self.values.items()
            if v.dtype.kind in kinds
            and _broadcasts(v.shape, like.shape)
            and (v.dtype == like.dtype or self.chance(0.3))
        ]
        if fitting and (self.chance(0.7) or len(self.arguments) >= 6):
            return str(self.one_of(*fitting))
        shape = tuple(n if self.chance(0.75) else 1 for n in like.shape)
        shape = shape[int(self.rng.integers(len(shape) + 1)) if self.chance(0.3) else 0 :]
        same = like.dtype.name
        options = [d for d in self.dtypes if np.dtype(d).kind in kinds]
        dtype = same if same in options and self.chance(0.75) else self.one_of(*options)
        return self.add_argument(random_array(self.rng, dtype, shape))

    def axis(self, name: str) -> int:
        return int(self.rng.integers(-self.values[name].ndim, self.values[name].ndim))

    # Growth.

    def grow(self, rules: list[Rule], weights: np.ndarray) -> None:
        made = rules[int(self.rng.choice(len(rules), p=weights))](self)
        if made is None:
            return
        text, op = made
        target = f"v{len(self.statements)}"
        text = text.replace("{t}", target) if "{t}" in text else f"{target} = {text}"
        scope: dict[str, Any] = {"np": np, "tw": tw, **self.values}
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                exec(text, scope)
        except (ValueError, TypeError, IndexError, OverflowError, ZeroDivisionError):
            return
        except tw.TilewrightError:
            return
        value = scope[target]
        if not isinstance(value, (np.ndarray, np.generic)) or value.dtype.name not in DTYPES:
            return
        if value.size > LARGEST or value.ndim > 5:
            return
        self.values[target] = np.asarray(value)
        self.statements.append(Statement(target, text, op))


def _wide(value: np.ndarray) -> bool:
    return value.dtype.itemsize == 8


def _broadcasts(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    try:
        return len(np.broadcast_shapes(one, other)) <= 4
    except ValueError:
        return False


# Elementwise.


def unary(b: Builder) -> tuple[str, str] | None:
    x = b.pick("iuf")
    if x is None:
        return None
    names = ["np.negative", "np.abs", "np.sign", "np.square", "np.positive"]
    if b.values[x].dtype.kind == "f":
        names += ["np.floor", "np.ceil", "np.trunc", "np.rint", "np.isnan", "np.isfinite"]
        names += ["np.isinf", "np.signbit", "np.reciprocal", "np.sqrt"]
    else:
        names += ["np.invert", "np.bitwise_count"]
    name = b.one_of(*names)
    return f"{name}({x})", name


_FUNCTIONS = [
    *("np.exp", "np.exp2", "np.expm1", "np.log", "np.log2", "np.log10", "np.log1p", "np.sin"),
    *("np.cos", "np.tan", "np.tanh", "np.sinh", "np.cosh", "np.arctan", "np.arcsin", "np.arccos"),
    *("np.cbrt", "tw.sigmoid", "tw.erf", "tw.erfc", "tw.rsqrt", "tw.relu"),
]
_ARITHMETIC = ("+", "+", "-", "-", "*", "*", "/", "//", "//", "%", "%")


def function(b: Builder) -> tuple[str, str] | None:
    x = b.pick("f")
    name = b.one_of(*_FUNCTIONS)
    return (f"{name}({x})", name) if x else None


def binary(b: Builder) -> tuple[str, str] | None:
    x = b.pick("iuf")
    if x is None:
        return None
    y = b.partner(x, "iuf")
    if b.chance(0.4):
        x, y = y, x
    op = b.one_of(*_ARITHMETIC, "np.minimum", "np.maximum", "<", "==", ">=")
    if op.startswith("np."):
        return f"{op}({x}, {y})", op
    return f"{x} {op} {y}", op


def float_binary(b: Builder) -> tuple[str, str] | None:
    x = b.pick("f")
    if x is None:
        return None
    op = b.one_of("fmin", "fmax", "power", "arctan2", "hypot", "copysign", "fmod", "float_power")
    op = "np.power" if op == "float_power" else f"np.{op}"
    return f"{op}({x}, {b.partner(x, 'f')})", op


def bits(b: Builder) -> tuple[str, str] | None:
    x = b.pick("iu" if b.chance(0.7) else "b")
    if x is None:
        return None
    kind = b.values[x].dtype.kind
    if kind == "b":
        op = b.one_of("&", "|", "^", "!=")
        return f"{x} {op} {b.partner(x, 'b')}", op
    op = b.one_of("&", "|", "^", "<<", ">>", "<<", ">>")
    return f"{x} {op} {b.partner(x, kind)}", op


def with_scalar(b: Builder) -> tuple[str, str] | None:
    x = b.pick("iuf")
    if x is None:
        return None
    op = b.one_of("+", "-", "*", "//", "%", "**", ">", "<=")
    number = b.one_of(0, 1, 2, 3, 7, -1, -2, 0.5, 2.5)
    if b.values[x].dtype.kind in "iu" and op == "**":
        number = b.one_of(0, 1, 2, 3)
    if b.chance(0.3) and op != "**":
        return f"{number} {op} {x}", f"scalar {op}"
    return f"{x} {op} {number}", f"scalar {op}"


def cast(b: Builder) -> tuple[str, str] | None:
    x = b.pick()
    if x is None:
        return None
    dtype = b.one_of(*b.dtypes)
    if b.values[x].dtype.kind == "f" and dtype in INTEGERS:
        info = np.iinfo(dtype)
        low, high = max(info.min, -30000), min(info.max, 30000)
        return f"np.clip(np.nan_to_num({x}), {low}, {high}).astype(np.{dtype})", "clip cast"
    name = "bool_" if dtype == "bool" else dtype
    return f"{x}.astype(np.{name})", f"cast {b.values[x].dtype} {dtype}"


def select(b: Builder) -> tuple[str, str] | None:
    x = b.pick("iuf")
    if x is None:
        return None
    y = b.partner(x, "iuf")
    condition = b.one_of(f"{x} > {y}", f"{x} != {x}", f"{b.partner(x, 'b')}", f"{y} == 0")
    return f"np.where({condition}, {x}, {y})", "where"


def clip(b: Builder) -> tuple[str, str] | None:
    x = b.pick("iuf")
    if x is None:
        return None
    low = int(b.rng.integers(0, 5))
    return f"np.clip({x}, {low}, {low + int(b.rng.integers(0, 9))})", "np.clip"


# Moves.


def _random_slice(b: Builder, size: int) -> str:
    step = b.one_of(1, 1, 2, 3, -1, -1, -2)
    start = b.one_of("", int(b.rng.integers(-size - 1, size + 2)))
    stop = b.one_of("", "", int(b.rng.integers(-size - 1, size + 2)))
    return f"{start}:{stop}:{step}"


def view(b: Builder) -> tuple[str, str] | None:
    x = b.pick(least_rank=1)
    if x is None:
        return None
    parts = []
    for size in b.values[x].shape:
        kind = b.rng.integers(8)
        if kind == 0 and size:
            parts.append(str(int(b.rng.integers(-size, size))))
        elif kind == 1:
            parts.append("None")
            parts.append(":")
        else:
            parts.append(_random_slice(b, size))
    return f"{x}[{', '.join(parts)}]", "slice"


def rearrange(b: Builder) -> tuple[str, str] | None:
    x = b.pick(least_rank=1)
    if x is None:
        return None
    rank, size = b.values[x].ndim, b.values[x].size
    axis = b.axis(x)
    order = tuple(int(a) for a in b.rng.permutation(rank))
    halves = f"{x}.reshape(2, {size // 2})" if size % 2 == 0 else f"{x}.reshape(-1, 1)"
    text = b.one_of(
        f"{x}.transpose({order})",
        f"{x}.T",
        f"np.flip({x}, {axis})",
        f"np.roll({x}, {int(b.rng.integers(-9, 10))}, {axis})",
        halves,
        f"{x}.ravel()",
        f"np.repeat({x}, 2, {axis})",
        f"np.expand_dims({x}, {axis})",
        f"np.tile({x}, 2)",
        f"np.concatenate([{x}, {x}[::-1]], {axis})",
        f"np.stack([{x}, {x}], {axis})",
        f"np.pad({x}, 1)",
        f"np.pad({x}, 1, mode='edge')",
        f"np.diff({x}, axis={axis})" if b.values[x].dtype.kind != "b" else f"{x}.copy()",
        f"np.broadcast_to({x}, {(2, *b.values[x].shape)})",
    )
    return text, text.split("(")[0].replace(x, "x")


def gather(b: Builder) -> tuple[str, str] | None:
    x = b.pick(least_rank=1)
    index = b.pick("iu")
    if x is None or index is None:
        return None
    axis = int(b.rng.integers(b.values[x].ndim))
    size = b.values[x].shape[axis]
    if not size:
        return None
    wrapped = f"({index} % {min(size, 100)})"
    if b.chance(0.5):
        return f"np.take({x}, {wrapped}, axis={axis})", "np.take"
    before = ":, " * axis
    return f"{x}[{before}{wrapped}]", "gather"


def write(b: Builder) -> tuple[str, str] | None:
    x = b.pick("iuf", least_rank=1)
    if x is None:
        return None
    part = _random_slice(b, b.values[x].shape[0])
    change = b.one_of(
        f"{{t}}[{part}] = 3",
        f"{{t}}[{part}] += {x}[{part}]",
        f"{{t}}[{x} > 2] = 1",
        f"{{t}}[{part}] *= 2",
        "{t}[...] = {t}[::-1]",
    )
    return f"{{t}} = {x}.copy()\n{change}", "write"


# Reductions.


def reduce(b: Builder) -> tuple[str, str] | None:
    x = b.pick()
    if x is None:
        return None
    value = b.values[x]
    names = ["sum", "prod", "max", "min", "any", "all", "argmax", "argmin", "mean"]
    if value.dtype.kind == "f":
        names += ["var", "std", "nanmax", "nansum"]
    name = b.one_of(*names)
    axis: Any = b.axis(x) if value.ndim and b.chance(0.75) else None
    if axis is not None and value.ndim > 2 and b.chance(0.3) and not name.startswith("arg"):
        axis = tuple(int(a) for a in b.rng.choice(value.ndim, 2, replace=False))
    keep = ", keepdims=True" if b.chance(0.4) else ""
    dtype = ""
    if name in ("sum", "prod") and b.narrow and value.dtype.kind in "biu":
        dtype = b.one_of(", dtype=np.int32", ", dtype=np.uint32", ", dtype=np.float32")
    if b.narrow and name == "mean" and value.dtype.kind != "f":
        dtype = ", dtype=np.float32"
    return f"np.{name}({x}, axis={axis}{keep}{dtype})", f"np.{name}"


def running(b: Builder) -> tuple[str, str] | None:
    x = b.pick("iuf", least_rank=1)
    if x is None:
        return None
    name = b.one_of("cumsum", "cumsum", "cumprod", "sort", "argsort")
    extra = ", kind='stable'" if "sort" in name else ""
    if name.startswith("cum") and b.narrow and b.values[x].dtype.kind in "iu":
        extra = ", dtype=np.int32"
    return f"np.{name}({x}, axis={b.axis(x)}{extra})", f"np.{name}"


def product(b: Builder) -> tuple[str, str] | None:
    x = b.pick("iuf", least_rank=1)
    if x is None:
        return None
    value = b.values[x]
    columns = b.one_of(1, 3, 8, 17)
    dtype = value.dtype.name
    y = b.add_argument(random_array(b.rng, dtype, (value.shape[-1], columns)))
    return f"{x} @ {y}", "@"


def softmax(b: Builder) -> tuple[str, str] | None:
    x = b.pick("f", least_rank=1)
    name = b.one_of("tw.softmax", "tw.log_softmax", "tw.logsumexp")
    return (f"{name}({x}, axis=-1)", name) if x else None


# Index form.


def index_map(b: Builder) -> tuple[str, str] | None:
    x = b.pick("iuf", least_rank=1)
    if x is None or 0 in b.values[x].shape:
        return None
    shape = b.values[x].shape
    axes = [f"i{n}" for n in range(len(shape))]
    places = [
        b.one_of(axis, axis, f"{size - 1} - {axis}", f"{axis} // 2", f"({axis} * 3 + 1) % {size}")
        for axis, size in zip(axes, shape, strict=True)
    ]
    plain = f"{x}[{', '.join(axes)}]"
    moved = f"{x}[{', '.join(places)}]"
    body = b.one_of(
        f"{plain} + {moved}", f"np.maximum({plain}, {moved})",
        f"np.where({axes[0]} < 2, {plain}, {moved})",
        f"{plain} - tw.at({x}, ({', '.join(a + ' + 1' for a in axes)},), boundary='clamp')",
    )  # fmt: skip
    extent = shape if len(shape) > 1 else (shape[0],)
    return f"tw.compute({extent}, lambda {', '.join(axes)}: {body})", "tw.compute"


def index_sum(b: Builder) -> tuple[str, str] | None:
    x = b.pick("iuf", least_rank=2)
    if x is None or 0 in b.values[x].shape or b.values[x].ndim != 2:
        return None
    rows, columns = b.values[x].shape
    kind = b.one_of("sum", "max", "min", "argmax")
    if b.narrow and (kind == "argmax" or b.values[x].dtype.kind != "f"):
        kind = b.one_of("max", "min")
    item = b.one_of(f"{x}[i, k]", f"{x}[i, {columns - 1} - k]", f"{x}[i, k] * {x}[k % {rows}, k]")
    return f"tw.compute(({rows},), lambda i: tw.{kind}(lambda k: {item}, {columns}))", f"tw.{kind}"


def loop(b: Builder) -> tuple[str, str] | None:
    x = b.pick("f")
    step = b.one_of("s * 0.5 + 1", "np.maximum(s, i)", "s[::-1] * 0.25", "s - 1")
    if x is None:
        return None
    if b.values[x].ndim == 0:
        step = "s * 0.5 + 1"
    return f"tw.loop({b.one_of(0, 1, 3)}, lambda i, s: {step}, {x})[0]", "tw.loop"


RULES: dict[Rule, int] = {
    unary: 6, function: 5, binary: 14, float_binary: 3, bits: 5, with_scalar: 6, cast: 9, select: 5,
    clip: 2, view: 8, rearrange: 8, gather: 6, write: 4, reduce: 13, running: 4, product: 3,
    softmax: 2, index_map: 4, index_sum: 3, loop: 2,
}  # fmt: skip


def generate(seed: int) -> FuzzProgram:
    """The program of a seed; odd seeds hold only what every target has (no 64-bit types)."""
    builder = Builder(seed, narrow=bool(seed % 2))
    weights = np.array(list(RULES.values()), np.float64)
    rules = list(RULES)
    count = int(builder.rng.integers(1, 7))
    builder.argument("biuf")
    for _ in range(40):
        if len(builder.statements) >= count:
            break
        builder.grow(rules, weights / weights.sum())
    used = set().union(*(s.used - {s.target} for s in builder.statements)) if count else set()
    last = [s.target for s in builder.statements if s.target not in used]
    other = [s.target for s in builder.statements if s.target in used and builder.chance(0.25)]
    returned = tuple(last + other) or tuple(builder.arguments)
    made = FuzzProgram(seed, builder.arguments, tuple(builder.statements), returned)
    return made.pruned()


__all__ = ["FLOATS", "generate"]
