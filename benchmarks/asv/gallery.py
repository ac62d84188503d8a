"""The gallery, for suites: asv imports them from a folder of its own choosing."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

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
