"""Softmax, normalisations and other reductions along an axis."""

from __future__ import annotations

import numpy as np

from benchmarks.gallery.entry import Entry, Function, MakeInputs, in_float64, normal

EPSILON = 1e-5


def softmax(x):
    """Softmax of each row."""
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def softmax_numpy(x):
    out = x - x.max(axis=-1, keepdims=True)
    np.exp(out, out=out)
    out *= 1 / out.sum(axis=-1, keepdims=True)
    return out


def log_softmax(x):
    """The logarithm of the softmax of each row."""
    shifted = x - x.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def log_softmax_numpy(x):
    out = x - x.max(axis=-1, keepdims=True)
    out -= np.log(np.exp(out).sum(axis=-1, keepdims=True))
    return out


def logsumexp(x):
    """log(sum(exp(x))) of each row."""
    peak = x.max(axis=1, keepdims=True)
    return np.log(np.exp(x - peak).sum(axis=1)) + peak[:, 0]


def logsumexp_numpy(x):
    peak = x.max(axis=1)
    shifted = x - peak[:, np.newaxis]
    np.exp(shifted, out=shifted)
    total = shifted.sum(axis=1)
    np.log(total, out=total)
    total += peak
    return total


def layer_norm(x, gain, bias):
    """Layer normalisation of each row."""
    mean = x.mean(axis=-1, keepdims=True)
    variance = x.var(axis=-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + EPSILON) * gain + bias


def layer_norm_numpy(x, gain, bias):
    out = x - x.mean(axis=-1, keepdims=True)
    scale = np.vecdot(out, out)[:, np.newaxis]
    scale /= x.shape[-1]
    scale += EPSILON
    np.sqrt(scale, out=scale)
    np.reciprocal(scale, out=scale)
    out *= scale
    out *= gain
    out += bias
    return out


def rms_norm(x, gain):
    """Root-mean-square normalisation of each row."""
    return x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + EPSILON) * gain


def rms_norm_numpy(x, gain):
    scale = np.vecdot(x, x)[:, np.newaxis]
    scale /= x.shape[-1]
    scale += EPSILON
    np.sqrt(scale, out=scale)
    np.reciprocal(scale, out=scale)
    out = x * scale
    out *= gain
    return out


def batch_norm(x, mean, spread, gain, bias):
    """Batch normalisation at inference, channels last, then relu."""
    return np.maximum((x - mean) / np.sqrt(spread * spread + EPSILON) * gain + bias, 0)


def batch_norm_numpy(x, mean, spread, gain, bias):
    scale = gain / np.sqrt(spread * spread + EPSILON)
    out = x * scale
    out += bias - mean * scale
    return np.maximum(out, 0, out=out)


def group_norm(x, gain, bias):
    """Group normalisation of a channels-last image, in 8 groups."""
    groups = x.reshape(x.shape[0], x.shape[1], 8, -1)
    mean = groups.mean(axis=(0, 1, 3), keepdims=True)
    variance = groups.var(axis=(0, 1, 3), keepdims=True)
    normal = (groups - mean) / np.sqrt(variance + EPSILON)
    return normal.reshape(x.shape) * gain + bias


def group_norm_numpy(x, gain, bias):
    flat = x.reshape(-1, x.shape[2])
    size = flat.size // 8
    # Column sums are one pass over memory; the groups are then folded from so many numbers.
    mean = np.repeat(flat.sum(axis=0).reshape(8, -1).sum(axis=1) / size, x.shape[2] // 8)
    out = flat - mean.astype(x.dtype)
    squares = np.einsum("ij,ij->j", out, out).reshape(8, -1).sum(axis=1) / size
    scale = gain / np.repeat(np.sqrt(squares + EPSILON), x.shape[2] // 8)
    out *= scale
    out += bias
    return out.reshape(x.shape)


def mean_and_variance(x):
    """Mean and variance of each column."""
    return x.mean(axis=0), x.var(axis=0)


def mean_and_variance_numpy(x):
    mean = x.mean(axis=0)
    centred = x - mean
    centred *= centred
    return mean, centred.mean(axis=0)


def l2_normalise(x):
    """Rows scaled to length 1."""
    return x / np.sqrt((x * x).sum(axis=1, keepdims=True))


def l2_normalise_numpy(x):
    return x * (1 / np.sqrt(np.vecdot(x, x)))[:, np.newaxis]


def cosine_similarity(a, b):
    """The cosine between rows of two matrices."""
    return (a * b).sum(axis=1) / np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))


def cosine_similarity_numpy(a, b):
    return np.vecdot(a, b) / np.sqrt(np.vecdot(a, a) * np.vecdot(b, b))


def argmax_rows(x):
    """Where each row is largest."""
    return x.argmax(axis=1)


def cumulative_sum(x):
    """The running sum along each row."""
    return np.cumsum(x, axis=1)


def cumulative_sum_numpy(x):
    return np.add.accumulate(x, axis=1)


def min_max_scale(x):
    """A whole array brought to the range 0 to 1."""
    low, high = x.min(), x.max()
    return (x - low) / (high - low)


def min_max_scale_numpy(x):
    low = x.min()
    out = x - low
    out *= 1 / (x.max() - low)
    return out


def global_average_pool(x):
    """The mean of each channel of each image, channels last."""
    return x.mean(axis=(1, 2))


def global_average_pool_numpy(x):
    flat = x.reshape(x.shape[0], -1, x.shape[3])
    return flat.sum(axis=1) * (1 / flat.shape[1])


def _entry(
    kernel: Function,
    baseline: Function,
    make_inputs: MakeInputs,
    reference: Function | None = None,
    tolerance: str = "reduction",
) -> Entry:
    reference = reference or in_float64(baseline)
    name = kernel.__name__
    return Entry(name, "reductions", kernel, baseline, make_inputs, reference, tolerance)


ENTRIES = (
    _entry(softmax, softmax_numpy, normal((1024, 1000), scale=4)),
    _entry(log_softmax, log_softmax_numpy, normal((256, 4096), scale=4)),
    _entry(logsumexp, logsumexp_numpy, normal((512, 2048), scale=4)),
    _entry(layer_norm, layer_norm_numpy, normal((512, 768), (768,), (768,))),
    _entry(rms_norm, rms_norm_numpy, normal((512, 1024), (1024,))),
    _entry(batch_norm, batch_norm_numpy, normal((56, 56, 64), *[(64,)] * 4)),
    _entry(group_norm, group_norm_numpy, normal((64, 64, 64), (64,), (64,))),
    _entry(mean_and_variance, mean_and_variance_numpy, normal((4096, 256))),
    _entry(l2_normalise, l2_normalise_numpy, normal((1024, 512))),
    _entry(cosine_similarity, cosine_similarity_numpy, normal((1024, 512), (1024, 512))),
    _entry(argmax_rows, argmax_rows, normal((1024, 1000)), tolerance="exact"),
    _entry(cumulative_sum, cumulative_sum_numpy, normal((512, 2048))),
    _entry(min_max_scale, min_max_scale_numpy, normal((1024, 1024))),
    _entry(global_average_pool, global_average_pool_numpy, normal((8, 28, 28, 256))),
)
