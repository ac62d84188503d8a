"""Which module implements which functions of NumPy, told without importing any of them.

`dispatch` asks `home_of` for each function that a kernel calls, and imports that module only: most
kernels call a handful of functions, and all modules together take milliseconds to import.
A test compares this table with what the modules enter.
"""

from __future__ import annotations

from functools import lru_cache
from operator import attrgetter
from typing import Any, Final

import numpy as np

_PACKAGE: Final = "tilewright.compiler.trace"
FUNCTIONS: Final = {
    "numpy_creation": (
        "zeros ones empty full zeros_like ones_like empty_like full_like array asarray "
        "asanyarray asfortranarray require ascontiguousarray copy astype copyto fill_diagonal"
    ),
    "numpy_diagonals": "tril triu diagonal linalg.diagonal trace linalg.trace diag",
    "numpy_differences": "diff ediff1d gradient unwrap",
    "numpy_elementwise": (
        "where nonzero flatnonzero select choose clip round around fix nan_to_num real "
        "real_if_close imag isreal iscomplex isposinf isneginf sinc angle isclose allclose "
        "array_equal array_equiv interp isin piecewise"
    ),
    "numpy_gathering": (
        "take take_along_axis put_along_axis put place putmask compress extract resize "
        "unravel_index ravel_multi_index"
    ),
    "numpy_grids": (
        "arange linspace logspace eye identity tri indices meshgrid fromfunction vander "
        "diagflat geomspace ix_ tril_indices_from triu_indices_from diag_indices_from"
    ),
    "numpy_histograms": "bincount histogram histogram_bin_edges histogram2d histogramdd",
    "numpy_inserting": "delete insert",
    "numpy_joining": (
        "concatenate stack vstack hstack dstack column_stack block append array_split split "
        "unstack hsplit vsplit dsplit"
    ),
    "numpy_linear_algebra": (
        "matmul dot vdot inner vecdot linalg.vecdot matvec vecmat linalg.matmul outer "
        "linalg.outer tensordot linalg.tensordot einsum kron cross linalg.cross linalg.norm "
        "linalg.vector_norm linalg.matrix_norm linalg.multi_dot linalg.matrix_power convolve "
        "correlate matrix_transpose linalg.matrix_transpose"
    ),
    "numpy_nan_reductions": (
        "nansum nanprod nanmax nanmin nanmean nanvar nanstd nanargmax nanargmin"
    ),
    "numpy_padding": "pad",
    "numpy_polynomials": "polyval polyadd polysub polymul polyder polyint poly polyfit",
    "numpy_quantiles": "quantile percentile nanquantile nanpercentile median nanmedian",
    "numpy_repeated_calls": "apply_along_axis apply_over_axes",
    "numpy_questions": (
        "shape ndim size iterable result_type can_cast iscomplexobj isrealobj isscalar "
        "broadcast_shapes"
    ),
    "numpy_rearranging": "flip fliplr flipud rot90 roll tile repeat",
    "numpy_reductions": (
        "sum prod max amax min amin all any mean var std argmax argmin count_nonzero"
    ),
    "numpy_running": "cumsum cumprod nancumsum nancumprod cumulative_sum cumulative_prod",
    "numpy_shapes": (
        "reshape ravel transpose moveaxis swapaxes rollaxis expand_dims squeeze atleast_1d "
        "atleast_2d atleast_3d broadcast_to broadcast_arrays "
        "lib.stride_tricks.sliding_window_view"
    ),
    "numpy_solvers": "linalg.solve linalg.inv linalg.det linalg.slogdet linalg.cholesky",
    "numpy_sorting": ("sort argsort partition argpartition lexsort searchsorted digitize"),
    "numpy_statistics": "average ptp trapezoid cov corrcoef",
    "numpy_strides": "lib.stride_tricks.as_strided unpackbits packbits",
}
"""The names of functions in NumPy, by the module of this folder that implements them."""


def home_of(function: Any) -> str | None:
    """The full name of the module that implements NumPy's `function`, if one does."""
    return _homes().get(function)


@lru_cache(maxsize=1)
def _homes() -> dict[Any, str]:
    return {
        attrgetter(name)(np): f"{_PACKAGE}.{module}"
        for module, names in FUNCTIONS.items()
        for name in names.split()
    }
