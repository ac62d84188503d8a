"""What made a value float64 is named, and what to write instead, where a target has no float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tilewright as tw

F, D, U, N = tw.f32[4], tw.f64[4], tw.u8[4], tw.i32[4]
C = np.array([0.5, 0.25, 0.5, 1.0])
DEMOTE = ', or compile with f64="f32", which computes it in float32'
PROMOTED = "convert that to float32 first, with x.astype(np.float32)"
WIDENED = (
    "it converts float32 to float64",
    "leave that conversion out, or use a function that keeps float32",
)
READS_ARRAY = (
    "it reads a float64 array of shape (4,)",
    "make that array float32 where it is made, with .astype(np.float32)",
)


def promoted(dtype: str) -> tuple[str, str]:
    return f"NumPy promotes its {dtype} operand to float64", PROMOTED


def literal(value: float) -> tuple[str, str]:
    return (
        f"the constant {value} is float64",
        f"make it float32, as in np.float32({value}) or with dtype=np.float32",
    )


OPERATIONS: dict[str, tuple[Callable[..., Any], Any, str, tuple[str, str]]] = {
    "argument": (
        lambda x: x * 2, D, "np.multiply",
        ("argument 'x' is float64", "pass x.astype(np.float32)"),
    ),
    "bytes": (lambda x: x / 255.0, U, "np.divide", promoted("uint8")),
    "int": (lambda x: x * 0.5, N, "np.multiply", promoted("int32")),
    "bool": (lambda x: (x > 0) * 0.5, F, "np.multiply", promoted("bool")),
    "mean": (lambda x: x.mean(), N, "np.mean", promoted("int32")),
    "root": (lambda x: np.sqrt(x), N, "np.sqrt", promoted("int32")),
    "array": (lambda x: x - C, F, "np.subtract", READS_ARRAY),
    "linspace": (lambda x: np.linspace(0, 1, 4) * x, F, "np.multiply", READS_ARRAY),
    "constant": (lambda x: x * np.float64(0.1), F, "np.multiply", literal(0.1)),
    "zeros": (lambda x: x + np.zeros(4), F, "np.add", literal(0.0)),
    "choice": (lambda x: np.where(x > 0, x, np.float64(2)), F, "np.where", literal(2.0)),
    "conversion": (lambda x: x.astype(np.float64) + 1, F, "astype", WIDENED),
    "only a conversion": (lambda x: x.astype(np.float64), F, "astype", WIDENED),
    "sum": (lambda x: np.sum(x, dtype=np.float64), F, "np.add.reduce", WIDENED),
    "interpolation": (lambda x: np.interp(x, np.arange(3.0), C[:3]), F, "astype", WIDENED),
    "counting": (
        lambda x: np.bincount(x, weights=x * 0.5, minlength=4), N, "np.multiply",
        promoted("int32"),
    ),
    "loop": (
        lambda x: tw.loop(3, lambda i, s: s * 0.5 + x.sum(), np.float64(1)), F, "np.multiply",
        ("a loop carries or reads float64", "start it with .astype(np.float32)"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("target", ["wgsl", "glsl"])
def test_operations(name: str, target: str) -> None:
    function, spec, label, (reason, help) = OPERATIONS[name]
    with pytest.raises(tw.UnsupportedError) as caught:
        tw.kernel(function).compile(spec, target=target)
    assert caught.value.message == (
        f"target {target!r} has no float64, but {label} has that dtype: {reason}"
    )
    assert caught.value.help == help + DEMOTE
    assert caught.value.loc is not None


RESULTS: dict[str, tuple[Callable[..., Any], Any, str, str]] = {
    "argument": (lambda x: x, D, "argument 'x' is float64", "pass x.astype(np.float32)"),
    "unread": (lambda x: np.float32(1), D, "argument 'x' is float64", "pass x.astype(np.float32)"),
    "zeros": (lambda x: np.zeros(4), F, "the result of full is float64", "return a float32 value"),
}


@pytest.mark.parametrize("name", RESULTS)
def test_arguments_and_results(name: str) -> None:
    function, spec, reason, help = RESULTS[name]
    with pytest.raises(tw.UnsupportedError) as caught:
        tw.kernel(function).compile(spec, target="wgsl")
    assert caught.value.message == f"target 'wgsl' has no float64, but {reason}"
    assert caught.value.help == help + DEMOTE


NARROW: dict[str, tuple[Callable[..., Any], Any]] = {
    "weak floats": (lambda x: x * 0.5 + 1, F),
    "float32 constants": (lambda x: x * np.float32(0.1), F),
    "a conversion first": (lambda x: x.astype(np.float32) / 255.0, U),
    "what is not read": (lambda x: (x.astype(np.float64) + 1, x + 1)[1], F),
}


@pytest.mark.parametrize("name", NARROW)
@pytest.mark.parametrize("target", ["wgsl", "glsl"])
def test_what_stays_float32(name: str, target: str) -> None:
    function, spec = NARROW[name]
    tw.kernel(function).compile(spec, target=target)


@pytest.mark.parametrize("name", [n for n in OPERATIONS if n != "argument"])
def test_demoted_where_asked(name: str) -> None:
    function, spec, _, _ = OPERATIONS[name]
    compiled = tw.kernel(f64="f32")(function).compile(spec, target="wgsl")
    assert "f64" not in compiled.source
