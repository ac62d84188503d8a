"""Runs a traced function through the graph interpreter and compares it with NumPy itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tilewright.compiler.interface import rebuild
from tilewright.compiler.trace.run import Traced, trace
from tilewright.ir import dtypes
from tilewright.ir.expr import Var
from tilewright.ir.interpret.graph import run_graph
from tilewright.ir.signature import ArgumentSpec, ArraySpec, ScalarSpec, StaticSpec
from tilewright.ir.verify import verify_graph

TOLERANCE = {"float16": 2e-3, "float32": 2e-6, "float64": 1e-14}


def spec_of(value: Any) -> ArgumentSpec:
    """What the driver will make of an argument."""
    if isinstance(value, (np.ndarray, np.generic)):
        dtype = dtypes.from_numpy(value.dtype)
        assert dtype is not None
        return ArraySpec(dtype, value.shape)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return StaticSpec(value)
    return ScalarSpec("float" if isinstance(value, float) else "int")


def traced(function: Callable[..., Any], *args: Any, **open_specs: ArgumentSpec) -> Traced:
    names = function.__code__.co_varnames[: len(args)]
    specs = {n: open_specs.get(n, spec_of(a)) for n, a in zip(names, args, strict=True)}
    values = {n: a for n, a in zip(names, args, strict=True) if type(a) in (int, float)}
    result = trace(function, specs, values=values)
    verify_graph(result.graph, strict=True)
    return result


def run(result: Traced, function: Callable[..., Any], args: Any, symbols: Any = None) -> Any:
    names = function.__code__.co_varnames[: len(args)]
    by_name = dict(zip(names, args, strict=True))
    inputs = []
    for node in result.graph.inputs:
        inputs.append(np.asarray(by_name[node.name], node.dtype.numpy))
    before = [np.array(i) for i in inputs]
    outputs = run_graph(result.graph, inputs, symbols)
    for old, new in zip(before, inputs, strict=True):
        np.testing.assert_array_equal(old, new)
    return rebuild(result.structure, outputs)


def check(
    function: Callable[..., Any],
    *args: Any,
    symbols: Mapping[Var, int] | None = None,
    tolerance: float | None = None,
    **open_specs: ArgumentSpec,
) -> Traced:
    """Trace, interpret and compare values, dtypes and shapes; returns the trace."""
    result = traced(function, *args, **open_specs)
    got = run(result, function, args, symbols)
    with np.errstate(all="ignore"):
        expected = function(*(a.copy() if isinstance(a, np.ndarray) else a for a in args))
    same(got, expected, tolerance)
    return result


def same(got: Any, expected: Any, tolerance: float | None = None) -> None:
    if isinstance(expected, (tuple, list)):
        assert type(got) is type(expected)
        assert len(got) == len(expected)
        for g, e in zip(got, expected, strict=True):
            same(g, e, tolerance)
        return
    if isinstance(expected, dict):
        assert list(got) == list(expected)
        same(list(got.values()), list(expected.values()), tolerance)
        return
    wanted = np.asarray(expected)
    assert got.dtype == wanted.dtype, f"dtype {got.dtype} instead of {wanted.dtype}"
    assert got.shape == wanted.shape, f"shape {got.shape} instead of {wanted.shape}"
    if wanted.dtype.kind != "f":
        np.testing.assert_array_equal(got, wanted)
        return
    relative = tolerance or TOLERANCE[wanted.dtype.name]
    finite = wanted[np.isfinite(wanted)]
    scale = float(np.abs(finite).max()) if finite.size else 1.0
    np.testing.assert_allclose(got, wanted, rtol=relative, atol=relative * scale)
