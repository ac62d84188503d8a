"""Tilewright: NumPy kernels, written once, compiled for the CPU, WebGPU, WebGL and WebAssembly.

This module is the whole public surface, and it holds no code of its own: each name is imported
from the module that defines it at its first use (PEP 562). So `import tilewright` stays within a
few milliseconds, and a program that only loads artifacts never imports the compiler.
"""

from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:  # the same names as _HOMES, where type checkers and editors can read them
    from tilewright.compiler import testing as testing
    from tilewright.compiler.api import Kernel as Kernel
    from tilewright.compiler.api import kernel as kernel
    from tilewright.compiler.device_arrays import device_array as device_array
    from tilewright.compiler.device_choice import choose_device as choose_device
    from tilewright.compiler.functions import cbrt as cbrt
    from tilewright.compiler.functions import erf as erf
    from tilewright.compiler.functions import erfc as erfc
    from tilewright.compiler.functions import gelu as gelu
    from tilewright.compiler.functions import leaky_relu as leaky_relu
    from tilewright.compiler.functions import log_softmax as log_softmax
    from tilewright.compiler.functions import logsumexp as logsumexp
    from tilewright.compiler.functions import relu as relu
    from tilewright.compiler.functions import rsqrt as rsqrt
    from tilewright.compiler.functions import sigmoid as sigmoid
    from tilewright.compiler.functions import silu as silu
    from tilewright.compiler.functions import softmax as softmax
    from tilewright.compiler.functions import softplus as softplus
    from tilewright.compiler.index_form import argmax as argmax
    from tilewright.compiler.index_form import argmin as argmin
    from tilewright.compiler.index_form import at as at
    from tilewright.compiler.index_form import compute as compute
    from tilewright.compiler.index_form import loop as loop
    from tilewright.compiler.index_form import max as max
    from tilewright.compiler.index_form import min as min
    from tilewright.compiler.index_form import prod as prod
    from tilewright.compiler.index_form import sum as sum
    from tilewright.compiler.index_form import while_loop as while_loop
    from tilewright.compiler.saved.load_kernel import load as load
    from tilewright.ir.element_types import bool_ as bool_
    from tilewright.ir.element_types import dim as dim
    from tilewright.ir.element_types import f16 as f16
    from tilewright.ir.element_types import f32 as f32
    from tilewright.ir.element_types import f64 as f64
    from tilewright.ir.element_types import i8 as i8
    from tilewright.ir.element_types import i16 as i16
    from tilewright.ir.element_types import i32 as i32
    from tilewright.ir.element_types import i64 as i64
    from tilewright.ir.element_types import u8 as u8
    from tilewright.ir.element_types import u16 as u16
    from tilewright.ir.element_types import u32 as u32
    from tilewright.ir.element_types import u64 as u64
    from tilewright.ir.errors import BoundsError as BoundsError
    from tilewright.ir.errors import CacheWarning as CacheWarning
    from tilewright.ir.errors import DeviceError as DeviceError
    from tilewright.ir.errors import DeviceLostError as DeviceLostError
    from tilewright.ir.errors import DTypeError as DTypeError
    from tilewright.ir.errors import IntegerRangeError as IntegerRangeError
    from tilewright.ir.errors import IRError as IRError
    from tilewright.ir.errors import KernelError as KernelError
    from tilewright.ir.errors import LimitError as LimitError
    from tilewright.ir.errors import MissingAttributeError as MissingAttributeError
    from tilewright.ir.errors import ModelError as ModelError
    from tilewright.ir.errors import NarrowingWarning as NarrowingWarning
    from tilewright.ir.errors import NegativePowerError as NegativePowerError
    from tilewright.ir.errors import OutOfMemoryError as OutOfMemoryError
    from tilewright.ir.errors import OutputError as OutputError
    from tilewright.ir.errors import RespecializationWarning as RespecializationWarning
    from tilewright.ir.errors import RunnerWarning as RunnerWarning
    from tilewright.ir.errors import SavedKernelError as SavedKernelError
    from tilewright.ir.errors import ShapeError as ShapeError
    from tilewright.ir.errors import TilewrightError as TilewrightError
    from tilewright.ir.errors import TraceError as TraceError
    from tilewright.ir.errors import UnsupportedError as UnsupportedError
else:  # hidden from type checkers: with a module-level __getattr__ every misspelt name would pass
    from importlib import import_module as _import_module

    _HOMES = {
        "tilewright.compiler.api": "Kernel kernel",
        "tilewright.compiler.device_arrays": "device_array",
        "tilewright.compiler.device_choice": "choose_device",
        "tilewright.compiler.functions": (
            "cbrt erf erfc gelu leaky_relu log_softmax logsumexp relu rsqrt sigmoid silu softmax "
            "softplus"
        ),
        "tilewright.compiler.index_form": (
            "argmax argmin at compute loop max min prod sum while_loop"
        ),
        "tilewright.compiler.saved.load_kernel": "load",
        "tilewright.compiler.testing": "testing",  # the module itself
        "tilewright.ir.errors": (
            "BoundsError CacheWarning DTypeError DeviceError DeviceLostError IRError "
            "IntegerRangeError KernelError LimitError MissingAttributeError ModelError "
            "NarrowingWarning NegativePowerError OutOfMemoryError OutputError "
            "RespecializationWarning RunnerWarning SavedKernelError ShapeError TilewrightError "
            "TraceError UnsupportedError"
        ),
        "tilewright.ir.element_types": "bool_ dim f16 f32 f64 i16 i32 i64 i8 u16 u32 u64 u8",
    }
    _HOME_OF = {name: module for module, names in _HOMES.items() for name in names.split()}

    # No __all__: `from tilewright import *` would hide the built-in sum, max and min.

    def __getattr__(name: str) -> object:
        """Import the module that defines `name`, and keep the object for the next access."""
        if name not in _HOME_OF:
            message = f"module 'tilewright' has no attribute {name!r}"
            raise AttributeError(message, name=name, obj=_import_module(__name__))
        from tilewright.compiler import collections_paused

        with collections_paused():
            home = _import_module(_HOME_OF[name])
        is_module = home.__name__.rpartition(".")[2] == name
        value = home if is_module else getattr(home, name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({"__version__", *_HOME_OF})
