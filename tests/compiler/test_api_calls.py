"""Calling kernels: arguments, `out`, and when a kernel is compiled again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tilewright as tw

X = np.arange(24, dtype=np.float32).reshape(4, 6)


def two(a: Any) -> Any:
    return a + 1, a * 2


def test_arguments_bind_as_in_python() -> None:
    kernel = tw.kernel(lambda a, b=2.0: a * b + 1)
    np.testing.assert_array_equal(kernel(X), X * 2 + 1)
    np.testing.assert_array_equal(kernel(b=X, a=X), X * X + 1)
    for call in (lambda: kernel(), lambda: kernel(X, X, X), lambda: kernel(X, c=1)):
        with pytest.raises(TypeError):
            call()


@pytest.mark.parametrize("shift", [-1, 0, 1])
def test_out_may_overlap_the_argument(shift: int) -> None:
    kernel = tw.kernel(lambda a: a * 2 + 1)
    memory = np.arange(12, dtype=np.float32)
    source, target = memory[1:-1], memory[1 + shift : 11 + shift]
    wanted = source * 2 + 1
    assert kernel(source, out=target) is target
    np.testing.assert_array_equal(target, wanted)


@pytest.mark.parametrize(
    ("out", "kind", "said"),
    [
        (
            np.zeros((4, 5), np.float32),
            tw.ShapeError,
            "out has shape (4, 5), the result has (4, 6)",
        ),
        (np.zeros((4, 6)), tw.DTypeError, "out has dtype float64, the result has float32"),
        (np.zeros((4, 6), ">f4"), tw.DTypeError, "out has dtype >f4, the result has float32"),
        (np.frombuffer(bytes(96), np.float32).reshape(4, 6), ValueError, "out is read-only"),
    ],
)
def test_out_that_does_not_fit_is_refused(out: Any, kind: type[Exception], said: str) -> None:
    before = out.tobytes()
    with pytest.raises(kind) as caught:
        tw.kernel(lambda a: a * 2)(X, out=out)
    assert str(caught.value).startswith(said)
    assert out.tobytes() == before


def test_nothing_is_written_unless_every_out_fits() -> None:
    first, second = np.zeros_like(X), np.zeros((5, 6), np.float32)[:, ::-1]
    with pytest.raises(tw.ShapeError):
        tw.kernel(two)(X, out=(first, second))
    assert not first.any()


def test_out_keeps_the_structure_of_the_result() -> None:
    given = np.empty_like(X)
    got = tw.kernel(lambda a: {"x": a + 1, "y": [a.sum()]})(X, out=(given, None))
    assert got["x"] is given
    assert type(got["y"][0]) is np.float32


def test_a_result_that_is_returned_twice_goes_into_two_arrays() -> None:
    first, second, strided = np.zeros(4), np.zeros(4), np.zeros(8)[::-2]
    kernel = tw.kernel(lambda a: (a * 2, a.sum(), (a * 2).ravel(), a * 2))
    for start in (0.0, 1.0, 2.0):  # from the second call on by another path
        a = np.arange(4) + start
        got = kernel(a, out=(first, None, second, strided))
        assert [got[k] is out for k, out in ((0, first), (2, second), (3, strided))] == [True] * 3
        for array in (first, second, strided):
            np.testing.assert_array_equal(array, a * 2)
    assert [len(r) for r in (kernel(a)[0], kernel(a)[2])] == [4, 4]


def test_out_without_elements_may_have_any_strides() -> None:
    empty = np.lib.stride_tricks.as_strided(np.zeros((3, 0), np.float32), strides=(0, 4))
    assert tw.kernel(lambda a: a * 2)(np.zeros((3, 0), np.float32), out=empty) is empty


@pytest.mark.parametrize(("shape", "strides"), [((3, 2), (4, 8)), ((2, 3), (8, 4)), ((2,), (0,))])
def test_out_whose_elements_share_memory_is_refused(
    shape: tuple[int, ...], strides: tuple[int, ...]
) -> None:
    shared = np.lib.stride_tricks.as_strided(np.zeros(10, np.float32), shape, strides)
    with pytest.raises(ValueError, match="share memory"):
        tw.kernel(lambda a: a * 2)(np.zeros(shape, np.float32), out=shared)


def test_out_may_have_gaps() -> None:
    apart = np.lib.stride_tricks.as_strided(np.zeros(10, np.float32), (3, 2), (4, 12))
    x = np.arange(6, dtype=np.float32).reshape(3, 2)
    np.testing.assert_array_equal(tw.kernel(lambda a: a * 2)(x, out=apart), x * 2)


def test_a_changed_closure_cell_means_a_new_specialisation() -> None:
    factor = 2
    kernel = tw.kernel(lambda a: a * factor)
    for factor in (2, 3, 2):
        for _ in range(3):
            np.testing.assert_array_equal(kernel(X), X * factor)


def test_bind_on_and_compile() -> None:
    kernel = tw.kernel(lambda a, w: a @ w)
    weights = np.ones((6, 2), np.float32)
    bound = kernel.bind(w=weights)
    weights[:] = 0  # a copy was bound
    np.testing.assert_array_equal(bound(X), X @ np.ones((6, 2), np.float32))
    with pytest.raises(tw.TraceError, match="the kernel has no argument 'v'"):
        kernel.bind(v=1)
    n = tw.dim("N")
    ahead = tw.kernel(lambda a: a.sum(axis=1)).compile(tw.f32[n, 6])
    for rows in (0, 1, 4):
        np.testing.assert_array_equal(ahead(X[:rows]), X[:rows].sum(axis=1))
    with pytest.raises(tw.ShapeError, match="compiled was"):
        ahead(X[:, :5])


def test_a_changing_shape_is_warned_about() -> None:
    kernel = tw.kernel(lambda a: a + 1)
    for size in range(31):
        kernel(np.zeros(size, np.float32))
    with pytest.warns(tw.RespecializationWarning, match="argument 'a' keeps changing"):
        kernel(np.zeros(31, np.float32))


@pytest.mark.parametrize("first", [True, False])
def test_the_argument_that_changes_most_is_named(first: bool) -> None:
    kernel = tw.kernel(lambda a, b: (a + 1, b * 2))
    pairs = [(np.zeros(n, np.float32), np.zeros(n % 2, np.float32)) for n in range(32)]
    *before, last = pairs if first else [pair[::-1] for pair in pairs]
    for pair in before:
        kernel(*pair)
    with pytest.warns(tw.RespecializationWarning, match="keeps changing") as caught:
        kernel(*last)
    name = "a" if first else "b"
    assert f"argument '{name}' keeps changing (32 forms)" in str(caught[0].message)


def test_the_stages_of_a_target_are_listed() -> None:
    compiled = tw.kernel(lambda a: a + 1).compile(tw.f32[3])
    with pytest.raises(tw.UnsupportedError) as caught:
        compiled.stage("wgsl")
    assert str(caught.value) == (
        "target cpu has no stage 'wgsl'\n"
        "help: the stages are graph, optimized, program, kernel, schedule, llvm, asm"
    )


class Loud(str):
    """A str that looks like others and does something else."""

    __slots__ = ()

    def lower(self) -> str:
        return "double"


def test_static_values_of_other_types_are_other_values() -> None:
    kernel = tw.kernel(lambda a, mode: a * 2 if mode.lower() == "double" else a)
    for mode, factor in (("plain", 1), (Loud("plain"), 2), ("plain", 1), (Loud("plain"), 2)):
        np.testing.assert_array_equal(kernel(X, mode), X * factor)
    assert len(kernel.specializations) == 2
