"""Tracing one function: arguments' specs in, a graph and the structure of its results out."""

from __future__ import annotations

import builtins
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from tilewright.compiler.argument_trees import Tree, assembled, leaf_names
from tilewright.compiler.cache.dependencies import Dependencies
from tilewright.compiler.interface import OutputInfo, SizeCheck, Structure
from tilewright.compiler.trace.failures import SpecializeScalars
from tilewright.compiler.trace.handles import Cell
from tilewright.compiler.trace.inspect_code import check_kernel
from tilewright.compiler.trace.operands import check_limits
from tilewright.compiler.trace.rebind import Rebinder
from tilewright.compiler.trace.results import collect
from tilewright.compiler.tracer import Tracer
from tilewright.compiler.tracing_state import tracing
from tilewright.ir import build
from tilewright.ir.errors import KernelError, OutOfMemoryError, TraceError
from tilewright.ir.expr import Size, Var, post_order
from tilewright.ir.graph import Graph, Input
from tilewright.ir.location import Location
from tilewright.ir.signature import ArgumentSpec, ArraySpec, ScalarSpec, StaticSpec


class Traced(Struct, frozen=True, eq=False):
    """A traced function.

    `graph.inputs` are the run-time arguments in order of `input_names`; `structure` says how the
    graph's outputs make up the result, and `outputs` what NumPy would have returned for each.
    `specs` are the arguments as traced: ints in `specialized` have become static.
    """

    graph: Graph
    structure: Structure
    outputs: tuple[OutputInfo, ...]
    specs: Mapping[str, ArgumentSpec]
    input_names: tuple[str, ...]
    specialized: frozenset[str]
    dependencies: Dependencies
    milliseconds: float = 0.0
    sizes: tuple[SizeCheck, ...] = ()

    def is_stale(self) -> bool:
        """Whether a global or captured value that the graph was made from has changed since."""
        return self.dependencies.is_stale()


def trace(
    function: Callable[..., Any],
    arguments: Mapping[str, ArgumentSpec] | Sequence[ArgumentSpec],
    *,
    name: str | None = None,
    values: Mapping[str, int | float] | None = None,
) -> Traced:
    """The graph of `function` for arguments of these specs.

    A scalar argument (`ScalarSpec`) whose value turns out to be needed as a shape, bound or
    condition is made static and the function traced again; its value is looked up in `values`.
    """
    plain = check_kernel(function)
    specs = _by_name(plain, arguments)
    specialized: set[str] = set()
    start = time.perf_counter()
    while True:
        try:
            made = _Run(plain, specs, name or plain.__name__, frozenset(specialized)).result()
            return replace(made, milliseconds=(time.perf_counter() - start) * 1e3)
        except SpecializeScalars as needed:
            for argument in needed.names:
                if values is None or argument not in values:
                    raise TraceError(
                        f"the value of {argument!r} is needed while tracing (as a size, a bound or "
                        "a condition), but only its type is given",
                        help=f"give {argument!r} as a static value",
                    ) from None
                specs[argument] = StaticSpec(values[argument])
                specialized.add(argument)


def _by_name(
    function: Any, arguments: Mapping[str, ArgumentSpec] | Sequence[ArgumentSpec]
) -> dict[str, ArgumentSpec]:
    code = function.__code__
    positional = code.co_varnames[: code.co_argcount]
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    if not isinstance(arguments, Mapping):
        if len(arguments) > len(positional):
            raise TraceError(
                f"{function.__name__} takes {len(positional)} positional arguments, "
                f"not {len(arguments)}"
            )
        arguments = dict(zip(positional, arguments, strict=False))
    leaves = {leaf for n in names if n in arguments for leaf in leaf_names(arguments, n)}
    for name in arguments:
        if name not in names and name not in leaves:
            raise TraceError(f"{function.__name__} has no argument {name!r}")
    defaults = function.__defaults__ or ()
    optional = {*positional[len(positional) - len(defaults) :], *(function.__kwdefaults__ or ())}
    for name in names:
        if name not in arguments and name not in optional:
            raise TraceError(f"{function.__name__} misses its argument {name!r}")
    given = (name for name in names if name in arguments)
    return {leaf: arguments[leaf] for name in given for leaf in leaf_names(arguments, name)}


class _Run:
    """One run of the function with traced arguments."""

    def __init__(
        self,
        function: Any,
        specs: Mapping[str, ArgumentSpec],
        name: str,
        specialized: frozenset[str],
    ) -> None:
        self._function = function
        self._specs = dict(specs)
        self._name = name
        self._specialized = specialized
        self._tracer = Tracer()
        self._rebinder = Rebinder(self._tracer)
        self._inputs: list[Input] = []
        self._symbols: dict[Var, None] = {}
        code = function.__code__
        self._loc = Location(code.co_filename, code.co_firstlineno, function=code.co_name)

    def result(self) -> Traced:
        with tracing(self._tracer):
            names = self._function.__code__.co_varnames
            arguments = {name: self._argument(name) for name in self._specs if name in names}
            try:
                returned = self._call(arguments)
                if self._tracer.refusals:  # the kernel's own `except` caught one and went on
                    raise self._tracer.refusals[0]
                outputs = collect(self._tracer, returned, self._loc)
            finally:
                self._tracer.finished = True
        self._rebinder.check_unchanged(self._function.__code__, self._loc)
        graph = Graph(
            self._name,
            tuple(self._inputs),
            outputs.tensors,
            tuple(self._symbols),
            tuple(self._tracer.frame.checks),
        )
        return Traced(
            graph,
            outputs.structure,
            outputs.infos,
            {n: self._as_found(n, s) for n, s in self._specs.items()},
            tuple(i.name for i in self._inputs),
            self._specialized,
            self._rebinder.dependencies,
            sizes=tuple(c for c in self._tracer.sizes if self._is_known(c.size)),
        )

    def _is_known(self, size: Size) -> bool:
        """Whether the host knows a size before the call: it may depend on a loop's counter."""
        nodes = [] if isinstance(size, int) else post_order([size])
        return all(node in self._symbols for node in nodes if isinstance(node, Var))

    def _as_found(self, name: str, spec: ArgumentSpec) -> ArgumentSpec:
        """The spec of an argument with the dtypes that its value has turned out to meet."""
        fits = self._tracer.fits.get(name)
        return replace(spec, fits=tuple(fits)) if fits and isinstance(spec, ScalarSpec) else spec

    def _argument(self, name: str) -> Any:
        tracer = self._tracer
        spec = self._specs[name]
        match spec:
            case StaticSpec(Tree() as tree):
                made = assembled(tree, self._argument, self._rebinder.made_object)
                if tree.form in ("dict", "sequence"):
                    self._rebinder.watch(name, made)
                return made
            case ArraySpec():
                check_limits(spec.shape)
                self._symbols.update(dict.fromkeys(s for s in spec.shape if isinstance(s, Var)))
                node = tracer.input(name, spec.shape, spec.dtype)
                self._inputs.append(node)
                if not spec.shape and spec.dtype.kind in "iub":
                    node.label = "int argument"  # a NumPy integer may be needed as a size, too
                owner = f"argument {name!r}"
                return type(tracer.wrap(node, (), spec.dtype))(
                    Cell(tracer, spec.shape, spec.dtype, value=node, owner=owner)
                )
            case ScalarSpec():
                node = tracer.input(name, (), spec.dtype)
                node.label = f"{spec.kind} argument"
                self._inputs.append(node)
                return tracer.weak(build.load(node))
            case StaticSpec():
                return self._static(spec.value, name)

    def _static(self, value: Any, name: str) -> Any:
        if isinstance(value, np.ndarray) or type(value) in (tuple, list, dict):
            return self._rebinder.translate(value, name)
        return self._rebinder.translate(value, name) if callable(value) else value

    def _call(self, arguments: Mapping[str, Any]) -> Any:
        code = self._function.__code__
        positional_only = [n for n in code.co_varnames[: code.co_posonlyargcount] if n in arguments]
        by_position = [arguments[n] for n in positional_only]
        by_name = {k: v for k, v in arguments.items() if k not in positional_only}
        try:
            return self._rebinder.function(self._function)(*by_position, **by_name)
        except RecursionError as error:
            raise TraceError(
                f"{self._name!r} calls itself without end, or its Python nests too deeply",
                loc=self._loc,
                help="use tw.loop or tw.while_loop",
            ) from error
        except MemoryError as error:
            raise OutOfMemoryError(
                f"a constant does not fit in memory: {error}",
                loc=_raised_at(error) or self._loc,
                help="make it smaller, or compute it in index form (tw.compute)",
            ) from error
        except NameError as error:
            if isinstance(error, KernelError):
                raise
            # A local that is read before it is assigned has a known name: nothing to suggest.
            candidates = () if isinstance(error, UnboundLocalError) else self._visible_names()
            raise self._unknown(error, candidates) from error
        except AttributeError as error:
            if isinstance(error, KernelError) or not isinstance(error.obj, ModuleType):
                raise
            raise self._unknown(error, dir(error.obj)) from error
        except Exception as error:
            cause = error.__cause__ or error.__context__
            if isinstance(cause, KernelError) and not isinstance(error, KernelError):
                raise cause from error  # NumPy has wrapped our error in one that says less
            if self._tracer.refusals and not isinstance(error, KernelError):
                raise self._tracer.refusals[0] from error
            if isinstance(error, TypeError):
                self._note_static_arguments(error)
            raise

    def _note_static_arguments(self, error: TypeError) -> None:
        """``None + 1`` is Python's own error, and says nothing of the argument that was None."""
        for name, spec in self._specs.items():
            if isinstance(spec, StaticSpec) and isinstance(
                spec.value, (str, bytes, type, np.dtype, type(None))
            ):
                error.add_note(f"note: argument {name!r} of kernel {self._name!r} is {spec}")

    def _unknown(self, error: NameError | AttributeError, candidates: Iterable[str]) -> TraceError:
        """A name that nothing has, with the nearest one that something has."""
        from difflib import get_close_matches

        close = get_close_matches(error.name or "", list(candidates), 1)
        return TraceError(
            str(error),
            loc=_raised_at(error) or self._loc,
            help=f"did you mean {close[0]!r}?" if close else None,
        )

    def _visible_names(self) -> list[str]:
        code = self._function.__code__
        names = (code.co_varnames, code.co_freevars, self._function.__globals__, vars(builtins))
        return [name for group in names for name in group]


def _raised_at(error: BaseException) -> Location | None:
    """The user's line at which `error` was raised."""
    from tilewright.compiler.trace.locations import ShadowGlobals, code_location

    found = None
    trail = error.__traceback__
    while trail is not None:
        if type(trail.tb_frame.f_globals) is ShadowGlobals:
            found = code_location(trail.tb_frame.f_code, trail.tb_lasti, trail.tb_lineno)
        trail = trail.tb_next
    return found
