"""The types that comments in the ES modules state, by TypeScript."""

from __future__ import annotations

import subprocess

import pytest

from tests.conftest import ROOT, TSC


@pytest.mark.typescript
def test_modules_keep_to_their_types() -> None:
    command = [str(TSC), "--project", str(ROOT / "tests" / "web" / "tsconfig.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout, done.returncode) == ("", 0)
