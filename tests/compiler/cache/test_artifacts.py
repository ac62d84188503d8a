"""The cache that the compiler sees: keys, what is loaded, where it lies, what it imports."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest

from tilewright.codegen_cpu import artifact
from tilewright.codegen_cpu.artifact import CpuArtifact, TensorSpec
from tilewright.compiler import cache as cache_package
from tilewright.compiler.cache import ArtifactCache, artifacts
from tilewright.compiler.cache.info import cache_info
from tilewright.compiler.cache.store import Store
from tilewright.ir.dtypes import F32
from tilewright.ir.element_types import dim
from tilewright.ir.errors import CacheWarning

ANSWER = """
define i32 @tw_main(ptr %0, ptr %1, ptr %2, ptr %3) {
  ret i32 42
}
"""


@pytest.fixture
def cache(tmp_path: Path) -> ArtifactCache:
    return ArtifactCache(Store(tmp_path / "cache"))


def artifact_of(code: bytes = bytes(4000)) -> CpuArtifact:
    spec = TensorSpec((3, 4), F32)
    return CpuArtifact(code, (spec,), (spec,), (np.arange(4.0),), (), 128)


# --- keys ---


def test_keys_tell_all_parts_apart(cache: ArtifactCache) -> None:
    lists: list[tuple[str | bytes, ...]] = [
        (),
        ("",),
        ("", ""),
        ("ab",),
        (b"ab",),
        ("a", "b"),
        ("ab", ""),
        ("", "ab"),
        ("as1:b",),
        ("a", "s1:b"),
        ("\udc80",),
    ]
    keys = [cache.key_for(*parts) for parts in lists]
    assert len(set(keys)) == len(lists)
    assert keys == [cache.key_for(*parts) for parts in lists]
    assert all(len(key) == 64 for key in keys)


@pytest.mark.parametrize("name", ["host_identity", "compiler_identity"])
def test_another_processor_or_compiler_has_other_keys(
    cache: ArtifactCache, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = cache.key_for("kernel")
    monkeypatch.setattr(artifacts, name, lambda: "another one")
    assert cache.key_for("kernel") != before


CPUINFO = """processor\t: 0
vendor_id\t: AuthenticAMD
model name\t: AMD EPYC
cpu MHz\t\t: 2596.130
flags\t\t: fpu avx2 avx512f
bugs\t\t: none

processor\t: 1
model name\t: another
"""


def test_features_identify_a_processor_and_its_clock_does_not(tmp_path: Path) -> None:
    def words(text: str) -> tuple[str, ...]:
        (tmp_path / "cpuinfo").write_text(text)
        return artifacts._words_of_linux(str(tmp_path / "cpuinfo"))

    assert words(CPUINFO) == (
        "vendor_id : AuthenticAMD",
        "model name : AMD EPYC",
        "flags : fpu avx2 avx512f",
    )
    assert words(CPUINFO.replace("2596.130", "1200.000")) == words(CPUINFO)
    assert words(CPUINFO.replace(" avx512f", "")) != words(CPUINFO)
    assert words("") == artifacts._words_of_linux(str(tmp_path / "none")) == ()


def test_a_changed_source_is_another_compiler(tmp_path: Path) -> None:
    (tmp_path / "__pycache__").mkdir()
    source = tmp_path / "pass.py"
    source.write_text("a = 1\n")
    before = artifacts._sources([str(tmp_path)])
    (tmp_path / "__pycache__" / "pass.pyc").write_bytes(b"derived")
    assert artifacts._sources([str(tmp_path)]) == before
    os.utime(source, (1e9, 1e9))
    assert artifacts._sources([str(tmp_path)]) != before


# --- artifacts and object code ---


def test_an_artifact_is_made_once(cache: ArtifactCache) -> None:
    made = []

    def make() -> CpuArtifact:
        made.append(1)
        return artifact_of()

    key = cache.key_for("kernel")
    assert cache.load_artifact(key) is None
    first = cache.artifact(key, (), make)
    again = cache.artifact(key, (), make)
    loaded = cache.load_artifact(key)
    assert loaded is not None
    assert first.code == again.code == loaded.code
    assert len(made) == 1
    info = cache_info(cache)
    assert (info.entries, info.hits, info.misses) == (1, 2, 2)
    assert info.bytes > 4000
    assert cache.clear() == 1
    assert cache.load_artifact(key) is None


def test_symbols_are_the_callers(cache: ArtifactCache) -> None:
    n = dim("n")
    key = cache.key_for("open")
    cache.store_artifact(key, CpuArtifact(b"code", (TensorSpec((n,), F32),), (), (), (n,), 0))
    other = dim("other")
    found = cache.load_artifact(key, [other])
    assert found is not None
    assert found.inputs[0].shape == (other,)


def test_an_entry_that_is_no_artifact_is_a_miss(cache: ArtifactCache) -> None:
    key = cache.key_for("kernel")
    assert cache.store
    cache.store.put(key, b"intact, but something else")
    assert cache.load_artifact(key) is None
    assert cache_info(cache).entries == 0
    assert cache.artifact(key, (), artifact_of).code == bytes(4000)
    assert cache.load_artifact(key) is not None


def test_object_code_is_compiled_once_for_each_processor(
    cache: ArtifactCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tilewright.codegen_cpu import jit, target

    code = cache.compile_for_host(ANSWER)
    assert code == jit.compile_object(ANSWER, target.host_target())
    other = ANSWER.replace("42", "43")
    assert cache.compile_for_host(other) != code
    monkeypatch.setattr(jit, "compile_object", lambda *_: b"compiled again")
    assert cache.compile_for_host(ANSWER) == code
    monkeypatch.setattr(artifacts, "host_identity", lambda: "another processor")
    assert cache.compile_for_host(ANSWER) == b"compiled again"


def test_damaged_code_is_compiled_again_and_never_run(cache: ArtifactCache) -> None:
    code = cache.compile_for_host(ANSWER)
    assert cache.store
    (file,) = cache.store.scan()
    data = bytearray(Path(file.path).read_bytes())
    data[-len(code) // 2] ^= 1
    Path(file.path).write_bytes(data)
    assert cache.compile_for_host(ANSWER) == code


def test_an_error_while_making_leaves_no_lock(cache: ArtifactCache) -> None:
    def fail() -> CpuArtifact:
        raise RuntimeError("a broken pass")

    key = cache.key_for("kernel")
    for _ in range(2):
        with pytest.raises(RuntimeError, match="a broken pass"):
            cache.artifact(key, (), fail)
    start = perf_counter()
    cache.artifact(key, (), artifact_of)
    assert perf_counter() - start < 5


def test_one_compilation_inside_another_does_not_wait_for_itself(cache: ArtifactCache) -> None:
    """Both keys may share a lock; and two processes may need two keys in opposite order."""
    key = cache.key_for("outer")

    def make() -> CpuArtifact:
        return cache.artifact(key[:2] + cache.key_for("inner")[2:], (), artifact_of)

    start = perf_counter()
    cache.artifact(key, (), make)
    assert perf_counter() - start < 5
    assert cache_info(cache).entries == 2


def test_without_a_store_everything_works() -> None:
    cache = ArtifactCache(None)
    key = cache.key_for("kernel")
    cache.store_artifact(key, artifact_of())
    assert cache.load_artifact(key) is None
    assert cache.artifact(key, (), artifact_of).code == bytes(4000)
    assert cache.compile_for_host(ANSWER)
    assert cache_info(cache).location is None
    assert cache.clear() == 0


def test_loading_is_quick(cache: ArtifactCache) -> None:
    key = cache.key_for("kernel")
    cache.store_artifact(key, artifact_of(bytes(20_000)))
    times = []
    for _ in range(50):
        start = perf_counter()
        assert cache.load_artifact(key)
        times.append(perf_counter() - start)
    assert min(times) < 1e-3


# --- where it lies ---


def in_fresh_python(code: str, **environment: str | None) -> object:
    """What `code` prints as JSON, in a process with these environment variables."""
    changed = {**os.environ, **{k: v for k, v in environment.items() if v is not None}}
    for name in (name for name, value in environment.items() if value is None):
        changed.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=changed, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


WHERE = """
import json, warnings
from tilewright.compiler.cache import ArtifactCache
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    cache = ArtifactCache.default()
    for n in range(3):
        cache.store.put(cache.key_for(str(n)), b"x")
    stored = cache.store.get(cache.key_for("2")) == b"x"
print(json.dumps([cache.store.directory, stored, [w.category.__name__ for w in caught]]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the variables of the XDG standard")
def test_the_xdg_variable_is_honoured(tmp_path: Path) -> None:
    directory = tmp_path / "xdg" / "tilewright" / "artifacts"
    assert in_fresh_python(WHERE, XDG_CACHE_HOME=str(tmp_path / "xdg")) == [
        str(directory),
        True,
        [],
    ]
    assert directory.is_dir()


@pytest.mark.skipif(sys.platform != "linux", reason="the variables of the XDG standard")
def test_a_home_that_cannot_be_written_is_one_warning(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.write_bytes(b"")
    answer = in_fresh_python(WHERE, XDG_CACHE_HOME=None, HOME=str(home))
    assert answer == [str(home / ".cache/tilewright/artifacts"), False, ["CacheWarning"]]


def test_a_user_without_a_home_gets_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    import platformdirs

    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda *_, **__: "~/.cache")
    with pytest.warns(CacheWarning, match="no home directory"):
        cache = ArtifactCache.default()
    assert cache.store is None


def test_a_given_directory_is_used(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cache = ArtifactCache.default(tmp_path / "mine", most_bytes=1 << 20)
    assert cache.store
    assert (cache.store.directory, cache.store.most_bytes) == (str(tmp_path / "mine"), 1 << 20)


# --- what it is made of ---


def test_neither_llvm_nor_locks_are_imported_to_load(tmp_path: Path) -> None:
    cache = ArtifactCache(Store(tmp_path))
    key = cache.key_for("kernel")
    cache.store_artifact(key, artifact_of())
    code = f"""
import json, sys
from pathlib import Path
from tilewright.compiler.cache import ArtifactCache
from tilewright.codegen_cpu.execute import CpuFunction
cache = ArtifactCache.default(Path({str(tmp_path)!r}))
cache.key_for("kernel")
found = cache.load_artifact({key!r})
heavy = ("llvmlite.binding", "portalocker", "platformdirs", "importlib.metadata")
print(json.dumps([found is not None, [name for name in heavy if name in sys.modules]]))
"""
    assert in_fresh_python(code) == [True, []]


FORBIDDEN = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "runpy", "importlib", "yaml"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}


def test_nothing_on_disk_can_be_executed_by_reading_it() -> None:
    """No unpickling, no evaluation: the only thing that is decoded is JSON."""
    (folder,) = cache_package.__path__
    found = []
    for file in (*Path(folder).glob("*.py"), Path(artifact.__file__)):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found += [a.name for a in node.names if a.name.partition(".")[0] in FORBIDDEN]
            elif isinstance(node, ast.ImportFrom) and node.module:
                found += [node.module] if node.module.partition(".")[0] in FORBIDDEN else []
            elif isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                loads = name.endswith((".load", ".loads", "json.decode"))
                found += [name] if loads or name in FORBIDDEN_CALLS else []
    assert set(found) == {"json.decode"}


def test_no_environment_variable_is_read_here() -> None:
    (folder,) = cache_package.__path__
    for file in Path(folder).glob("*.py"):
        assert "environ" not in file.read_text(encoding="utf-8")
        assert "getenv" not in file.read_text(encoding="utf-8")
