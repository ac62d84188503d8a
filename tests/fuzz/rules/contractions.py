"""Sums of products: matrix products in all their spellings, convolutions."""

from __future__ import annotations

from tests.fuzz.builder import Builder, Made, Rule

_SIZES = (1, 2, 3, 8, 16, 17, 33, 65)


def product(b: Builder) -> Made:
    """With a new second operand that fits; transposed at times, as users do to both."""
    x = b.pick("iuf", least_rank=1)
    if x is None:
        return None
    value = b.values[x]
    dtype, depth, columns = value.dtype.name, value.shape[-1], b.one_of(*_SIZES)
    if b.chance(0.25):
        return f"{x} @ {b.array(dtype, (columns, depth))}.T", "@ transposed"
    if value.ndim > 2 and b.chance(0.5):
        return f"{x} @ {b.array(dtype, (*value.shape[:-2], depth, columns))}", "@ batched"
    if value.ndim == 2 and b.chance(0.2):
        return f"{x}.T @ {x}" if b.chance(0.5) else f"{x} @ {x}.T", "@ of itself"
    y = b.array(dtype, (depth, columns) if b.chance(0.8) else (depth,))
    name = b.one_of("@", "@", "np.dot", "np.matmul")
    return (f"{x} @ {y}" if name == "@" else f"{name}({x}, {y})"), name


def other_product(b: Builder) -> Made:
    x = b.pick("iuf", least_rank=1)
    if x is None:
        return None
    value = b.values[x]
    dtype, last = value.dtype.name, value.shape[-1]
    form = b.integer(0, 5)
    if form == 0:
        return f"np.outer({x}, {b.array(dtype, (b.one_of(1, 3, 9),))})", "np.outer"
    if form == 1:
        return f"np.inner({x}, {b.array(dtype, (b.one_of(1, 3, 9), last))})", "np.inner"
    if form == 2:
        return f"np.tensordot({x}, {b.array(dtype, (last, 3))}, axes=1)", "np.tensordot"
    if form == 3:
        return f"np.vdot({x}, {x})", "np.vdot"
    if form == 4 and value.ndim == 1:
        mode = b.one_of("full", "same", "valid")
        y = b.array(dtype, (b.one_of(1, 2, 3, 5),))
        return f"np.convolve({x}, {y}, {mode!r})", "np.convolve"
    return f"np.kron({x}, {b.array(dtype, (2,))})", "np.kron"


def einsum(b: Builder) -> Made:
    x = b.pick("iuf", least_rank=1)
    if x is None:
        return None
    value = b.values[x]
    letters = "abcdef"[: value.ndim]
    shared = [a for a in letters if b.chance(0.6)] or [letters[-1]]
    shape = [value.shape[letters.index(a)] for a in shared]
    if b.chance(0.5):
        shared.append("z")
        shape.append(b.one_of(1, 3, 8))
    if b.chance(0.3):
        order = [int(k) for k in b.rng.permutation(len(shared))]
        shared, shape = [shared[k] for k in order], [shape[k] for k in order]
    y = b.array(value.dtype.name, tuple(shape))
    kept = [a for a in dict.fromkeys([*letters, *shared]) if b.chance(0.5)]
    kept = [kept[int(k)] for k in b.rng.permutation(len(kept))]
    return f"np.einsum('{letters},{''.join(shared)}->{''.join(kept)}', {x}, {y})", "np.einsum"


RULES: dict[Rule, int] = {product: 4, other_product: 2, einsum: 2}
