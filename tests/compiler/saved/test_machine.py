"""Which processors run code that was saved elsewhere."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tilewright.compiler.saved.machine import check_machine
from tilewright.ir.errors import DeviceError

HERE: Any = SimpleNamespace(triple="x86_64-linux", cpu="small", features="+sse2,-avx2,+avx")


def saved(features: str, triple: str = "x86_64-linux") -> dict[str, Any]:
    return {"triple": triple, "cpu": "large", "features": features}


@pytest.mark.parametrize("features", ["", "+sse2", "+avx,+sse2", "-avx2", "-avx512f,+avx", "-sse2"])
def test_what_needs_no_more_than_there_is_runs(features: str) -> None:
    check_machine(saved(features), HERE)


def test_missing_features_are_named_in_order() -> None:
    names = "+zz,+avx,+fma,-nothing,+avx2,+bmi2,+avx512f"
    with pytest.raises(DeviceError) as caught:
        check_machine(saved(names), HERE)
    assert caught.value.message == (
        "the kernel was saved for a processor (large) with features that this one (small) lacks:"
        " avx2, avx512f, bmi2, fma, zz"
    )


def test_another_system() -> None:
    with pytest.raises(DeviceError, match="saved for arm64-macos, and this is x86_64-linux"):
        check_machine(saved("", "arm64-macos"), HERE)
