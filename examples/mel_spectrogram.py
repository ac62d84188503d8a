"""Speech -> the logarithmic mel spectrogram that speech models take in.

    python examples/mel_spectrogram.py

Frames, window, Fourier transform (as a product with two constant matrices), power, mel filters and
logarithm are one kernel, compiled once for each length of recording.
"""

from __future__ import annotations

import numpy as np

import tilewright as tw

RATE, FRAME, HOP, BANDS = 16000, 400, 160, 40
BINS = FRAME // 2 + 1
ANGLES = 2 * np.pi * (np.outer(np.arange(FRAME), np.arange(BINS)) % FRAME) / FRAME
WINDOW = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME) / FRAME)
COSINES, SINES = (
    (WINDOW[:, np.newaxis] * wave(ANGLES)).astype(np.float32) for wave in (np.cos, np.sin)
)


def mel_filters() -> np.ndarray:
    """Triangles, evenly spaced in mel: BINS x BANDS."""
    top = 2595 * np.log10(1 + RATE / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, BANDS + 2) / 2595) - 1)
    hertz = np.linspace(0, RATE / 2, BINS)[:, np.newaxis]
    rising = (hertz - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - hertz) / (edges[2:] - edges[1:-1])
    return np.maximum(0, np.minimum(rising, falling)).astype(np.float32)


FILTERS = mel_filters()


@tw.kernel
def mel_spectrogram(samples):
    frames = tw.compute(
        ((samples.shape[0] - FRAME) // HOP + 1, FRAME), lambda t, k: samples[t * HOP + k]
    )
    real, imaginary = frames @ COSINES, frames @ SINES
    power = real * real + imaginary * imaginary
    return np.log(np.maximum(power @ FILTERS, 1e-6))


if __name__ == "__main__":
    for seconds in (1, 3):
        time = np.arange(seconds * RATE) / RATE
        noise = np.random.default_rng(0).normal(size=time.size)
        tone = (np.sin(2 * np.pi * 1000 * time) + 0.1 * noise).astype(np.float32)
        spectrogram = mel_spectrogram(tone)
        print(f"{seconds} s: {spectrogram.shape}, loudest band {spectrogram.mean(axis=0).argmax()}")
    expected = mel_spectrogram.python(tone)
    print("largest difference from NumPy:", np.abs(spectrogram - expected).max())
