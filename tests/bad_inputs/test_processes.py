"""Rows 94 and 96: threads, processes, interrupts."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tests.bad_inputs.calls import HEAVY, X


def test_row_94_thirty_two_threads_make_the_first_call() -> None:
    kernel = tw.kernel(lambda a: np.tanh(a) * 3)
    start = threading.Barrier(32)
    results: list[Any] = [None] * 32

    def work(k: int) -> None:
        start.wait()
        for _ in range(5):
            results[k] = kernel(X + k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(kernel.specializations) == 1
    for k, result in enumerate(results):
        np.testing.assert_allclose(result, np.tanh(X + k) * 3, rtol=1e-6)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_row_94_kernels_work_in_a_forked_child() -> None:
    program = """
        import os, sys
        import numpy as np
        import tilewright as tw
        kernel = tw.kernel(lambda a: np.exp(a).sum(axis=1))
        x = np.ones((512, 512), np.float32)
        before = kernel(x)
        kernel(x)
        child = os.fork()
        if not child:
            same = np.array_equal(kernel(x), before) and np.array_equal(kernel(x + 0), before)
            fresh = np.array_equal(tw.kernel(lambda a: a * 2)(x), x * 2)
            os._exit(0 if same and fresh else 1)
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    child = [sys.executable, "-c", textwrap.dedent(program)]
    assert subprocess.run(child, timeout=60, check=False).returncode == 0


FORKS = """
    import faulthandler, os, signal, threading
    import numpy as np
    import tilewright as tw

    stop = threading.Event()

    def others() -> None:
        number = 0
        while not stop.is_set():  # compile, load, run, and give code back
            number += 1
            tw.kernel(lambda a: np.sin(a) * number + np.cos(a))(np.ones(number % 7 + 3))

    tw.kernel  # the first import belongs to Python: no fork may come in between
    thread = threading.Thread(target=others, daemon=True)
    thread.start()
    for number in range(12):
        child = os.fork()
        if child == 0:
            faulthandler.dump_traceback_later(8)
            signal.alarm(10)
            got = tw.kernel(lambda a: np.exp(a) * number)(np.zeros(4))
            os._exit(0 if (got == number).all() else 1)
        assert os.waitpid(child, 0)[1] == 0, number
    stop.set()
    thread.join()
    print("right")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_row_94_forks_while_another_thread_compiles() -> None:
    assert run(textwrap.dedent(FORKS)) == "right\n"


POOL = """
    import sys
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context
    import numpy as np
    import kernels

    if __name__ == "__main__":
        x = np.arange(6, dtype=np.float32)
        compiled = kernels.doubled.compile(x)
        kernels.doubled(x), kernels.doubled(x)
        with ProcessPoolExecutor(2, mp_context=get_context(sys.argv[1])) as pool:
            for result in pool.map(kernels.doubled, [x] * 4, timeout=60):
                assert (result == x * 2).all()
            assert (pool.submit(compiled, x).result(60) == x * 2).all()
            assert (pool.submit(kernels.tripled, x).result(60) == x * 3).all()
"""
KERNELS = """
    import tilewright as tw

    @tw.kernel
    def doubled(a):
        return a * 2

    @tw.kernel
    def scaled(a, factor):
        return a * factor

    tripled = scaled.bind(factor=3.0)
"""


def run(program: str, *arguments: str, folder: Path | None = None) -> str:
    """What a program prints in a process of its own, which must end well."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods()[:2])
def test_row_94_kernels_in_pools_of_processes(method: str, tmp_path: Path) -> None:
    (tmp_path / "kernels.py").write_text(textwrap.dedent(KERNELS))
    (tmp_path / "main.py").write_text(textwrap.dedent(POOL))
    child = [sys.executable, "main.py", method]
    assert subprocess.run(child, cwd=tmp_path, timeout=120, check=False).returncode == 0


needs_timer = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="timers are POSIX")

INTERRUPTED = """
    import random, signal, sys
    import numpy as np
    import tilewright as tw

    class Interrupted(BaseException):
        pass

    def interrupt(*_):
        raise Interrupted

    signal.signal(signal.SIGALRM, interrupt)

    def interrupted(seconds, function, *args):
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            result = function(*args)
            signal.setitimer(signal.ITIMER_REAL, 0)
        except Interrupted:
            return None
        return result
"""


ENDLESS = """
    import numpy as np
    import tilewright as tw

    @tw.kernel(target=sys.argv[1])
    def endless(a):
        return tw.while_loop(lambda s: s.max() < 10, lambda s: s * 0.5 + a, a)[0]

    x = np.ones(int(sys.argv[2]), np.float32)
    large = x * 20
    for fill in range(1, 4):  # the first calls and those of the call path in machine code
        y = np.empty_like(x)
        try:
            print(endless(large)[0], flush=True)
            endless(x, out=y) if fill == 3 else endless(x)
        except KeyboardInterrupt:
            print("interrupted", flush=True)
        assert np.array_equal(x, np.ones_like(x))
    assert np.array_equal(endless(large), large)
"""


@pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGINT for other processes")
@pytest.mark.parametrize("size", [8, 300_000])
@pytest.mark.parametrize("target", ["cpu", pytest.param("wasm", marks=pytest.mark.wasm)])
def test_row_96_control_c_ends_an_endless_loop(target: str, size: int) -> None:
    program = "import sys\n" + textwrap.dedent(ENDLESS)
    command = [sys.executable, "-c", program, target, str(size)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout is not None
    try:
        for _ in range(3):
            assert child.stdout.readline() == "20.0\n"
            time.sleep(0.3)  # most likely it is in the loop by then; else this tests less
            child.send_signal(signal.SIGINT)
            assert child.stdout.readline() == "interrupted\n"
        _, errors = child.communicate(timeout=60)
    finally:
        child.kill()
    assert child.returncode == 0, errors


@needs_timer
@pytest.mark.parametrize("target", ["cpu", pytest.param("wasm", marks=pytest.mark.wasm)])
def test_row_96_handlers_run_during_a_loop(target: str) -> None:
    """They may raise anything, or call the same kernel; then the loop goes on."""
    program = """
    @tw.kernel(target=sys.argv[1])
    def loop(a, limit):
        def step(s, n):
            return s * 0.5 + a, n + 1

        return tw.while_loop(lambda s, n: n < limit[0], step, a, np.float32(0))

    x, many, few = np.ones(64, np.float32), np.full(1, 1e30, np.float32), np.ones(1, np.float32)
    wanted = [loop(x, few) for _ in range(3)][-1]
    for _ in range(3):
        assert interrupted(0.02, loop, x, many) is None
        assert np.array_equal(loop(x, few)[0], wanted[0])

    found = []

    def call(*_):
        found.append(loop(x, few)[0])
        signal.signal(signal.SIGALRM, interrupt)
        signal.setitimer(signal.ITIMER_REAL, 0.2)

    signal.signal(signal.SIGALRM, call)
    assert interrupted(0.1, loop, x, many) is None
    assert np.array_equal(found[0], wanted[0])
    """
    run(textwrap.dedent(INTERRUPTED) + textwrap.dedent(program), target)


def test_row_96_a_loop_of_another_thread_lets_the_main_thread_run() -> None:
    """What looks short is called with the GIL held."""
    run("""
    import threading
    import numpy as np
    import tilewright as tw

    @tw.kernel
    def loop(a, go):
        return tw.while_loop(lambda s: go[0] > 0, lambda s: s * 0.5 + a, a)[0]

    x, go = np.ones(4, np.float32), np.zeros(1, np.float32)
    loop(x, go), loop(x, go)  # from now on the call path in machine code
    go[0] = 1
    other = threading.Thread(target=loop, args=(x, go))
    other.start()
    go[0] = 0
    other.join()
    """)


@needs_timer
def test_row_96_interrupts_of_a_compilation_leave_everything_usable() -> None:
    program = """
    rng = random.Random(0)
    x = np.arange(1, 7, dtype=np.float32)
    never = 0
    for k in range(int(sys.argv[1])):
        kernel = tw.kernel(lambda a, k=k: np.sqrt(a) * k + a.sum())
        never += interrupted(rng.uniform(0.0005, 0.05), kernel, x) is not None
        for _ in range(3):
            assert np.allclose(kernel(x), np.sqrt(x) * k + x.sum())
    assert never < int(sys.argv[1])
    """
    count = "400" if HEAVY else "25"
    run(textwrap.dedent(INTERRUPTED) + textwrap.dedent(program), count)


def test_row_96_exceptions_of_callbacks_pass_through() -> None:
    class OwnError(Exception):
        pass

    def fails() -> Any:
        raise OwnError

    kernel = tw.kernel(lambda a, f: a + f())
    for _ in range(3):
        with pytest.raises(OwnError):
            kernel(X, fails)
        np.testing.assert_array_equal(kernel(X, lambda: 2), X + 2)


def test_row_96_a_sub_interpreter_works_or_says_why() -> None:
    inside = """
    try:
        import numpy as np, tilewright as tw
        x = np.arange(6, dtype=np.float32)
        kernel = tw.kernel(lambda a: a + 2)
        for _ in range(3):
            assert (kernel(x) == x + 2).all()
        print("works")
    except Exception as error:
        print(type(error).__name__, error)
    """
    program = """
    try:
        import _interpreters as interpreters
    except ImportError:
        import _xxsubinterpreters as interpreters
    import sys
    import numpy as np, tilewright as tw
    x = np.arange(6, dtype=np.float32)
    kernel = tw.kernel(lambda a: a + 1)
    kernel(x), kernel(x)
    other = interpreters.create()
    code = sys.argv[1]
    interpreters.run_string(other, code)
    assert (kernel(x) == x + 1).all()
    """
    assert run(program, textwrap.dedent(inside))
