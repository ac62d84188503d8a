"""Speech at 16 kHz, music at 44.1 kHz: framing, spectra and filters."""

from __future__ import annotations

import functools

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

import tilewright as tw
from benchmarks.gallery.entry import Array, Entry, Function, MakeInputs, in_float64, uniform

RATE = 16000
FRAME, HOP, BINS, BANDS = 512, 160, 257, 80
ROWS, COLUMNS, KEPT = 16, 32, 9


def mel_bank() -> Array:
    """Triangular filters, evenly spaced in mel: `BINS` x `BANDS`."""
    mel_of = lambda hertz: 2595 * np.log10(1 + hertz / 700)
    edges = 700 * (10 ** (np.linspace(0, mel_of(RATE / 2), BANDS + 2) / 2595) - 1)
    hertz = np.linspace(0, RATE / 2, BINS)[:, np.newaxis]
    rising = (hertz - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - hertz) / (edges[2:] - edges[1:-1])
    return np.maximum(0, np.minimum(rising, falling)).astype(np.float32)


def turns(fractions: Array) -> tuple[Array, Array]:
    """Cosine and negative sine of so many full turns."""
    angles = 2 * np.pi * (fractions % 1)
    return np.cos(angles).astype(np.float32), -np.sin(angles).astype(np.float32)


def first_step() -> tuple[Array, Array]:
    """Window and factors of the shorter transforms: `ROWS` x `KEPT` x `COLUMNS`, real, imaginary.

    Sample ``n = COLUMNS i + j`` and bin ``k = r + ROWS c`` (Cooley and Tukey, 1965): first over i
    for each j and r, then over j. Of a real signal bin ``FRAME - k`` has the power of bin k, so
    that r goes only halfway.
    """
    i, r, j = np.ogrid[:ROWS, :KEPT, :COLUMNS]
    window = WINDOW.reshape(ROWS, 1, COLUMNS)
    real, imaginary = turns((COLUMNS * i + j) * r / FRAME)
    return window * real, window * imaginary


def mel_of_steps() -> Array:
    """The rows of `MEL_BANK` in the order of the two steps: ``KEPT COLUMNS`` x `BANDS`.

    A power that occurs twice counts once.
    """
    r, c = np.ogrid[:KEPT, :COLUMNS]
    bins = np.minimum(r + ROWS * c, FRAME - r - ROWS * c).reshape(-1)
    found, first = np.unique(bins, return_index=True)
    bank = np.zeros((bins.size, BANDS), np.float32)
    bank[first] = MEL_BANK[found]
    return bank


WINDOW = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME) / FRAME)).astype(np.float32)
MEL_BANK = mel_bank()
FIRST_REAL, FIRST_IMAGINARY = first_step()
REAL, IMAGINARY = turns(np.outer(np.arange(COLUMNS), np.arange(COLUMNS)) / COLUMNS)
MEL_OF_STEPS = mel_of_steps()
MU_LAW_BASE = 256.0


def windowed_frames(samples):
    """Overlapping frames, each under a Hann window."""
    return tw.compute(
        (1 + (samples.shape[0] - FRAME) // HOP, FRAME),
        lambda t, k: samples[t * HOP + k] * WINDOW[k],
    )


def windowed_frames_numpy(samples):
    return sliding_window_view(samples, FRAME)[::HOP] * WINDOW


def pre_emphasis(samples):
    """High frequencies raised: x[t] - 0.97·x[t-1]."""
    return samples[1:] - 0.97 * samples[:-1]


def pre_emphasis_numpy(samples):
    out = samples[:-1] * -0.97
    out += samples[1:]
    return out


def mel_spectrogram(samples):
    """The logarithmic mel spectrogram, its Fourier transform two matrix products."""
    count = 1 + (samples.shape[0] - FRAME) // HOP

    def first(factors):
        at = lambda t, r, j, i: samples[t * HOP + COLUMNS * i + j] * factors[i, r, j]
        columns = tw.compute(
            (count, KEPT, COLUMNS), lambda t, r, j: tw.sum(lambda i: at(t, r, j, i), ROWS)
        )
        return columns.reshape(-1, COLUMNS)

    def second(left, right):
        product = lambda n, c, j: a[n, j] * left[j, c] + b[n, j] * right[j, c]
        return tw.compute(
            (count * KEPT, COLUMNS), lambda n, c: tw.sum(lambda j: product(n, c, j), COLUMNS)
        )

    a, b = first(FIRST_REAL), first(FIRST_IMAGINARY)
    real, imaginary = second(REAL, -IMAGINARY), second(IMAGINARY, REAL)
    power = (real * real + imaginary * imaginary).reshape(count, -1)
    return np.log(np.maximum(power @ MEL_OF_STEPS, 1e-5))


def mel_spectrogram_numpy(samples):
    spectrum = np.fft.rfft(windowed_frames_numpy(samples))
    power = np.square(spectrum.real)
    power += np.square(spectrum.imag)
    out = power @ MEL_BANK
    np.maximum(out, 1e-5, out=out)
    return np.log(out, out=out)


def decibels(power):
    """Power in decibels, at most 80 below the loudest."""
    level = 10 * np.log10(np.maximum(power, 1e-10))
    return np.maximum(level, level.max() - 80)


def decibels_numpy(power):
    out = np.maximum(power, 1e-10)
    np.log10(out, out=out)
    out *= 10
    return np.maximum(out, out.max() - 80, out=out)


def fir_filter(samples, taps):
    """A 64-tap filter, where it overlaps fully."""
    count = taps.shape[0]
    return tw.compute(
        samples.shape[0] - count + 1,
        lambda t: tw.sum(lambda k: samples[t + k] * taps[count - 1 - k], count),
    )


def fir_filter_numpy(samples, taps):
    return np.convolve(samples, taps, mode="valid")


def resample_44100_to_16000(samples):
    """Linear interpolation at a rational rate, its positions exact in integers."""
    count = (samples.shape[0] - 1) * 160 // 441

    def sample(t):
        left = t * 441 // 160
        fraction = t * 441 % 160 / 160
        return samples[left] + (samples[left + 1] - samples[left]) * fraction

    return tw.compute(count, sample)


def resample_44100_to_16000_numpy(samples):
    count = (samples.shape[0] - 1) * 160 // 441
    whole, rest = np.divmod(np.arange(count) * 441, 160)
    out = samples.take(whole)
    step = samples.take(whole + 1)
    step -= out
    step *= (rest / 160).astype(samples.dtype)
    out += step
    return out


def frame_loudness(samples):
    """The root mean square of each overlapping frame."""
    return tw.compute(
        1 + (samples.shape[0] - FRAME) // HOP,
        lambda t: np.sqrt(tw.sum(lambda k: samples[t * HOP + k] ** 2, FRAME) / FRAME),
    )


def frame_loudness_numpy(samples):
    frames = sliding_window_view(samples, FRAME)[::HOP]
    return np.sqrt(np.vecdot(frames, frames) * (1 / FRAME))


def mu_law_expand(codes):
    """8-bit mu-law to samples."""
    compressed = codes.astype(np.float32) * (2 / 255) - 1
    return np.sign(compressed) * (MU_LAW_BASE ** np.abs(compressed) - 1) / (MU_LAW_BASE - 1)


def mu_law_expand_numpy(codes, dtype=np.float32):
    # There are only 256 different samples.
    compressed = np.arange(256) * (2 / 255) - 1
    table = np.sign(compressed) * (MU_LAW_BASE ** np.abs(compressed) - 1) / (MU_LAW_BASE - 1)
    return table.astype(dtype).take(codes)


def tones(rng: np.random.Generator, count: int, rate: int) -> Array:
    """Six decaying tones and some noise."""
    time = np.arange(count) / rate
    signal = 0.01 * rng.standard_normal(count)
    for pitch in 110 * 2 ** (rng.random(6) * 5):
        signal += 0.15 * np.sin(2 * np.pi * pitch * time) * np.exp(-(time % 0.5) * 4)
    return signal.astype(np.float32)


def make_speech(rng: np.random.Generator) -> tuple[Array, ...]:
    return (tones(rng, 10 * RATE, RATE),)


def make_second_of_speech(rng: np.random.Generator) -> tuple[Array, ...]:
    return (tones(rng, RATE, RATE),)


def make_music(rng: np.random.Generator) -> tuple[Array, ...]:
    return (tones(rng, 441000, 44100),)


def make_filter(rng: np.random.Generator) -> tuple[Array, ...]:
    return tones(rng, 3 * RATE, RATE), rng.standard_normal(64, np.float32)


def make_codes(rng: np.random.Generator) -> tuple[Array, ...]:
    return (rng.integers(0, 256, 480_000, dtype=np.uint8),)


def make_power(rng: np.random.Generator) -> tuple[Array, ...]:
    (exponent,) = uniform((998, BINS), low=-12, high=3)(rng)
    return (np.power(np.float32(10), exponent),)


def _entry(
    kernel: Function,
    baseline: Function,
    make_inputs: MakeInputs,
    reference: Function | None = None,
    tolerance: str = "elementwise",
) -> Entry:
    reference = reference or in_float64(baseline)
    name = kernel.__name__
    return Entry(name, "audio", kernel, baseline, make_inputs, reference, tolerance)


ENTRIES = (
    _entry(windowed_frames, windowed_frames_numpy, make_speech),
    _entry(pre_emphasis, pre_emphasis_numpy, make_music),
    _entry(mel_spectrogram, mel_spectrogram_numpy, make_second_of_speech, tolerance="spectrum"),
    _entry(decibels, decibels_numpy, make_power),
    _entry(fir_filter, fir_filter_numpy, make_filter, tolerance="contraction"),
    _entry(resample_44100_to_16000, resample_44100_to_16000_numpy, make_music),
    _entry(frame_loudness, frame_loudness_numpy, make_speech, tolerance="reduction"),
    _entry(
        mu_law_expand,
        mu_law_expand_numpy,
        make_codes,
        functools.partial(mu_law_expand_numpy, dtype=np.float64),
    ),
)
