"""Whatever decides an artifact is part of its key: no two of these choices share an entry."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tilewright.compiler.api import _key
from tilewright.compiler.cache import ArtifactCache
from tilewright.compiler.cache.entries import Request, front_key
from tilewright.compiler.driver import _cache_key
from tilewright.compiler.runtime import runtime
from tilewright.compiler.targets import BuildOptions, open_target
from tilewright.compiler.trace.run import trace
from tilewright.ir.schedule import Schedule
from tilewright.ir.signature import StaticSpec

ACCURATE = BuildOptions()
CHOICES: dict[str, tuple[str, BuildOptions]] = {
    "plain": ("cpu", ACCURATE),
    "another target": ("wasm", ACCURATE),
    "reproducible": ("cpu", BuildOptions("reproducible")),
    "demoted": ("cpu", BuildOptions(f64="f32")),
    "a schedule": ("cpu", BuildOptions("accurate", "error", {"t1": Schedule()})),
    "a schedule of another nest": ("cpu", BuildOptions("accurate", "error", {"t2": Schedule()})),
    "another schedule": ("cpu", BuildOptions("accurate", "error", {"t1": Schedule(chunks=2)})),
}
PAIRS = list(combinations(CHOICES, 2))


def function(x: Any) -> Any:
    return np.exp(x)


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_of_the_front_cache(one: str, other: str, tmp_path: Path) -> None:
    cache = ArtifactCache.default(tmp_path)

    def key(name: str) -> str:
        target, options = CHOICES[name]
        found = front_key(Request(function, {"x": tw.f32[3]}, {}, target, options), cache)
        assert found is not None
        return found.text

    assert key(one) == key(one)
    assert key(one) != key(other)


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_of_an_artifact(one: str, other: str) -> None:
    def key(name: str) -> str:
        target, options = CHOICES[name]
        traced = trace(function, {"x": tw.f32[3]})
        return _cache_key(traced, open_target(target, runtime()), options, runtime())

    assert key(one) == key(one)
    assert key(one) != key(other)


def test_the_order_of_schedules_does_not_count() -> None:
    chosen = {"t1": Schedule(), "t2": Schedule(chunks=2)}
    turned = dict(reversed(chosen.items()))
    traced = trace(function, {"x": tw.f32[3]})
    keys = {
        _cache_key(
            traced, open_target("cpu", runtime()), BuildOptions("accurate", "error", s), runtime()
        )
        for s in (chosen, turned)
    }
    assert len(keys) == 1


def test_nor_in_the_front_cache(tmp_path: Path) -> None:
    cache = ArtifactCache.default(tmp_path)
    chosen = {"t1": Schedule(), "t2": Schedule(chunks=2)}
    keys = set()
    for schedules in (chosen, dict(reversed(chosen.items()))):
        options = BuildOptions("accurate", "error", schedules)
        found = front_key(Request(function, {"x": tw.f32[3]}, {}, "cpu", options), cache)
        assert found is not None
        keys.add(found.text)
    assert len(keys) == 1


def test_of_the_form_of_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = ArtifactCache.default(tmp_path)
    request = Request(function, {"x": tw.f32[3]}, {}, "cpu", ACCURATE)
    before = front_key(request, cache)
    monkeypatch.setattr("tilewright.compiler.cache.entries._VERSION", "another form")
    after = front_key(request, cache)
    assert before is not None
    assert after is not None
    assert before.text != after.text


def test_of_what_is_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = ArtifactCache.default(tmp_path)
    keys = {cache.key_for("a"), cache.key_for("b"), cache.key_for("a", "b"), cache.key_for("ab")}
    keys |= {cache.key_for(b"a"), cache.key_for("a", ""), cache.key_for()}
    for part in ("compiler_identity", "host_identity"):
        with monkeypatch.context() as patch:
            patch.setattr(f"tilewright.compiler.cache.artifacts.{part}", lambda: "another")
            keys.add(cache.key_for("a"))
    assert len(keys) == 9


def test_other_graphs_have_other_keys() -> None:
    def key(graph_of: Any, *shape: int) -> str:
        traced = trace(graph_of, {"x": tw.f32[shape]})
        return _cache_key(traced, open_target("cpu", runtime()), ACCURATE, runtime())

    assert key(function, 3) != key(function, 4)
    assert key(function, 3) != key(lambda x: np.exp2(x), 3)


def test_of_static_arguments() -> None:
    class Name(str):
        """Equal to a text, and shown as one."""

        __slots__ = ()

    values: list[Any] = [
        *(True, 1, "1", "True", 1.0, None, "None", (1, 2), (1, "2"), b"1", Name("1")),
        *(np.float32(1), np.float64(1), np.int64(1), slice(1), ..., np.dtype("f4"), np.sum, np.exp),
    ]
    keys = [_key({name: StaticSpec(v)}) for name in "ab" for v in values]
    same = [(a, b) for a, b in combinations(range(len(keys)), 2) if keys[a] == keys[b]]
    assert not same
    assert keys == [_key({name: StaticSpec(v)}) for name in "ab" for v in values]
    assert _key({"a": StaticSpec((1, 2))}) == _key({"a": StaticSpec((1, 2))})
    numbers = [np.array(1), np.array(2), np.array(1.0), np.int64(3)]
    assert len({_key({"a": StaticSpec(n)}) for n in numbers}) == len(numbers)
    assert _key({"a": tw.f32[3], "b": tw.f32[4]}) != _key({"a": tw.f32[4], "b": tw.f32[3]})
    assert _key({"a": tw.f32[3]}) != _key({"a": tw.i32[3]})
