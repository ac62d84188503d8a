"""`Compiled.save` and `tw.load`: what comes back behaves as what was saved, or is refused."""

from __future__ import annotations

import hashlib
import json
import os
import random
import struct
import subprocess
import sys
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tilewright.compiler.compiled import Compiled
from tilewright.compiler.saved.container import MAGIC, VERSION, pack, unpack

TARGETS = [
    "cpu",
    pytest.param("wasm", marks=pytest.mark.wasm),
    pytest.param("wgsl", marks=pytest.mark.wgsl),
    pytest.param("glsl", marks=pytest.mark.glsl),
]
N = tw.dim("N", least=2)
Pair = namedtuple("Pair", ["low", "high"])
TABLE = np.arange(4, dtype=np.float32)


@tw.kernel
def gathered(x: Any, index: Any, scale: Any, mode: Any = None) -> Any:
    picked = x[index] * scale
    if mode == "shifted":
        picked = picked + TABLE
    return {"rows": picked, "ends": Pair(x.min(), x.max()), 3: [x.sum(axis=0)]}


@tw.kernel
def scaled(x: Any, w: Any) -> Any:
    return x @ w - x.mean()


X = np.arange(12, dtype=np.float32).reshape(3, 4)
INDEX = np.array([0, 2, -1], np.int32)


def saved(path: Path, target: str = "cpu", mode: str = "shifted") -> Compiled:
    compiled = gathered.compile(tw.f32[3, 4], tw.i32[3], float, mode, target=target)
    compiled.save(path)
    return compiled


@pytest.mark.parametrize("target", TARGETS)
def test_what_is_loaded_behaves_as_what_was_saved(target: str, tmp_path: Path) -> None:
    if target in ("wgsl", "glsl"):
        kernel = tw.kernel(target=target, f64="f32")(gathered.python)
    else:
        kernel = gathered.on(target)
    compiled = kernel.compile(tw.f32[3, 4], tw.i32[3], float, "shifted")
    path = tmp_path / "kérnel with spaces.twk"
    compiled.save(path)
    loaded = tw.load(path)
    expected = compiled(X, INDEX, 2.5, "shifted")
    found = loaded(X, index=INDEX, scale=2.5, mode="shifted")
    assert list(found) == list(expected) == ["rows", "ends", 3]
    np.testing.assert_array_equal(found["rows"], expected["rows"])
    np.testing.assert_array_equal(found[3][0], expected[3][0])
    assert found["ends"]._asdict() == {"low": 0.0, "high": 11.0}
    assert type(found["ends"].low) is np.float32
    assert (loaded.target, loaded.source) == (target, compiled.source)
    with pytest.raises(tw.BoundsError, match="index 7 is out of bounds for axis 0 with size 3"):
        loaded(X, INDEX + 5, 2.5, "shifted")
    with pytest.raises(tw.ShapeError, match="compiled was"):
        loaded(X[:2], INDEX, 2.5, "shifted")
    with pytest.raises(tw.DTypeError, match="compiled was 'shifted'"):
        loaded(X, INDEX, 2.5, "plain")


@pytest.mark.parametrize("target", ["cpu", pytest.param("wasm", marks=pytest.mark.wasm)])
def test_open_dimensions_and_bound_arrays(target: str, tmp_path: Path) -> None:
    weights = np.arange(8, dtype=np.float32).reshape(4, 2)
    compiled = scaled.bind(w=weights).compile(tw.f32[N, 4], target=target)
    compiled.save(tmp_path / "k")
    loaded = tw.load(tmp_path / "k")
    for size in (2, 3, 17):
        x = np.random.default_rng(size).standard_normal((size, 4)).astype(np.float32)
        np.testing.assert_array_equal(loaded(x), compiled(x))
        out = np.empty((size, 2), np.float32)
        assert loaded(x, out=out) is out
    with pytest.raises(tw.ShapeError, match="dimension N is 1, but at least 2"):
        loaded(x[:1])
    with pytest.raises(TypeError, match="too many positional arguments"):
        loaded(x, weights)


def test_a_loaded_kernel_saves_the_same_bytes(tmp_path: Path) -> None:
    saved(tmp_path / "a")
    tw.load(tmp_path / "a").save(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_new_process_needs_no_compiler(tmp_path: Path) -> None:
    saved(tmp_path / "k")
    np.save(tmp_path / "x.npy", X)
    program = """
import sys, numpy as np, tilewright as tw
x = np.load("x.npy")
result = tw.load("k")(x, np.array([0, 2, -1], np.int32), 2.5, "shifted")
assert result["rows"][1, 1] == 9 * 2.5 + 1, result
print(*sorted(m for m in sys.modules if m.startswith("tilewright")))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    for module in ("tracer", "trace.run", "driver"):
        assert f"tilewright.compiler.{module}" not in loaded
    for module in ("ir.fuse", "ir.graph", "codegen_cpu.backend"):
        assert f"tilewright.{module}" not in loaded


def test_a_loaded_kernel_has_no_stages(tmp_path: Path) -> None:
    saved(tmp_path / "k")
    with pytest.raises(tw.UnsupportedError, match="loaded from a file has no stages"):
        tw.load(tmp_path / "k").stage("program")


# --- files that are not right ---


def test_damage_at_any_place_is_found(tmp_path: Path) -> None:
    saved(tmp_path / "k")
    good = (tmp_path / "k").read_bytes()
    dice = random.Random(1)
    for place in [*range(24), *(dice.randrange(len(good)) for _ in range(200))]:
        damaged = bytearray(good)
        damaged[place] ^= 1 << dice.randrange(8)
        (tmp_path / "bad").write_bytes(damaged)
        with pytest.raises(tw.SavedKernelError, match="bad"):
            tw.load(tmp_path / "bad")


def test_a_truncated_or_longer_file_is_refused(tmp_path: Path) -> None:
    saved(tmp_path / "k")
    good = (tmp_path / "k").read_bytes()
    for length in (0, 1, 7, 8, 12, 20, 51, 52, len(good) // 2, len(good) - 1):
        with pytest.raises(tw.SavedKernelError):
            unpack(good[:length], "k")
    with pytest.raises(tw.SavedKernelError, match="is damaged: the checksum of its"):
        unpack(good + b"\0", "k")


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "k").write_bytes(b"\x7fELF and so on")
    with pytest.raises(tw.SavedKernelError) as error:
        tw.load(tmp_path / "k")
    assert str(error.value) == (
        f"{str(tmp_path / 'k')!r} is not a saved kernel: it begins with b'\\x7fELF and'\n"
        "help: give a file that Compiled.save wrote"
    )


def test_another_version_is_refused() -> None:
    body = struct.pack("<8sIQ", MAGIC, VERSION + 1, 2) + b"{}"
    with pytest.raises(tw.SavedKernelError, match="has format version 2, and this Tilewright"):
        unpack(body + hashlib.sha256(body).digest(), "k")


@pytest.mark.parametrize(
    "description", [{}, {"target": "cpu"}, {"target": "abacus"}, {"target": ["cpu"]}]
)
def test_a_description_of_something_else_is_refused(
    description: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "k").write_bytes(pack(description, [b""]))
    with pytest.raises((tw.SavedKernelError, tw.UnsupportedError)):
        tw.load(tmp_path / "k")


def rewritten(path: Path, change: dict[str, str]) -> None:
    """The file with other facts about its processor, and a right checksum."""
    description, blobs = unpack(path.read_bytes(), str(path))
    description["artifact"].update(change)
    path.write_bytes(pack(description, blobs))


def test_code_for_another_processor_is_refused(tmp_path: Path) -> None:
    saved(tmp_path / "k")
    rewritten(tmp_path / "k", {"features": "+sse2,+avx1024,-never", "cpu": "futurecpu"})
    with pytest.raises(tw.DeviceError, match=r"\(futurecpu\) with features .* lacks: avx1024"):
        tw.load(tmp_path / "k")
    rewritten(tmp_path / "k", {"triple": "riscv64-unknown-linux-gnu"})
    with pytest.raises(tw.DeviceError, match="saved for riscv64-unknown-linux-gnu, and this is"):
        tw.load(tmp_path / "k")


def test_the_file_is_plain_data(tmp_path: Path) -> None:
    saved(tmp_path / "k")
    data = (tmp_path / "k").read_bytes()
    (length,) = struct.unpack_from("<Q", data, 12)
    description = json.loads(data[20 : 20 + length])
    assert description["name"] == "gathered"
    assert description["tilewright"] == tw.__version__
    assert sum(description["blobs"]) + 20 + length + 32 == len(data)


# --- writing ---


def test_an_existing_file_survives_a_failed_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "k"
    path.write_bytes(b"what was there")

    def fail(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(tw.OutputError, match="No space left on device"):
        saved(path)
    assert path.read_bytes() == b"what was there"
    assert os.listdir(tmp_path) == ["k"]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(tw.OutputError, match="nowhere"):
        saved(tmp_path / "nowhere" / "k")
    with pytest.raises(FileNotFoundError):
        tw.load(tmp_path / "nowhere" / "k")


def test_what_a_file_cannot_hold_is_refused_before_writing(tmp_path: Path) -> None:
    compiled = gathered.compile(tw.f32[3, 4], tw.i32[3], float, np.sum)
    with pytest.raises(tw.UnsupportedError, match=r"argument 'mode' is .* a file cannot hold"):
        compiled.save(tmp_path / "k")
    assert not (tmp_path / "k").exists()


def test_loading_shaders_imports_no_code_generator(tmp_path: Path) -> None:
    for target in ("wgsl", "glsl"):
        tw.kernel(lambda a: np.exp(a)).compile(tw.f32[4], target=target).save(tmp_path / target)
    program = """
import os, sys, tilewright as tw
for target in ("wgsl", b"glsl"):
    assert tw.load(target).source
print(*sorted(m for m in sys.modules if m.startswith("tilewright")))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert "tilewright.compiler.target_glsl" in loaded
    for module in ("fuse", "lower", "elementary", "passes", "graph"):
        assert f"tilewright.ir.{module}" not in loaded
    for target in ("wgsl", "glsl"):
        for module in ("backend", "legalize", "emit"):
            assert f"tilewright.codegen_{target}.{module}" not in loaded


@pytest.mark.parametrize(
    "description", [b"[]", b"[" * 100_000, b'{"blobs": [1e999]}', b'{"blobs": [], "target": 1}']
)
def test_crafted_descriptions_are_refused(description: bytes, tmp_path: Path) -> None:
    body = struct.pack("<8sIQ", MAGIC, VERSION, len(description)) + description
    (tmp_path / "k").write_bytes(body + hashlib.sha256(body).digest())
    with pytest.raises(tw.SavedKernelError):
        tw.load(tmp_path / "k")
