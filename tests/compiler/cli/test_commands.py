"""What each command prints and writes when all goes well."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from tests.compiler.cli.conftest import KERNELS, Run
from tilewright.compiler.cli.probe import TargetReport
from tilewright.compiler.cli.targets import _finished, _print
from tilewright.compiler.compare_targets import Comparison, compare
from tilewright.compiler.runtime import runtime
from tilewright.compiler.targets import NAMES
from tilewright.ir.graph import Tensor
from tilewright.ir.parser import parse_graph, parse_program

SOFTMAX = f"{KERNELS}:softmax"
ARG = ("--arg", "x=f32[4,5]")


class TestShow:
    def test_the_graph_is_the_default_and_parses(self, run: Run) -> None:
        done = run("show", SOFTMAX, *ARG)
        assert done.code == 0
        (out,) = parse_graph(done.out).outputs
        assert out.shape == (4, 5)

    def test_locations(self, run: Run) -> None:
        assert "kernels.py" not in run("show", SOFTMAX, *ARG).out
        assert 'kernels.py":11:12' in run("show", SOFTMAX, *ARG, "--locations").out

    @pytest.mark.parametrize("stage", ["program", "kernel"])
    def test_programs_parse(self, run: Run, stage: str) -> None:
        assert parse_program(run("show", SOFTMAX, *ARG, "--stage", stage).out).inputs

    @pytest.mark.parametrize(
        ("stage", "part"),
        [("schedule", "Schedule("), ("llvm", "@tw_main("), ("asm", "tw_main:"), ("wat", "(module")],
    )
    def test_generated_code(self, run: Run, stage: str, part: str) -> None:
        done = run("show", SOFTMAX, *ARG, "--stage", stage)
        assert done.code == 0, done.err
        assert part in done.out

    @pytest.mark.parametrize(("stage", "part"), [("wgsl", "@compute"), ("glsl", "#version 300 es")])
    def test_shaders(self, run: Run, stage: str, part: str) -> None:
        done = run("show", SOFTMAX, *ARG, "--stage", stage)
        assert done.code == 0, done.err
        assert part in done.out

    def test_an_open_dimension(self, run: Run) -> None:
        graph = parse_graph(run("show", SOFTMAX, "--arg", "x=f32[N,5]").out)
        assert [s.name for s in graph.symbols] == ["N"]

    def test_after_a_pass(self, run: Run) -> None:
        done = run("show", SOFTMAX, *ARG, "--after", "lower_reshapes")
        assert parse_graph(done.out).outputs

    @pytest.mark.parametrize("target", NAMES)
    def test_a_page(self, run: Run, tmp_path: Path, target: str) -> None:
        file = tmp_path / "page.html"
        done = run("show", SOFTMAX, *ARG, "--target", target, "--html", str(file))
        assert (done.code, done.err) == (0, "")
        text = file.read_text(encoding="utf-8")
        assert text.startswith("<!doctype html>")
        assert "np.exp" in text

    @pytest.mark.parametrize("target", ["cpu", pytest.param("wgsl", marks=pytest.mark.wgsl)])
    def test_a_page_with_times(self, run: Run, tmp_path: Path, target: str) -> None:
        file = tmp_path / "page.html"
        done = run("show", SOFTMAX, *ARG, "--target", target, "--html", str(file), "--time")
        assert (done.code, done.err) == (0, "")
        assert "<dt>call</dt>" in file.read_text(encoding="utf-8")

    @pytest.mark.parametrize("arguments", [("--html", "x.html", "--stage", "graph"), ("--time",)])
    def test_a_page_holds_all_stages(self, run: Run, arguments: tuple[str, ...]) -> None:
        assert run("show", SOFTMAX, *ARG, *arguments).code == 2


class TestDiff:
    def test_targets_that_agree(self, run: Run) -> None:
        done = run("diff", SOFTMAX, *ARG, "--targets", "cpu,wasm")
        assert done.code == 0, done.err
        assert "np.exp" in done.out
        assert "cpu and wasm agree on all" in done.out

    def test_targets_that_do_not(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        def compare_with_wrong_exp(tensor: Tensor, *rest: Any) -> Comparison:
            found = compare(tensor, *rest)
            return replace(found, agree=False) if tensor.label == "np.exp" else found

        monkeypatch.setattr("tilewright.compiler.compare_targets.compare", compare_with_wrong_exp)
        done = run("diff", SOFTMAX, *ARG, "--targets", "cpu,wasm")
        assert done.code == 1
        assert "cpu and wasm part at np.exp" in done.out
        assert "e = np.exp(x - x.max(axis=-1, keepdims=True))" in done.out
        assert "^" in done.out


class TestTargets:
    def test_json_names_every_target(self, run: Run) -> None:
        done = run("targets", "--json")
        assert done.code == 0
        document = json.loads(done.out)
        reports = {r["name"]: r for r in document["targets"]}
        assert tuple(reports) == tuple(NAMES)
        assert reports["cpu"]["usable"]
        assert document["environment"]["numpy"] == np.__version__
        for report in reports.values():
            assert bool(report["device"]) == report["usable"] != bool(report["problem"])

    def test_what_is_missing_is_said(self, capsys: pytest.CaptureFixture[str]) -> None:
        problem, advice = "no adapter [was] found", "install a driver"
        _print([TargetReport("wgsl", False, problem=problem, help=advice)])
        printed = capsys.readouterr().out
        assert problem in printed
        assert advice in printed

    def test_a_driver_that_crashes_or_fails(self) -> None:
        for code, problem in (
            ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "crashed with SIGSEGV"),
            ("raise SystemExit('cannot open display')", "cannot open display"),
        ):
            probe = subprocess.Popen(
                [sys.executable, "-c", code],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            report = _finished("glsl", probe)
            assert not report.usable
            assert problem in report.problem


class TestCache:
    def test_info_and_clear(self, run: Run, tmp_path: Path) -> None:
        folder = ("--cache-dir", str(tmp_path / "kept"))
        assert run(*folder, "show", SOFTMAX, *ARG, "--stage", "llvm").code == 0
        facts = json.loads(run(*folder, "cache", "info", "--json").out)
        assert facts["location"] == str(tmp_path / "kept")
        assert facts["entries"] > 0
        assert f"entries   {facts['entries']}" in run(*folder, "cache", "info").out
        assert f"removed {facts['entries']} entries" in run(*folder, "cache", "clear").out
        assert json.loads(run(*folder, "cache", "info", "--json").out)["entries"] == 0

    def test_the_environment_names_it(
        self, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TILEWRIGHT_CACHE_DIR", str(tmp_path))
        assert str(tmp_path) in run("cache", "info").out


def test_threads_from_the_environment(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    before = runtime().pool.num_threads
    monkeypatch.setenv("TILEWRIGHT_NUM_THREADS", "3")
    try:
        run("cache", "info")
        assert runtime().pool.num_threads == 3
    finally:
        runtime().pool.set_num_threads(before)


class TestBench:
    OPTIONS = ("--seconds", "0", "--threads", "1", "--against", "numpy")

    def test_a_kernel_of_a_file(self, run: Run, tmp_path: Path) -> None:
        path = tmp_path / "out.json"
        done = run("bench", SOFTMAX, *ARG, *self.OPTIONS, "--json", str(path))
        assert done.code == 0, done.err
        assert "softmax" in done.out
        (result,) = json.loads(path.read_text())["results"]
        assert result["threads"] == 1
        assert result["seconds"].keys() == {"tilewright", "numpy"}
        assert result["work"]["bytes"] == 2 * 4 * 5 * 4
        assert 0 <= result["error"] < 1e-6

    def test_places_that_take_no_file_are_told_before_measuring(
        self, run: Run, tmp_path: Path
    ) -> None:
        for option, place in (("--json", tmp_path), ("--plot", tmp_path / "missing" / "a.svg")):
            done = run("bench", SOFTMAX, *ARG, *self.OPTIONS, option, str(place))
            assert done.code == 1
            assert f"cannot write '{place}'" in done.err
            assert not done.out

    def test_a_family_of_the_gallery(self, run: Run, tmp_path: Path) -> None:
        pytest.importorskip("matplotlib")
        path = tmp_path / "out.svg"
        options = ("--family", "audio", "--plot", str(path))
        done = run("bench", *options, *self.OPTIONS)
        assert done.code == 0, done.out
        assert "mel_spectrogram" in done.out
        assert "against numpy" in done.out
        assert b"</svg>" in path.read_bytes()

    def test_one_that_fails_does_not_stop_the_others(self, run: Run, tmp_path: Path) -> None:
        file = tmp_path / "k.py"
        file.write_text(
            "import numpy as np, tilewright as tw\n"
            "@tw.kernel\ndef good(x):\n    return x + 1\n"
            "@tw.kernel\ndef bad(x):\n    return x + np.ones(7, np.float32)\n"
        )
        done = run("bench", str(file), *ARG, *self.OPTIONS)
        assert done.code == 1
        assert "bad: ShapeError" in done.out
        assert "against numpy" in done.out

    def test_arguments_that_are_missing_are_a_usage_error(self, run: Run) -> None:
        assert run("bench", SOFTMAX, *self.OPTIONS).code == 2
