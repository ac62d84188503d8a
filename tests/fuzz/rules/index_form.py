"""The index form, and loops that carry a state."""

from __future__ import annotations

from tests.fuzz.builder import Builder, Made, Rule

BOUNDARIES = ("clamp", "constant", "reflect", "wrap")


def index_map(b: Builder) -> Made:
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
    ahead = ", ".join(f"{a} + {b.integer(-2, 2)}" for a in axes)
    beside = f"tw.at({x}, ({ahead},), boundary={b.one_of(*BOUNDARIES)!r}, fill=3)"
    body = b.one_of(
        f"{plain} + {moved}",
        f"np.maximum({plain}, {moved})",
        f"np.where({axes[0]} < 2, {plain}, {moved})",
        f"{plain} - {beside}",
        f"{beside} * {moved}",
        f"{plain} * ({axes[-1]} + {b.one_of(0.5, 1)})",
        f"{plain} + {axes[0]} * {axes[-1]} % 7",
    )
    extent = b.one_of(shape, tuple(-(-n // 2) for n in shape)) if b.chance(0.3) else shape
    return f"tw.compute({extent}, lambda {', '.join(axes)}: {body})", "tw.compute"


def index_gather(b: Builder) -> Made:
    """Through an index that is data."""
    x = b.pick("iuf", least_rank=1)
    if x is None or 0 in b.values[x].shape:
        return None
    shape = b.values[x].shape
    index = b.array("int32", (b.one_of(1, 5, 16, 31),))
    rest = [f"i{n}" for n in range(len(shape) - 1)]
    place = b.one_of(f"{index}[j] % {shape[0]}", f"np.clip({index}[j], 0, {shape[0] - 1})")
    body = f"{x}[{', '.join([place, *rest])}]"
    body = b.one_of(body, f"{body} + {x}[{', '.join(['0', *rest])}]")
    extent = (b.values[index].shape[0], *shape[1:])
    return f"tw.compute({extent}, lambda {', '.join(['j', *rest])}: {body})", "tw.compute gather"


def index_reduce(b: Builder) -> Made:
    x = b.pick("iuf", least_rank=2)
    if x is None or 0 in b.values[x].shape or b.values[x].ndim != 2:
        return None
    rows, columns = b.values[x].shape
    kind = b.one_of("sum", "sum", "prod", "max", "min", "argmax", "argmin")
    if b.width == "none" and ("arg" in kind or b.values[x].dtype.kind != "f"):
        kind = b.one_of("max", "min")
    item = b.one_of(
        f"{x}[i, k]",
        f"{x}[i, {columns - 1} - k]",
        f"{x}[i, k] * {x}[k % {rows}, k]",
        f"np.where(k > i, {x}[i, k], 0)",
        f"np.abs({x}[i, k] - {x}[{rows - 1} - i, k])",
    )
    return f"tw.compute(({rows},), lambda i: tw.{kind}(lambda k: {item}, {columns}))", f"tw.{kind}"


def window(b: Builder) -> Made:
    """Stencils, pooling and convolutions, strided and dilated."""
    x = b.pick("iuf", least_rank=2)
    if x is None or b.values[x].ndim != 2 or (b.width == "none" and b.values[x].dtype.kind != "f"):
        return None
    rows, columns = b.values[x].shape
    high, wide = b.integer(1, 3), b.integer(1, 3)
    stride, dilation = b.one_of(1, 1, 2), b.one_of(1, 1, 2)
    down = (rows - (high - 1) * dilation - 1) // stride + 1
    across = (columns - (wide - 1) * dilation - 1) // stride + 1
    place = f"y * {stride} + i * {dilation}, x * {stride} + j * {dilation}"
    read = f"{x}[{place}]"
    if b.chance(0.4):
        rule = b.one_of(*BOUNDARIES)
        down, across = rows, columns
        read = f"tw.at({x}, (y + i - {high // 2}, x + j - {wide // 2}), boundary={rule!r}, fill=1)"
    if min(down, across) < 1:
        return None
    kind = b.one_of("sum", "max", "min", "sum")
    if kind == "sum":
        read += f" * {b.array(b.values[x].dtype.name, (high, wide))}[i, j]"
    inner = f"tw.{kind}(lambda i, j: {read}, ({high}, {wide}))"
    return f"tw.compute(({down}, {across}), lambda y, x: {inner})", f"window {kind}"


def convolution(b: Builder) -> Made:
    """With channels: NCHW, NHWC, depthwise, grouped."""
    layout = b.one_of("nchw", "nhwc", "depthwise", "grouped")
    size, channels, filters = b.one_of(4, 7, 9), b.one_of(2, 4), b.one_of(2, 6, 8)
    dtype = b.one_of("float32", "float32", "float16", "int32")
    inside = size - 2
    if layout == "nchw":
        x = b.array(dtype, (1, channels, size, size))
        w = b.array(dtype, (filters, channels, 3, 3))
        body = f"tw.sum(lambda c, i, j: {x}[n, c, y + i, x + j] * {w}[f, c, i, j], "
        return _convolution("n, f, y, x", (1, filters, inside, inside), body, (channels, 3, 3))
    if layout == "nhwc":
        x = b.array(dtype, (1, size, size, channels))
        w = b.array(dtype, (3, 3, channels, filters))
        body = f"tw.sum(lambda i, j, c: {x}[n, y + i, x + j, c] * {w}[i, j, c, f], "
        return _convolution("n, y, x, f", (1, inside, inside, filters), body, (3, 3, channels))
    if layout == "depthwise":
        x = b.array(dtype, (size, size, channels))
        w = b.array(dtype, (3, 3, channels))
        body = f"tw.sum(lambda i, j: {x}[y + i, x + j, c] * {w}[i, j, c], "
        return _convolution("y, x, c", (inside, inside, channels), body, (3, 3))
    x = b.array(dtype, (4, size))
    w = b.array(dtype, (filters, 2, 3))
    body = f"tw.sum(lambda c, i: {x}[f // {filters // 2} * 2 + c, x + i] * {w}[f, c, i], "
    return _convolution("f, x", (filters, inside), body, (2, 3))


def _convolution(axes: str, shape: tuple[int, ...], body: str, window: tuple[int, ...]) -> Made:
    return f"tw.compute({shape}, lambda {axes}: {body}{window}))", "convolution"


def loop(b: Builder) -> Made:
    x = b.pick("f")
    if x is None:
        return None
    count = b.one_of(0, 1, 3)
    if b.chance(0.25):
        halve = f"lambda i, s, n: (s * 0.5 + {x}, n + 1)"
        return f"tw.loop({count}, {halve}, {x}, np.int32(0))[{b.integer(0, 1)}]", "tw.loop of two"
    step = b.one_of("s * 0.5 + 1", "np.maximum(s, i)", "s[::-1] * 0.25", "s - 1", f"s + {x}")
    if b.values[x].ndim == 0:
        step = "s * 0.5 + 1"
    return f"tw.loop({count}, lambda i, s: {step}, {x})[0]", "tw.loop"


def while_loop(b: Builder) -> Made:
    x = b.pick("iuf")
    if x is None or b.width != "all":
        return None
    condition = f"lambda s, n: n < {b.integer(0, 4)}"
    if b.chance(0.5):
        condition = "lambda s, n: (s.max() > 3) & (n < 6)"
    return f"tw.while_loop({condition}, lambda s, n: (s // 2, n + 1), {x}, 0)[0]", "tw.while_loop"


RULES: dict[Rule, int] = {
    index_map: 4, index_gather: 2, index_reduce: 3, window: 3, convolution: 2, loop: 2,
    while_loop: 2,
}  # fmt: skip
