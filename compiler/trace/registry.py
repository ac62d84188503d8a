"""Imports every module that enters functions in the table of `dispatch`."""

import tilewright.compiler.trace.numpy_creation
import tilewright.compiler.trace.numpy_diagonals
import tilewright.compiler.trace.numpy_differences
import tilewright.compiler.trace.numpy_elementwise
import tilewright.compiler.trace.numpy_gathering
import tilewright.compiler.trace.numpy_grids
import tilewright.compiler.trace.numpy_histograms
import tilewright.compiler.trace.numpy_joining
import tilewright.compiler.trace.numpy_linear_algebra
import tilewright.compiler.trace.numpy_nan_reductions
import tilewright.compiler.trace.numpy_padding
import tilewright.compiler.trace.numpy_questions
import tilewright.compiler.trace.numpy_rearranging
import tilewright.compiler.trace.numpy_reductions
import tilewright.compiler.trace.numpy_running
import tilewright.compiler.trace.numpy_shapes
import tilewright.compiler.trace.numpy_solvers
import tilewright.compiler.trace.numpy_sorting
import tilewright.compiler.trace.numpy_statistics
import tilewright.compiler.trace.numpy_strides
import tilewright.compiler.trace.ufuncs  # noqa: F401
