"""A process with the whole compiler and all tests imported, which is forked for every mutant.

Out, first: the names of all tests. Then in, a line of JSON each: a module, its mutated source, the
tests to run, the time that they may take. And out, a line each: the outcome, and the test that
failed; or ``cannot``, where the change only counts when the module is imported. In the child every
function of the module gets its new code, whoever holds it; then pytest runs, to which nothing is
left to import.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any

import pytest

PYTEST = ("-q", "--tb=no", "-p", "no:cacheprovider")
CANNOT = 99
_PR_SET_PDEATHSIG = 1
Place = tuple[str, int]


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    names = _Names()
    at_import = _import_everything(names)
    answers.write(json.dumps(names.found) + "\n")
    answers.flush()
    for line in sys.stdin:
        request = json.loads(line)
        outcome, by = _in_a_child(request, at_import)
        answers.write(json.dumps([outcome, by]) + "\n")
        answers.flush()


class _Names:
    """Keeps the names of the tests that were collected."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.found = [item.nodeid for item in session.items]


def _import_everything(names: _Names) -> dict[str, set[Place]]:
    """The places of the functions of each file that have run when all is imported."""
    ran: dict[str, set[Place]] = {}

    def note(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event == "call" and "tilewright" in code.co_filename:
            ran.setdefault(code.co_filename, set()).add((code.co_qualname, code.co_firstlineno))

    sys.setprofile(note)
    pytest.main([*PYTEST, "--collect-only", "tests"], [names])
    package = Path("src/tilewright")
    for folder in sorted(p for p in package.iterdir() if p.is_dir()):
        for path in sorted(folder.rglob("*.py")):
            name = ".".join(path.relative_to("src").with_suffix("").parts)
            importlib.import_module(name.removesuffix(".__init__"))
    sys.setprofile(None)
    conftest = sys.modules["tests.conftest"]
    for target in ("wgsl", "glsl", "wasm", "node"):
        conftest.why_unavailable(target)
    gc.collect()
    gc.freeze()
    return ran


def _in_a_child(request: dict[str, Any], at_import: dict[str, set[Place]]) -> tuple[str, str]:
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.setsid()
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # it may run for ever
        os._exit(_run(request, at_import, writer))
    os.close(writer)
    end = time.monotonic() + request["seconds"]
    found, status = 0, 0
    while not found and time.monotonic() < end:
        found, status = os.waitpid(child, os.WNOHANG)
        time.sleep(0.01)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # and what it has started
    if not found:
        os.waitpid(child, 0)
    with os.fdopen(reader) as names:
        by = names.readline().strip()
    code = os.waitstatus_to_exitcode(status) if found else 0
    if not found:
        return "killed", "no end"
    if code == CANNOT:
        return "cannot", ""
    return ("killed", by or f"exit {code}") if code else ("survived", "")


class _FirstFailure:
    """Tells the name of a test that failed."""

    def __init__(self, writer: int) -> None:
        self.writer = writer

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            os.write(self.writer, report.nodeid.encode() + b"\n")


def _run(request: dict[str, Any], at_import: dict[str, set[Place]], writer: int) -> int:
    try:
        if not _change(request["module"], request["source"], at_import):
            return CANNOT
        return int(pytest.main([*PYTEST, "-x", *request["tests"]], [_FirstFailure(writer)]))
    except BaseException:
        return 1


def _change(module: str, source: str, at_import: dict[str, set[Place]]) -> bool:
    """Give the functions of a module the code of `source`; False where that would not be enough."""
    name = "tilewright." + module.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
    file = str(sys.modules[name].__file__)
    before = _codes(compile(Path(file).read_text(), file, "exec", dont_inherit=True))
    after = _codes(compile(source, file, "exec", dont_inherit=True))
    if len(before) != len(after):
        return False
    pairs = list(zip(before, after, strict=True))
    ran = at_import.get(file, set())
    for old, new in pairs:
        if _own(old) != _own(new) and (old.co_qualname, old.co_firstlineno) in ran:
            return False
    changed = {old: new for old, new in pairs if old.co_name != "<module>" and old != new}
    done = False
    gc.unfreeze()
    for function in [o for o in gc.get_objects() if isinstance(o, FunctionType)]:
        if function.__code__.co_filename == file and function.__code__ in changed:
            try:
                function.__code__ = changed[function.__code__]
            except ValueError:  # it captures other variables
                return False
            done = True
    return done


def _codes(root: CodeType) -> list[CodeType]:
    """The code of a module and of everything in it, in the order of its text."""
    found = [root]
    for constant in root.co_consts:
        if isinstance(constant, CodeType):
            found += _codes(constant)
    return found


def _own(code: CodeType) -> tuple[object, ...]:
    """What a code object does itself."""
    constants = [repr(c) for c in code.co_consts if not isinstance(c, CodeType)]
    return code.co_code, code.co_names, code.co_varnames, constants


if __name__ == "__main__":
    main()
