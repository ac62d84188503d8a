"""The part of the gallery that suites run."""

from __future__ import annotations

from benchmarks.gallery import Entry, entries

ENTRIES: dict[str, Entry] = {entry.name: entry for entry in entries()}

# One kernel of each kind of code: the whole gallery would take asv an hour.
TYPICAL = (
    "silu",
    "softmax",
    "layer_norm",
    "matmul_256",
    "attention",
    "conv3x3",
    "gaussian_blur",
    "median3x3",
    "letterbox",
    "mel_spectrogram",
    "top_k",
    "iou_matrix",
)
