"""The table of modules that implement NumPy's functions says what these modules enter."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tilewright.compiler.trace import dispatch, registry

FOLDER = Path(registry.__file__).parent
MODULES = sorted(path.stem for path in FOLDER.glob("numpy_*.py"))


def test_the_table_names_what_the_modules_implement() -> None:
    for module in MODULES:
        import_module(f"tilewright.compiler.trace.{module}")
    homes = {
        function: implementation.__module__
        for function, implementation in dispatch.IMPLEMENTATIONS.items()
    }
    entered = {f for f, home in homes.items() if home.rpartition(".")[2].startswith("numpy_")}
    assert sorted(registry.FUNCTIONS) == MODULES
    assert {f.__name__ for f in entered if registry.home_of(f) is None} == set()
    for names in registry.FUNCTIONS.values():
        for name in names.split():
            function: Any = np
            for part in name.split("."):
                function = getattr(function, part)
            assert registry.home_of(function) == homes[function], name


@pytest.mark.parametrize("call", ["np.sort(x)", "np.linalg.norm(x)", "np.zeros(4)", "np.size(x)"])
def test_a_module_is_imported_for_the_functions_that_are_called(call: str) -> None:
    """In a process of its own, as the other tests have imported all of them."""
    program = f"""
import sys
import numpy as np
from tilewright.compiler.arguments import describe
from tilewright.compiler.trace.run import trace
traced = trace(eval("lambda x: {call} + x"), {{"x": describe(np.ones(4), "x")[0]}})
print(*sorted(m for m in sys.modules if m.startswith("tilewright.compiler.trace.numpy_")))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    function = eval(call.partition("(")[0])
    loaded = done.stdout.split()
    assert registry.home_of(function) in loaded
    assert len(loaded) < len(MODULES) // 2
