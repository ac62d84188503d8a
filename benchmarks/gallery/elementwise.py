"""Activations and other arithmetic on each element: limited by memory, or by exp and its kin."""

from __future__ import annotations

import math

import numpy as np

import tilewright as tw
from benchmarks.gallery.entry import Entry, Function, MakeInputs, in_float64, normal, uniform

MILLION = (1024, 1024)
EARTH_RADIUS_KM = 6371.0
RATE, BETA1, BETA2, EPSILON = 1e-3, 0.9, 0.999, 1e-8
TANH_GELU = math.sqrt(2 / math.pi)


def scale_bias_relu(x, scale, bias):
    """A folded batch normalisation: relu(x·scale + bias) per channel."""
    return np.maximum(x * scale + bias, 0)


def scale_bias_relu_numpy(x, scale, bias):
    out = x * scale
    out += bias
    return np.maximum(out, 0, out=out)


def silu(x):
    """x·sigmoid(x)."""
    return x / (1 + np.exp(-x))


def silu_numpy(x):
    out = np.negative(x)
    np.exp(out, out=out)
    out += 1
    return np.divide(x, out, out=out)


def gelu(x):
    """GELU with the error function."""
    return tw.gelu(x)


def gelu_numpy(x):
    # NumPy has no erf: Abramowitz and Stegun 7.1.26, good to 1.5e-7.
    z = np.abs(x)
    z *= math.sqrt(0.5)
    t = z * 0.3275911
    t += 1
    np.reciprocal(t, out=t)
    poly = t * 1.061405429
    for coefficient in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
        poly += coefficient
        poly *= t
    np.multiply(z, z, out=z)
    np.negative(z, out=z)
    np.exp(z, out=z)
    poly *= z  # 1 - erf(|x|/√2)
    np.subtract(1, poly, out=poly)
    np.copysign(poly, x, out=poly)
    poly += 1
    poly *= x
    poly *= 0.5
    return poly


def gelu_reference(x):
    erf = np.array([math.erf(v) for v in (x.astype(np.float64) / math.sqrt(2)).flat])
    return 0.5 * x * (1 + erf.reshape(x.shape))


def gelu_tanh(x):
    """GELU by its tanh approximation."""
    return 0.5 * x * (1 + np.tanh(TANH_GELU * (x + 0.044715 * x * x * x)))


def gelu_tanh_numpy(x):
    out = x * x
    out *= 0.044715
    out += 1
    out *= x
    out *= TANH_GELU
    np.tanh(out, out=out)
    out += 1
    out *= x
    out *= 0.5
    return out


def softplus(x):
    """log(1 + exp(x)), without overflow."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def softplus_numpy(x):
    out = np.abs(x)
    np.negative(out, out=out)
    np.exp(out, out=out)
    np.log1p(out, out=out)
    out += np.maximum(x, 0)
    return out


def mish(x):
    """x·tanh(softplus(x))."""
    return x * np.tanh(np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0))


def mish_numpy(x):
    # tanh(log(1 + e)) is e(e + 2) / (e(e + 2) + 2): one exponential is enough.
    e = np.exp(np.minimum(x, 20))
    e *= e + 2
    denominator = e + 2
    e *= x
    e /= denominator
    return e


def polar(re, im):
    """Magnitude and phase of complex numbers."""
    return np.sqrt(re * re + im * im), np.arctan2(im, re)


def polar_numpy(re, im):
    magnitude = re * re
    magnitude += im * im
    np.sqrt(magnitude, out=magnitude)
    return magnitude, np.arctan2(im, re)


def haversine(lat1, lon1, lat2, lon2):
    """Distances on the globe between pairs of points, in kilometres."""
    dlat = np.sin((lat2 - lat1) / 2)
    dlon = np.sin((lon2 - lon1) / 2)
    a = dlat * dlat + np.cos(lat1) * np.cos(lat2) * dlon * dlon
    return 2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(a))


def haversine_numpy(lat1, lon1, lat2, lon2):
    a = lon2 - lon1
    a *= 0.5
    np.sin(a, out=a)
    a *= a
    b = np.cos(lat1)
    a *= b
    np.cos(lat2, out=b)
    a *= b
    np.subtract(lat2, lat1, out=b)
    b *= 0.5
    np.sin(b, out=b)
    b *= b
    a += b
    np.sqrt(a, out=a)
    np.arcsin(a, out=a)
    a *= 2 * EARTH_RADIUS_KM
    return a


def adam_step(parameter, gradient, mean, variance):
    """One step of the Adam optimiser: new parameters and both new moments."""
    mean = BETA1 * mean + (1 - BETA1) * gradient
    variance = BETA2 * variance + (1 - BETA2) * gradient * gradient
    return parameter - RATE * mean / (np.sqrt(variance) + EPSILON), mean, variance


def adam_step_numpy(parameter, gradient, mean, variance):
    step = gradient * (1 - BETA1)
    mean = mean * BETA1
    mean += step
    variance = variance * BETA2
    np.multiply(gradient, gradient, out=step)
    step *= 1 - BETA2
    variance += step
    np.sqrt(variance, out=step)
    step += EPSILON
    np.divide(mean, step, out=step)
    step *= -RATE
    step += parameter
    return step, mean, variance


def lstm_cell(i, f, g, o, c):
    """The gates of an LSTM: new cell state and new output."""
    cell = c / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
    return cell, np.tanh(cell) / (1 + np.exp(-o))


def lstm_cell_numpy(i, f, g, o, c):
    def divide_by_sigmoid_inverse(numerator, x):
        gate = np.negative(x)
        np.exp(gate, out=gate)
        gate += 1
        return np.divide(numerator, gate, out=gate)

    cell = divide_by_sigmoid_inverse(c, f)
    cell += divide_by_sigmoid_inverse(np.tanh(g), i)
    return cell, divide_by_sigmoid_inverse(np.tanh(cell), o)


def srgb_to_linear(x):
    """The sRGB transfer function, decoded."""
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)


def srgb_to_linear_numpy(x):
    out = x + 0.055
    out *= 1 / 1.055
    np.power(out, 2.4, out=out)
    np.multiply(x, 1 / 12.92, out=out, where=x <= 0.04045)
    return out


def make_coordinates(rng: np.random.Generator):
    """Pairs of places in Europe: nearly opposite points would be an ill-conditioned question."""
    shape = (1 << 20,)
    lat1, lat2 = (np.deg2rad(rng.uniform(36, 70, shape)) for _ in range(2))
    lon1, lon2 = (np.deg2rad(rng.uniform(-10, 30, shape)) for _ in range(2))
    return tuple(a.astype(np.float32) for a in (lat1, lon1, lat2, lon2))


def make_optimiser_state(rng: np.random.Generator):
    parameter, gradient, mean = (rng.standard_normal(1 << 20, np.float32) for _ in range(3))
    return parameter, gradient, mean, rng.random(1 << 20, np.float32)


def _entry(
    kernel: Function,
    baseline: Function,
    make_inputs: MakeInputs,
    reference: Function | None = None,
    tolerance: str = "elementwise",
) -> Entry:
    reference = reference or in_float64(baseline)
    name = kernel.__name__
    return Entry(name, "elementwise", kernel, baseline, make_inputs, reference, tolerance)


ACTIVATION = normal(MILLION, scale=3)

ENTRIES = (
    _entry(scale_bias_relu, scale_bias_relu_numpy, normal(MILLION, (1024,), (1024,))),
    _entry(silu, silu_numpy, ACTIVATION),
    _entry(gelu, gelu_numpy, ACTIVATION, gelu_reference),
    _entry(gelu_tanh, gelu_tanh_numpy, ACTIVATION),
    _entry(softplus, softplus_numpy, ACTIVATION),
    _entry(mish, mish_numpy, ACTIVATION),
    _entry(polar, polar_numpy, normal(MILLION, MILLION)),
    _entry(haversine, haversine_numpy, make_coordinates, tolerance="reduction"),
    _entry(adam_step, adam_step_numpy, make_optimiser_state),
    _entry(lstm_cell, lstm_cell_numpy, normal(*[(256, 1024)] * 5)),
    _entry(srgb_to_linear, srgb_to_linear_numpy, uniform(MILLION)),
)
