"""Kernels and compiled kernels as pickles, so that `multiprocessing` can pass them on.

A kernel is pickled as functions are, by the name that its module knows it under; what `on` and
`bind` made of it, by that name and the difference. A compiled kernel is the bytes of its file.
"""

from __future__ import annotations

import pickle
import sys
from operator import attrgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tilewright.compiler.api import Kernel
    from tilewright.compiler.compiled import Compiled


def reduce_kernel(kernel: Kernel) -> str | tuple[Any, ...]:
    """What `Kernel.__reduce__` returns."""
    home = sys.modules.get(kernel.__module__)
    try:
        named = attrgetter(kernel.__qualname__)(home)
    except AttributeError:
        named = None
    if named is kernel:
        by_name: str = kernel.__qualname__
        return by_name
    if not isinstance(named, type(kernel)) or named.python is not kernel.python:
        raise pickle.PicklingError(
            f"kernel {kernel.__qualname__!r} cannot be pickled, because the module"
            f" {kernel.__module__!r} does not hold it under this name; define it at the top of a"
            " module, or pass kernel.compile(…), which can be pickled"
        )
    return variant_of, (named, kernel.target, kernel.bound)


def variant_of(kernel: Kernel, target: str, bound: dict[str, Any]) -> Kernel:
    """The kernel for another target, or with arguments bound."""
    return kernel._variant(target=target, bound=bound)


def reduce_compiled(compiled: Compiled) -> tuple[Any, ...]:
    """What `Compiled.__reduce__` returns."""
    from tilewright.compiler.saved.load_kernel import from_bytes
    from tilewright.compiler.saved.save_kernel import to_bytes

    data = to_bytes(compiled.__name__, compiled.specialization, compiled._binder)
    return from_bytes, (data, f"a pickle of {compiled.__name__}")
