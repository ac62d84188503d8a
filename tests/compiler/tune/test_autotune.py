"""``tilewright autotune`` and ``tilewright tuning``; and later calls use what they have found."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

import tilewright as tw
from tests.bad_inputs.calls import HEAVY
from tests.compiler.tune.test_database import RECORD
from tilewright.compiler.cache import ArtifactCache
from tilewright.compiler.cache.artifacts import versions
from tilewright.compiler.cli import main
from tilewright.compiler.runtime import runtime
from tilewright.compiler.tune.as_code import decorator_code
from tilewright.compiler.tune.database import Failure, TuningDatabase, TuningRecord
from tilewright.compiler.tune.device import device_of
from tilewright.compiler.tune.subject import graph_digest, traced_call
from tilewright.compiler.tune.worker import RaceRequest, Reply
from tilewright.compiler.tune.worker_process import WorkerProcess
from tilewright.ir.schedule import Schedule

KERNELS = """
import numpy as np
import tilewright as tw

@tw.kernel(x=tw.f32[100, 40])
def total(x):
    return (x * x).sum(axis=1)

@tw.kernel(x=tw.f32[64])
def twice(x):
    return x * 2

@tw.kernel
def product(a, b):
    return a @ b
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "kernels.py"
    path.write_text(KERNELS)
    return str(path)


@pytest.fixture
def database(tmp_path: Path) -> TuningDatabase:
    return TuningDatabase(tmp_path / "records.jsonl")


def autotune(file: str, database: TuningDatabase, *more: str) -> int:
    given = ("autotune", file, "--database", str(database.path), "--trials", "3", *more)
    return main([*given, "--seconds", "20"])


def test_a_kernel_is_tuned(
    file: str, database: TuningDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("--arg", "a=f32[32,48]", "--arg", "b=f32[48,64]", "--seed", "5")
    assert autotune(f"{file}:product", database, *arguments) == 0
    (record,) = database.records()
    assert (record.kernel, record.target, record.seed) == ("product", "cpu", 5)
    assert record.arguments == ("a: f32[32, 48]", "b: f32[48, 64]")
    assert 1 <= record.trials <= 3
    assert record.device == device_of("cpu").name
    assert not record.software
    assert "schedules tried" in capsys.readouterr().out


def test_a_whole_file_is_tuned(file: str, database: TuningDatabase) -> None:
    """Of `product` the arguments are not known."""
    assert autotune(file, database) == 0
    assert [record.kernel for record in database.records()] == ["total", "twice"]


def test_what_is_not_tuned_is_said(
    file: str, database: TuningDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    """And one kernel that does not run does not keep the others from being tuned."""
    with Path(file).open("a") as more:
        more.write("\n@tw.kernel(x=tw.f32[8])\ndef broken(x):\n    return x.reshape(3, 3)\n")
    assert autotune(file, database) == 1
    assert [record.kernel for record in database.records()] == ["total", "twice"]
    said = capsys.readouterr()
    assert "not tuned, as their arguments are not given: product" in said.err
    assert "error: broken: " in said.err
    path = str(database.path)
    assert f"recorded in {path!r}, which later calls do not read" in said.out
    assert f"`tilewright tuning remove total --database {path}` forgets it" in said.out


def test_it_is_said_where_later_calls_find_a_record(
    file: str, own_records: TuningDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    assert autotune(f"{file}:twice", own_records) == 0
    said = capsys.readouterr().out
    assert f"later calls use the record in {str(own_records.path)!r}" in said
    assert "`tilewright tuning remove twice` forgets it" in said


def test_an_interrupt_keeps_what_was_found_and_ends_the_run(
    file: str, database: TuningDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    races: list[RaceRequest] = []

    def race(self: WorkerProcess, request: RaceRequest) -> Reply:
        races.append(request)
        if len(races) == 3:
            raise KeyboardInterrupt
        return Reply(0.5, 1e-6, 1.0)

    monkeypatch.setattr(WorkerProcess, "race", race)
    assert autotune(file, database) == 130
    (record,) = database.records()  # `twice` was not begun
    assert record.kernel == "total"
    assert record.schedules
    assert record.gain == pytest.approx(2)


@pytest.mark.parametrize("number", range(12 if HEAVY else 3))
def test_a_tuner_killed_at_any_moment_does_no_harm(
    file: str, database: TuningDatabase, number: int
) -> None:
    """Some of these moments are while it starts, some in the search, some while it writes."""
    database.add([RECORD])
    rng = random.Random(number)
    where = ("--database", str(database.path), "--seconds", "1", "--trials", "2")
    program = "import sys; from tilewright.compiler.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", program, "autotune", file, *where]
    for _ in range(2):
        tuner = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(rng.uniform(0.3, 3.5))
        tuner.kill()
        tuner.wait()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert RECORD in TuningDatabase(database.path).records()
    assert autotune(f"{file}:twice", database) == 0
    assert database.records()[-1].kernel == "twice"


def test_what_failed_before_is_not_tried_again(
    file: str, database: TuningDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[RaceRequest] = []

    def race(self: WorkerProcess, request: RaceRequest) -> Reply:
        asked.append(request)
        return Reply(error="no answer after 60 s") if request.new else Reply(1.0, 1e-6, 0.0)

    monkeypatch.setattr(WorkerProcess, "race", race)
    assert autotune(f"{file}:twice", database) == 0
    failed = {str(request.new) for request in asked if request.new}
    assert len(failed) == 3
    asked.clear()
    assert autotune(f"{file}:twice", database) == 0
    assert not failed & {str(request.new) for request in asked}


@pytest.mark.wgsl
def test_another_target(file: str, database: TuningDatabase) -> None:
    assert autotune(f"{file}:total", database, "--target", "wgsl") == 0
    (record,) = database.records()
    assert record.target == "wgsl"
    assert record.device == runtime().webgpu.info.summary
    assert record.software == runtime().webgpu.info.is_software


def test_what_cannot_be_tuned(
    file: str, database: TuningDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    assert autotune("-", database) == 3
    assert autotune(f"{file}:product", database) == 2
    assert "needs 'a'" in capsys.readouterr().err
    assert autotune(f"{file}:product", database, "--trials", "0") == 2
    broken = ("--arg", "a=f32[3,4]", "--arg", "b=f32[3,4]")
    assert autotune(f"{file}:product", database, *broken) == 1
    assert database.records() == []


def record_for(kernel: tw.Kernel, schedules: dict[str, Schedule], **arguments: Any) -> TuningRecord:
    traced, _ = traced_call(kernel, arguments)
    return replace(
        RECORD,
        kernel=kernel.__name__,
        graph=graph_digest(traced.graph, kernel.target, kernel.options),
        target=kernel.target,
        device=device_of(kernel.target).name,
        compiler=versions(),
        schedules=schedules,
        seconds=1e-6,
        default_seconds=2e-6,
    )


@pytest.fixture
def own_records(
    tmp_path: Path, database: TuningDatabase, monkeypatch: pytest.MonkeyPatch
) -> TuningDatabase:
    monkeypatch.setattr(runtime(), "tuning_file", str(database.path))
    monkeypatch.setattr(runtime(), "tuning", database)
    monkeypatch.setattr(runtime(), "cache", ArtifactCache.default(tmp_path / "cache"))
    return database


X = np.arange(12.0, dtype=np.float32).reshape(3, 4)
CHOSEN = Schedule(tile=(2,), vector=0, width=2, order=(0,))


def scaled(x):
    return x * 3 + 1


def schedules_of_a_call(kernel: tw.Kernel, x: np.ndarray = X) -> dict[str, Schedule]:
    np.testing.assert_array_equal(kernel(x), x * 3 + 1)
    made = kernel.specializations[-1]
    pairs: Any = made.stage("schedule")
    return dict(pairs)


def test_later_calls_use_a_record(own_records: TuningDatabase) -> None:
    plain = schedules_of_a_call(tw.kernel(scaled))
    (name,) = plain
    assert plain[name] != CHOSEN
    record = record_for(tw.kernel(scaled), {name: CHOSEN}, x=X)
    own_records.add([record])
    # The disk cache holds the kernel without: it is another one now.
    assert schedules_of_a_call(tw.kernel(scaled)) == {name: CHOSEN}
    assert tw.kernel(scaled).compile(tw.f32[3, 4]).schedule == {name: CHOSEN}
    assert schedules_of_a_call(tw.kernel(scaled), X[:2]) != {name: CHOSEN}  # another shape
    given = tw.kernel(schedule={name: Schedule()})(scaled)
    assert schedules_of_a_call(given) == {name: Schedule()}
    # And back, when a faster one comes that has none.
    own_records.add([replace(record, schedules={}, seconds=1e-7)])
    assert schedules_of_a_call(tw.kernel(scaled)) == plain


def test_a_kernel_with_open_dimensions_gets_what_was_best_for_large_ones(
    file: str, own_records: TuningDatabase
) -> None:
    with Path(file).open("a") as more:
        more.write("""
@tw.kernel(x=tw.f32[tw.dim("N"), 4])
def scaled(x):
    return x * 3 + 1
""")
    for size in (10, 500_000):
        assert autotune(f"{file}:scaled", own_records, "--arg", f"x=f32[{size},4]") == 0
    few, many = own_records.records()
    assert (few.sizes, many.sizes) == ({"N": 10}, {"N": 500_000})
    kernel = tw.kernel(x=tw.f32[tw.dim("N"), 4])(scaled)
    (name,) = schedules_of_a_call(kernel)
    other = Schedule(tile=(4,), vector=0, width=4, order=(0,))
    own_records.add([replace(few, schedules={name: CHOSEN}, seconds=1e-9)])
    own_records.add([replace(many, schedules={name: other}, seconds=1e-6)])
    assert schedules_of_a_call(tw.kernel(x=tw.f32[tw.dim("N"), 4])(scaled)) == {name: other}


@pytest.mark.parametrize("part", ["device", "compiler", "target", "graph"])
def test_records_of_others_are_not_used(own_records: TuningDatabase, part: str) -> None:
    (name,) = plain = schedules_of_a_call(tw.kernel(scaled))
    record = record_for(tw.kernel(scaled), {name: CHOSEN}, x=X)
    own_records.add([replace(record, **{part: "another"})])
    assert schedules_of_a_call(tw.kernel(scaled)) == plain


@pytest.mark.parametrize(
    "schedules",
    [{"no such nest": CHOSEN}, {"": Schedule(tile=(0,))}, {"": Schedule(width=3)}],
    ids=["name", "tile", "width"],
)
def test_a_record_that_does_not_fit_is_no_error(
    own_records: TuningDatabase, schedules: dict[str, Schedule]
) -> None:
    """As of a file that somebody has edited."""
    (name,) = plain = schedules_of_a_call(tw.kernel(scaled))
    fitting = {n or name: s for n, s in schedules.items()}
    own_records.add([record_for(tw.kernel(scaled), fitting, x=X)])
    with pytest.warns(tw.CacheWarning, match="does not fit"):
        found = schedules_of_a_call(tw.kernel(scaled))
    assert found == plain


def test_the_records_on_the_command_line(
    database: TuningDatabase, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ("--database", str(database.path))
    assert main(["tuning", "list", *where]) == 0
    assert "no records" in capsys.readouterr().out
    record = record_for(tw.kernel(scaled), {"t1": CHOSEN}, x=X)
    database.add([record])
    assert main(["tuning", "list", *where]) == 0
    assert "2.00x" in capsys.readouterr().out
    assert main(["tuning", "list", "--json", *where]) == 0
    assert json.loads(capsys.readouterr().out)["kernel"] == "scaled"
    assert main(["tuning", "show", "scaled", *where]) == 0
    shown = capsys.readouterr().out
    assert '@tw.kernel(schedule={\n    "t1": Schedule(tile=(2,), vector=0, width=2' in shown
    scope: dict[str, object] = {}
    exec(shown.replace("@tw.kernel(schedule=", "(")[: shown.rindex(")") + 1], scope)
    assert main(["tuning", "show", "nothing", *where]) == 2
    out = tmp_path / "best.jsonl"
    assert main(["tuning", "export", str(out), *where]) == 0
    assert TuningDatabase(out).records() == [record]
    other = ("--database", str(tmp_path / "other.jsonl"))
    assert main(["tuning", "merge", str(out), *other]) == 0
    assert TuningDatabase(tmp_path / "other.jsonl").records() == [record]
    assert main(["tuning", "merge", str(tmp_path / "missing"), *other]) == 3


def test_a_kernel_is_forgotten(
    database: TuningDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ("--database", str(database.path))
    database.add([RECORD, replace(RECORD, kernel="other", graph="b2")])
    assert main(["tuning", "remove", "softmax", *where]) == 0
    assert "1 records of 'softmax' are forgotten" in capsys.readouterr().out
    assert [record.kernel for record in database.records()] == ["other"]
    assert main(["tuning", "remove", "softmax", *where]) == 2


HOSTILE = "\x1b]0;owned\x07[red]\n\u202e"


def test_names_of_records_are_no_commands_for_a_terminal(
    database: TuningDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ("--database", str(database.path))
    record = replace(
        RECORD, kernel=HOSTILE, device=HOSTILE, arguments=(HOSTILE,), date=HOSTILE, target=HOSTILE
    )
    database.add([replace(record, failures=(Failure(HOSTILE, Schedule(), HOSTILE),))])
    for command in (["list"], ["show", HOSTILE], ["show", "x"]):
        main(["tuning", *command, *where])
        said = capsys.readouterr()
        assert not set("\x1b\x07\u202e") & set(said.out + said.err)
        assert "x1b]0;owned" in said.out + said.err
    main(["tuning", "list", "--json", *where])
    assert "\x1b" not in capsys.readouterr().out


def test_names_of_records_are_literals_of_the_code() -> None:
    name = """"): __import__("os").abort(), ('\\"""
    code = decorator_code({name: Schedule(vector="a'\"b")})
    scope: dict[str, Any] = {}
    exec(code.replace("@tw.kernel(schedule=", "found = (")[: code.rindex(")") + 1], scope)
    assert scope["found"] == {name: Schedule(vector="a'\"b")}


@pytest.mark.wgsl
def test_a_kernel_with_a_number_is_found_again(own_records: TuningDatabase) -> None:
    """Where there is no float64, such a kernel is made for the number's value."""

    def shifted(x, k):
        return x + (k * 2.0 + 1.0)

    kernel = tw.kernel(target="wgsl")(shifted)
    record = record_for(kernel, {}, x=X, k=0.5)
    kernel(X, 0.5)
    called = kernel.specializations[-1].traced.graph
    assert record.graph == graph_digest(called, "wgsl", kernel.options)
