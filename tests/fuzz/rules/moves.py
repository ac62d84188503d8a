"""Expressions that move elements: views, rearrangements, gathers, writes, new arrays."""

from __future__ import annotations

from tests.fuzz.builder import Builder, Made, Rule


def view(b: Builder) -> Made:
    x = b.pick(least_rank=1)
    if x is None:
        return None
    parts = []
    for size in b.values[x].shape:
        kind = b.integer(0, 7)
        if kind == 0 and size:
            parts.append(str(b.integer(-size, size - 1)))
        elif kind == 1:
            parts += ["None", ":"]
        else:
            parts.append(b.slice_of(size))
    if b.chance(0.15):
        parts = [*parts[: b.integer(0, len(parts) - 1)], "..."]
    return f"{x}[{', '.join(parts)}]", "slice"


def rearrange(b: Builder) -> Made:
    x = b.pick(least_rank=1)
    if x is None:
        return None
    rank = b.values[x].ndim
    axis, other = b.axis(x), b.axis(x)
    order = tuple(int(a) for a in b.rng.permutation(rank))
    text = b.one_of(
        f"{x}.transpose({order})",
        f"{x}.T",
        f"np.flip({x}, {axis})",
        f"np.flip({x})",
        f"np.moveaxis({x}, {axis}, {other})",
        f"np.swapaxes({x}, {axis}, {other})",
        f"np.rot90({x}, {b.integer(-1, 3)})",
        f"np.roll({x}, {b.integer(-9, 9)}, {axis})",
        f"np.roll({x}, {b.integer(-9, 9)})",
        _reshape(b, x),
        _reshape(b, x),
        f"{x}.ravel()",
        f"{x}.T.ravel()",
        f"np.expand_dims({x}, {axis})",
        f"np.squeeze({x})",
        f"np.diagonal({x}, {b.integer(-2, 2)})",
        f"np.tril({x}, {b.integer(-2, 2)})",
        f"np.triu({x}, {b.integer(-2, 2)})",
        f"np.array_split({x}, {b.integer(1, 3)}, axis={axis})[-1]",
        f"np.broadcast_to({x}, {(2, *b.values[x].shape)})",
    )
    return text, text.split("(")[0].replace(x, "x")


def _reshape(b: Builder, x: str) -> str:
    """To a shape of other factors."""
    left = b.values[x].size
    shape: list[int] = []
    while left > 1 and len(shape) < 4:
        divisors = [d for d in range(2, left + 1) if left % d == 0][:6]
        shape.append(int(b.one_of(*divisors, left)))
        left //= shape[-1]
    shape.append(-1 if b.values[x].size else 0)
    return f"{x}.reshape({tuple(int(n) for n in b.rng.permutation(shape))})"


def join(b: Builder) -> Made:
    x = b.pick(least_rank=1)
    if x is None:
        return None
    axis = b.axis(x)
    y = b.one_of(x, f"{x}[::-1]", f"{x} * {x}", b.partner(x, "biuf"))
    text = b.one_of(
        f"np.concatenate([{x}, {y}], {axis})",
        f"np.concatenate([{x}, {y}, {x}], {axis})",
        f"np.stack([{x}, {y}], {axis})",
        f"np.hstack([{x}, {y}])",
        f"np.vstack([{x}, {y}])",
        f"np.append({x}, {y})",
        f"np.tile({x}, {b.one_of(2, (2, 1), (1, 3))})",
        f"np.repeat({x}, {b.integer(1, 3)}, {axis})",
        f"np.insert({x}, 0, 7, axis={axis})",
        f"np.delete({x}, 0, axis={axis})",
        f"np.meshgrid({x}.ravel()[:9], {y}.ravel()[:7])[{b.integer(0, 1)}]",
        f"np.array([{x}, {y}])",
    )
    return text, text.split("(")[0]


def pad(b: Builder) -> Made:
    x = b.pick(least_rank=1)
    if x is None:
        return None
    mode = b.one_of("constant", "edge", "reflect", "wrap", "symmetric")
    widths = [(b.integer(0, 3), b.integer(0, 3)) for _ in b.values[x].shape]
    given = b.one_of(str(widths), str(b.integer(0, 2)))
    more = ", constant_values=5" if mode == "constant" and b.chance(0.4) else ""
    return f"np.pad({x}, {given}, mode={mode!r}{more})", f"np.pad {mode}"


def gather(b: Builder) -> Made:
    x = b.pick(least_rank=1)
    if x is None:
        return None
    shape = b.values[x].shape
    axis = b.integer(0, len(shape) - 1)
    index = b.index_into(shape[axis])
    if index is None:
        return None
    before = ":, " * axis
    form = b.integer(0, 6)
    if form < 2:
        return f"np.take({x}, {index}, axis={axis})", "np.take"
    if form == 2 and len(shape) > 1:
        other = b.index_into(shape[0])
        return (f"{x}[{other}, {b.index_into(shape[1])}]", "gather of two") if other else None
    if form == 3:
        mode, places = b.one_of("clip", "wrap"), b.pick("iu")
        if places and mode == "wrap":  # NumPy wraps by subtracting, however often that takes
            places += " % 999 - 333" if b.values[places].dtype.kind == "i" else " % 999"
        return f"np.take({x}, {places}, axis={axis}, mode={mode!r})", f"np.take {mode}"
    if form == 4:
        order = f"np.argsort({x}, axis={axis}, kind='stable')"
        return f"np.take_along_axis({x}, {order}, axis={axis})", "np.take_along_axis"
    return f"{x}[{before}{index}]", "gather"


def write(b: Builder) -> Made:
    x = b.pick("iuf", least_rank=1)
    if x is None:
        return None
    shape = b.values[x].shape
    part, place = b.slice_of(shape[0]), b.integer(0, max(0, shape[-1] - 1))
    change = b.one_of(
        f"{{t}}[{part}] = 3",
        f"{{t}}[{part}] += {x}[{part}]",
        f"{{t}}[{part}] = {b.partner(x, 'iuf')}",
        f"{{t}}[{x} > 2] = 1",
        f"{{t}}[{x} > 2] *= 2",
        f"{{t}}[{part}] *= 2",
        "{t}[...] = {t}[::-1]",
        "{t}[1:] = {t}[:-1]",
        "{t}[:-1] += {t}[1:]",
        f"{{t}}[..., {place}] = 0",
        f"{{t}}[..., ::2] -= {x}[..., ::2]",
        "{t}.T[0] = 4\n{t}.ravel()[:2] = 5",
        "np.fill_diagonal({t}, 9)",
    )
    return f"{{t}} = {x}.copy()\n{change}", "write"


def scatter(b: Builder) -> Made:
    """Writes through indices that are data; several may be to one place."""
    x = b.pick("iuf", least_rank=1)
    if x is None:
        return None
    index = b.index_into(b.values[x].shape[0])
    if index is None:
        return None
    change, op = b.one_of(
        (f"{{t}}[{index}] = 5", "scatter"),
        (f"{{t}}[{index}] = {x}[{index}] * 2", "scatter"),
        (f"{{t}}[{index}] += 1", "scatter"),
        (f"np.add.at({{t}}, {index}, 1)", "np.add.at"),
        (f"np.maximum.at({{t}}, {index}, 3)", "np.maximum.at"),
        (f"np.add.at({{t}}, {index}, {x}[{index}])", "np.add.at"),
    )
    return f"{{t}} = {x}.copy()\n{change}", op


def create(b: Builder) -> Made:
    """New arrays from shapes and literals, next to one that is given."""
    x = b.pick("iuf", least_rank=1)
    if x is None:
        return None
    shape, dtype = b.values[x].shape, f"np.{b.dtype_of('iuf')}"
    last = shape[-1]
    text = b.one_of(
        f"np.arange({last}, dtype={dtype})",
        f"np.linspace(0, 1, {last}, dtype=np.float32)",
        f"np.ones({shape}, {dtype})",
        f"np.full_like({x}, 3)",
        f"np.zeros_like({x})",
        f"np.eye({last}, dtype={dtype})",
        f"np.tri({last}, {last}, {b.integer(-1, 1)}, dtype={dtype})",
        f"np.indices({shape})[0].astype({dtype})",
    )
    op = b.one_of("+", "-", "*", "<")
    return f"{x} {op} {text}", text.split("(")[0]


RULES: dict[Rule, int] = {
    view: 8, rearrange: 8, join: 4, pad: 3, gather: 7, write: 5, scatter: 4, create: 3,
}  # fmt: skip
