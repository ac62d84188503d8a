"""The table of traced NumPy functions, and the way into it.

`implements(np.sum)` enters a function of ours that mirrors NumPy's signature; `dispatch` runs a
call. Calls on values that are all known while tracing are answered by NumPy itself, so every
NumPy function works there; on traced values a function without an entry is an error that says so.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np

from tilewright.compiler.trace.failures import failure
from tilewright.compiler.trace.handles import Handle
from tilewright.compiler.trace.registry import home_of
from tilewright.compiler.trace.selections import call as call_selected
from tilewright.compiler.trace.selections import selected
from tilewright.compiler.tracing_state import current
from tilewright.ir.errors import (
    BoundsError,
    DTypeError,
    KernelError,
    ShapeError,
    TraceError,
    UnsupportedError,
)

Implementation = Callable[..., Any]

IMPLEMENTATIONS: dict[Callable[..., Any], Implementation] = {}
"""Filled by the `numpy_*` modules, each imported at the first call of a function of its own."""

_ALWAYS_TRACED: set[Callable[..., Any]] = set()

EFFECTS = frozenset(
    [
        "fromfile",
        "fromregex",
        "genfromtxt",
        "info",
        "load",
        "loadtxt",
        "memmap",
        "open_memmap",
        "save",
        "savetxt",
        "savez",
        "savez_compressed",
        "set_printoptions",
        "setbufsize",
        "seterr",
        "seterrcall",
        "show_config",
        "show_runtime",
        "PytestTester",  # np.test
    ]
)
"""NumPy functions that read files or change NumPy's own state: never run while tracing."""

_SIZE = "its result's size depends on the data"
_ALTERNATIVES = {
    "unique": f"{_SIZE}; sort, then mark where neighbours differ",
    "union1d": f"{_SIZE}; sort both together, then mark where neighbours differ",
    "intersect1d": f"{_SIZE}; mark the common elements with np.isin(a, b)",
    "setdiff1d": f"{_SIZE}; mark the elements to keep with ~np.isin(a, b)",
    "setxor1d": f"{_SIZE}; mark the elements with np.isin",
    "argwhere": f"{_SIZE}; use np.where(condition, a, b)",
    "trim_zeros": f"{_SIZE}; mark what to keep, or slice by known bounds",
    "i0": "its series is np.polyval of known coefficients",
    "vectorize": "call the function on whole arrays, or use tw.compute",
    "nditer": "loop with tw.compute or tw.loop",
    **dict.fromkeys(
        ("fft", "ifft", "rfft", "irfft", "fft2", "ifft2", "rfft2", "fftn", "hfft", "ihfft"),
        "kernels hold no complex numbers; for a real spectrum multiply by tables of cosines and "
        "sines: t = 2 * np.pi * np.outer(np.arange(n), np.arange(n // 2 + 1)) / n; "
        "re, im = x @ np.cos(t), -x @ np.sin(t)",
    ),
    **dict.fromkeys(
        ("eig", "eigh", "eigvals", "eigvalsh", "svd", "svdvals", "pinv", "cond", "matrix_rank"),
        "compute it outside of the kernel and pass the result; for one extreme eigenvalue, "
        "iterate v = a @ v; v = v / np.linalg.norm(v) with tw.loop",
    ),
    "lstsq": "solve the normal equations: np.linalg.solve(a.T @ a, a.T @ b)",
}


def implements(
    *functions: Callable[..., Any], always: bool = False
) -> Callable[[Implementation], Implementation]:
    """Enter the decorated function as what NumPy's `functions` do to traced arrays.

    With `always` it is also called when nothing is traced: functions that make arrays (a large
    one should be a node, not a constant), and those whose result shares its operand's storage.
    """

    def enter(implementation: Implementation) -> Implementation:
        for function in functions:
            IMPLEMENTATIONS[function] = implementation
            if always:
                _ALWAYS_TRACED.add(function)
        return implementation

    return enter


def implementation_of(function: Any) -> Implementation | None:
    """What mirrors NumPy's `function`, if anything does; its module is imported now."""
    home = home_of(function)
    if home is not None:
        import_module(home)  # waits where another thread has begun to
    return IMPLEMENTATIONS.get(function)


def dispatch(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Call NumPy's `function` on values of a kernel that is being traced."""
    implementation = implementation_of(function)
    if selected(args) is not None or (kwargs and selected([*kwargs.values()]) is not None):
        return call_selected(function, args, kwargs)
    if function not in _ALWAYS_TRACED and not has_traced((*args, *kwargs.values())):
        return fold(function, args, kwargs)
    if implementation is None:
        raise unsupported(function)
    if kwargs.get("out") is not None and "out" not in _parameters(implementation):
        return _with_out(implementation, args, dict(kwargs))
    try:
        return implementation(*args, **kwargs)
    except TypeError as error:
        refused = _signature_error(function, implementation, args, kwargs)
        if refused is None:
            raise
        raise refused from error


def has_traced(values: Sequence[Any]) -> bool:
    """Whether any of `values` (looking into lists and tuples) is known only at run time."""
    for value in values:
        if isinstance(value, Handle):
            if not value.is_known:
                return True
        elif type(value) in (list, tuple):
            if has_traced(value):
                return True
        elif type(value) is slice and has_traced((value.start, value.stop, value.step)):
            return True
    return False


def fold(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Have NumPy compute on known values; arrays become handles on known cells again."""
    refused = _random_part(function)
    if refused:
        raise failure(
            TraceError,
            f"{refused} would give the same numbers at every call of a compiled kernel",
            help="make the random numbers outside and pass them as an argument",
        )
    if callable_name(function).rpartition(".")[2] in EFFECTS:
        raise failure(
            TraceError,
            f"{callable_name(function)} would run while the kernel is compiled, not at its calls",
            help="call it outside of the kernel, and pass the array",
        )
    out = kwargs.get("out")
    if out is not None:
        implementation = implementation_of(function)
        if implementation is None:
            raise unsupported(function)
        if "out" in _parameters(implementation):
            return implementation(*args, **kwargs)
        return _with_out(implementation, args, dict(kwargs))
    try:
        result = function(*map(bare, args), **{k: bare(v) for k, v in kwargs.items()})
    except KernelError:
        raise
    except (ValueError, TypeError, IndexError, ArithmeticError) as error:
        raise _located(error) from error
    return clothe(result)


def _located(error: Exception) -> KernelError:
    """NumPy's error as one of ours, at the user's line."""
    kinds: dict[type[Exception], type[KernelError]] = {
        IndexError: BoundsError,
        ValueError: ShapeError,
        TypeError: DTypeError,
    }
    kind = next((k for base, k in kinds.items() if isinstance(error, base)), TraceError)
    return failure(kind, str(error))


def bare(value: Any) -> Any:
    """`value` as NumPy takes it: known handles as arrays, our stand-ins for types as the types."""
    if isinstance(value, Handle):
        return value.known()
    if type(value) in (list, tuple):
        return type(value)(bare(v) for v in value)
    return getattr(value, "__tilewright_stands_for__", value)


def clothe(value: Any) -> Any:
    """What NumPy returned, arrays as handles on known cells."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "biuf":
            return value
        tracer = current()
        assert tracer is not None
        return tracer.known(np.array(value)).as_boxed()
    if type(value) in (list, tuple):
        return type(value)(clothe(v) for v in value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(clothe(v) for v in value))
    return value


def _with_out(implementation: Implementation, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Compute, then write into `out` with NumPy's same-kind rule."""
    out = kwargs.pop("out")
    if isinstance(out, tuple) and len(out) == 1:
        out = out[0]
    result = implementation(*args, **kwargs)
    return write_out(result, out)


def write_out(result: Any, out: Any, what: str = "a result") -> Any:
    """Write `result` into the array `out` that the user gave, and return `out`."""
    from tilewright.compiler.trace.indexing import store
    from tilewright.compiler.trace.operands import as_array

    if isinstance(out, tuple):
        pairs = zip(result, out, strict=True)
        return tuple(r if o is None else write_out(r, o) for r, o in pairs)
    if not isinstance(out, Handle):
        raise failure(TraceError, f"out must be an array of this kernel, not {type(out).__name__}")
    source = as_array(result)
    if source.sizes != out.sizes:
        raise failure(ShapeError, f"out has another shape than the result: {out} and {source}")
    if not np.can_cast(source.element_type.numpy, out.element_type.numpy, "same_kind"):
        raise failure(
            DTypeError,
            f"{what} is {source.element_type}, which does not go into an array of "
            f"{out.element_type}",
            help=f"convert the array first, x = x.astype(np.{source.element_type.numpy}), or the "
            "operand",
        )
    store(out, ..., source)
    return out


def _parameters(implementation: Implementation) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(implementation).parameters


def _signature_error(
    function: Any, implementation: Implementation, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> KernelError | None:
    """The error for arguments that NumPy takes and we do not, if that is what went wrong."""
    signature = inspect.signature(implementation)
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        name = callable_name(function)
        if _is_numpys_error(function, args, kwargs):
            return failure(DTypeError, f"{name} {error}", help=_nearest(function, kwargs))
        return failure(
            UnsupportedError,
            f"{name} is not supported with these arguments: {error}",
            help=f"supported: {name}{_shown(signature)}",
        )
    return None


def _is_numpys_error(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether NumPy, too, refuses such arguments, whatever they are."""
    try:
        inspect.signature(function).bind(*args, **kwargs)
    except TypeError:
        return True
    except ValueError:  # a built-in without a signature
        pass
    return False


def _nearest(function: Any, kwargs: Mapping[str, Any]) -> str | None:
    """The parameter whose name a wrong keyword may mean."""
    from difflib import get_close_matches

    names = list(inspect.signature(function).parameters)
    for keyword in kwargs:
        close = [] if keyword in names else get_close_matches(keyword, names, 1)
        if close:
            return f"did you mean {close[0]!r}?"
    return None


def _shown(signature: inspect.Signature) -> str:
    names = []
    for parameter in signature.parameters.values():
        optional = parameter.default is not inspect.Parameter.empty
        names.append(f"{parameter.name}={parameter.default!r}" if optional else parameter.name)
    return f"({', '.join(names)})"


def unsupported(function: Any) -> KernelError:
    """The error for a NumPy function that has no entry, with what to use instead."""
    name = callable_name(function)
    alternative = _ALTERNATIVES.get(
        name.rpartition(".")[2],
        "compute it outside of the kernel and pass the result, or write it with other NumPy"
        " functions",
    )
    return failure(UnsupportedError, f"{name} is not supported on traced arrays", help=alternative)


def callable_name(function: Any) -> str:
    """``np.add``, ``np.linalg.inv``: how the user wrote it."""
    name = getattr(function, "__name__", None) or type(function).__name__
    module = getattr(function, "__module__", None) or "numpy"
    owner = getattr(function, "__self__", None)
    if isinstance(owner, np.ufunc):
        return f"np.{owner.__name__}.{name}"
    if module.startswith("numpy"):
        inner = module.removeprefix("numpy").removeprefix(".")
        public = [p for p in inner.split(".") if p and not p.startswith("_")]
        kept = [p for p in public if p in ("linalg", "fft", "random", "ma", "char", "polynomial")]
        return ".".join(["np", *kept[:1], name])
    return f"{module}.{name}"


def _random_part(function: Any) -> str:
    module = getattr(function, "__module__", None) or ""
    owner = getattr(function, "__self__", None)
    owned = type(owner).__module__ if owner is not None else ""
    if module.startswith("numpy.random") or owned.startswith("numpy.random"):
        return f"np.random.{getattr(function, '__name__', 'random')}"
    return ""


def flatten(values: Any) -> Iterator[Any]:
    """The leaves of nested lists and tuples."""
    if isinstance(values, (list, tuple)):
        for value in values:
            yield from flatten(value)
    else:
        yield values
