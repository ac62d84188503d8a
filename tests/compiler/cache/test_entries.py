"""Kernels from the disk cache without tracing: found again when nothing has changed, and only then.

Each call is one of a new process, as the cache in front of the compiler serves first calls only.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path
from types import FunctionType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from msgspec import json
from msgspec.structs import replace

import tilewright as tw
from tilewright.compiler.cache import ArtifactCache
from tilewright.compiler.cache.entries import Request, front_key
from tilewright.compiler.cache.fingerprint import DoubtError, Fingerprint
from tilewright.compiler.cache.info import cache_info
from tilewright.compiler.cache.store_entry import _is_plain, store_front
from tilewright.compiler.interface import Known, Leaf, Mapping, Object, Sequence
from tilewright.compiler.targets import BuildOptions
from tilewright.ir.signature import ArgumentSpec

HELPER = "def helper(v):\n    return v * 2\n"
KERNEL = """
import numpy as np
import tilewright as tw
import settings
from helpers import helper
FACTOR = 10.0
TABLE = np.array([1.0, 2.0, 3.0], np.float32)
def make(captured):
    @tw.kernel
    def k(x, n=1):
        total = np.exp(x) * 0 + helper(x) + FACTOR + TABLE + captured + settings.OFFSET
        for _ in range(n):
            total = total + 1
        return (total, {"sum": total.sum()})
    return k
k = make(100.0)
"""
MAIN = """
import sys, numpy as np
import module
rows, ends = module.k(np.array([1, 2, 3], np.float32), *map(int, sys.argv[1:]))
print("traced" if "tilewright.compiler.tracer" in sys.modules else "found", rows[0], ends["sum"])
"""


class Project:
    """Source files, and a cache of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write("helpers.py", HELPER)
        self.write("settings.py", "OFFSET = 0.0\n")
        self.write("module.py", KERNEL)
        self.write("main.py", MAIN)

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def change(self, name: str, old: str, new: str) -> None:
        text = (self.folder / name).read_text()
        assert old in text
        self.write(name, text.replace(old, new))

    def run(self, *args: str) -> str:
        """What a new process prints."""
        shutil.rmtree(self.folder / "__pycache__", ignore_errors=True)  # changes take no time here
        environment = {**os.environ, "XDG_CACHE_HOME": str(self.folder / "cache")}
        done = subprocess.run(
            [sys.executable, "main.py", *args],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="the cache's folder is set as on Linux")
def test_a_new_process_traces_only_what_has_changed(project: Project) -> None:
    assert project.run() == "traced 114.0 351.0"
    assert project.run() == "found 114.0 351.0"
    for file, old, new, first in (
        ("helpers.py", "v * 2", "v * 3", 115.0),
        ("module.py", "FACTOR = 10.0", "FACTOR = 20.0", 125.0),
        ("module.py", "[1.0, 2.0", "[1.5, 2.0", 125.5),
        ("module.py", "make(100.0)", "make(200.0)", 225.5),
        ("settings.py", "OFFSET = 0.0", "OFFSET = 0.5", 226.0),
    ):
        project.change(file, old, new)
        assert project.run().startswith(f"traced {first} ")
        assert project.run().startswith(f"found {first} ")
    project.change("settings.py", "OFFSET = 0.5", "OFFSET = 0.0")
    assert project.run().startswith("found 225.5 ")  # as it was before the last change


@pytest.mark.skipif(sys.platform != "linux", reason="the cache's folder is set as on Linux")
def test_ints_that_decide_the_graph_are_parts_of_the_key(project: Project) -> None:
    assert project.run("2").startswith("traced 115.0")
    assert project.run("2").startswith("found 115.0")
    assert project.run("3").startswith("traced 116.0")
    assert project.run("3").startswith("found 116.0")
    assert project.run("2").startswith("found 115.0")


@pytest.mark.skipif(sys.platform != "linux", reason="the cache's folder is set as on Linux")
def test_what_was_found_notices_changes_in_its_process(project: Project) -> None:
    project.write(
        "main.py",
        "import numpy as np, module, settings\n"
        "x = np.zeros(3, np.float32)\n"
        "def first(): return module.k(x)[0][0]\n"
        "results = [first(), first()]\n"
        "module.FACTOR = 11.0; results.append(first())\n"
        "module.TABLE[0] = 7.0; results.append(first())\n"
        "settings.OFFSET = 0.25; results.append(first())\n"
        "print([float(r) for r in results], module.k.specializations[0].stage('graph').name)\n",
    )
    for _ in range(2):
        assert project.run() == "[112.0, 112.0, 113.0, 119.0, 119.25] k"


# --- what a fingerprint tells apart ---


def digest(function: Any, **specs: ArgumentSpec) -> str:
    assert isinstance(function, FunctionType)
    found = Fingerprint()
    found.add_function(function)
    found.add_specs(specs)
    return found.hexdigest()


def capturing(value: Any) -> Any:
    def inner(x: Any) -> Any:
        return x + value

    return inner


VALUES: list[Any] = [
    *(0, 0.0, -0.0, False, None, "0", b"0", (0,), [0], {0: 0}, {0: 0.0}, float("nan"), 0j),
    *(np.float32(0), np.float64(0), np.zeros(1, "f4"), np.zeros((1, 1), "f4"), np.zeros(1, "i4")),
    *(((1,), 2), (1, (2,)), (1, 2), [1, 2], ["a", "bc"], ["ab", "c"], slice(0), np.sum, np.exp),
    *(
        np,
        int,
        np.int32,
        np.dtype("i4"),
        tw.sigmoid,
        tw.sum,
        max,
        np.pi,
        capturing(1),
        capturing(2),
    ),
]


def test_different_values_have_different_digests() -> None:
    found = [digest(capturing(value)) for value in VALUES]
    same = [
        (a, b)
        for k, a in enumerate(VALUES)
        for m, b in enumerate(VALUES[:k])
        if found[k] == found[m]
    ]
    assert not same
    assert found == [digest(capturing(value)) for value in VALUES]


def test_open_dimensions_are_told_apart_by_their_places() -> None:
    n, m = tw.dim("N"), tw.dim("N")
    function = capturing(1)
    assert digest(function, x=tw.f32[n, n]) != digest(function, x=tw.f32[n, m])
    assert digest(function, x=tw.f32[n, m]) == digest(function, x=tw.f32[m, n])
    assert digest(function, x=tw.f32[n]) != digest(function, x=tw.f32[tw.dim("N", least=1)])
    assert digest(function, x=tw.f32[3]) != digest(function, x=tw.f64[3])


class Opaque:
    value = 1

    def method(self) -> None:
        """A bound method reaches the instance."""


CYCLE: list[Any] = []
CYCLE.append(CYCLE)


@pytest.mark.parametrize(
    "value",
    [
        *(Opaque, Opaque(), Opaque().method, CYCLE, object(), os.environ, os.getenv),
        *(np.array([None]), np.random, np.random.rand, np.random.default_rng(0), open, getattr),
        *(print, {1, 2}, iter([1]), [np], np.load, tw.dim("N")),
    ],
    ids=lambda value: type(value).__name__,  # a repr may hold an address
)
def test_what_cannot_be_summed_up_has_no_fingerprint(value: Any) -> None:
    def reads(x: Any) -> Any:
        return x + value.random.rand() if value is np.random else value(x)

    with pytest.raises(DoubtError):
        digest(reads)


def test_imports_and_lookups_by_text_have_no_fingerprint() -> None:
    def imports(x: Any) -> Any:
        import settings  # type: ignore[import-not-found]

        return x + settings.OFFSET

    def looks_up(x: Any) -> Any:
        return x + getattr(np, "pi")  # noqa: B009

    def makes_a_class(x: Any) -> Any:
        class Local:
            value = 1

        return x + Local.value

    for function in (imports, looks_up, makes_a_class):
        with pytest.raises(DoubtError):
            digest(function)


def test_the_key_holds_target_options_and_versions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = ArtifactCache.default(tmp_path)

    def key(target: str = "cpu", options: BuildOptions | None = None) -> str:
        request = Request(capturing(1), {"x": tw.f32[3]}, {}, target, options or BuildOptions())
        found = front_key(request, cache)
        assert found is not None
        return found.text

    keys = {key(), key("wasm"), key(options=BuildOptions("reproducible"))}
    monkeypatch.setattr(np, "__version__", "99.0")
    keys.add(key())
    monkeypatch.undo()
    monkeypatch.setattr("tilewright.compiler.cache.artifacts.compiler_identity", lambda: "other")
    keys.add(key())
    assert len(keys) == 5


def test_a_replaced_numpy_function_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def reads(x: Any) -> Any:
        return np.tanh(x)

    before = digest(reads)
    monkeypatch.setattr(np, "tanh", capturing(3))
    assert digest(reads) != before


def test_damaged_entries_are_misses(tmp_path: Path) -> None:
    from tilewright.compiler.cache.entries import load_front
    from tilewright.compiler.runtime import Runtime

    runtime = Runtime()
    runtime.__dict__["cache"] = cache = ArtifactCache.default(tmp_path)
    request = Request(capturing(1), {"x": tw.f32[3]}, {}, "cpu", BuildOptions())
    key = front_key(request, cache)
    assert key is not None
    for data in (
        b"",
        b"[]",
        b"{}",
        b'{"interface":{},"artifact":"0"}',
        b'{"needs":["n"]}',
        b"\xff",
    ):
        cache.put(key.text, data)
        assert load_front(request, key, runtime, lambda: pytest.fail("traced")) is None


def test_text_that_json_cannot_hold_is_compiled_and_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lone surrogate, as `os.fsdecode` makes of a file name that is not UTF-8."""
    from tilewright.compiler.runtime import runtime

    cache = ArtifactCache.default(tmp_path)
    monkeypatch.setattr(runtime(), "cache", cache)
    kernel = tw.kernel(lambda x, name: x + len(name))
    x = np.zeros(3, np.float32)
    entries = []
    for name in ("\udc80", "plain"):
        before = cache_info(cache).entries
        assert (kernel(x, name) == len(name)).all()
        entries.append(cache_info(cache).entries - before)
    assert entries == [1, 2]  # the artifact alone; and the artifact with what calls need


def test_what_has_no_artifact_on_disk_has_no_entry(tmp_path: Path) -> None:
    """Shaders are made anew by each process, and an entry would name what is not there."""
    cache = ArtifactCache.default(tmp_path)
    runtime: Any = SimpleNamespace(cache=cache)
    function = capturing(1)
    for target, kept in (("wgsl", False), ("cpu", True)):
        request = Request(function, {"x": tw.f32[3]}, {}, target, BuildOptions())
        key = front_key(request, cache)
        assert key is not None
        made = tw.kernel(function).compile(tw.f32[3], target=target).specialization
        store_front(request, key, made, runtime)
        assert (cache.get(key.text) is not None) is kept


def test_the_ints_that_an_entry_needs_stand_in_one_order(tmp_path: Path) -> None:
    """A set's order is another in each process, and the key of their values is made of it."""
    cache = ArtifactCache.default(tmp_path)
    runtime: Any = SimpleNamespace(cache=cache)
    names = ("f", "b", "d", "a", "e", "c")
    ints = dict.fromkeys(names, 1)
    request = Request(capturing(1), {"x": tw.f32[3]}, ints, "cpu", BuildOptions())
    key = front_key(request, cache)
    assert key is not None
    made: Any = tw.kernel(capturing(1)).compile(tw.f32[3]).specialization
    for order in (names, names[::-1]):
        interface = replace(made.interface, specialized=dict.fromkeys(order))
        store_front(request, key, replace(made, interface=interface), runtime)
        stored = cache.get(key.text)
        assert stored is not None
        assert json.decode(stored) == {"needs": sorted(names)}
    assert cache_info(cache).entries == 2  # the names, and what belongs to their values


def test_only_results_of_kinds_that_everybody_knows_are_kept() -> None:
    leaf = Leaf(0)
    pair = namedtuple("pair", "a b")
    for kept in (leaf, Known(None), Sequence(tuple, (leaf,)), Sequence(list, (leaf, leaf))):
        assert _is_plain(kept)
        assert _is_plain(Mapping(("x",), (kept,)))
    for refused in (Sequence(pair, (leaf, leaf)), Object(SimpleNamespace, ("a",), (leaf,))):
        assert not _is_plain(refused)
        assert not _is_plain(Sequence(tuple, (leaf, refused)))
