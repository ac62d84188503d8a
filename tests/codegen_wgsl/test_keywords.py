"""The table of reserved names against naga."""

import pytest

from tilewright.codegen_wgsl.device import Device
from tilewright.codegen_wgsl.keywords import KEYWORDS, PREDECLARED, RESERVED_WORDS
from tilewright.ir.errors import DeviceError

pytestmark = pytest.mark.wgsl


def accepts(device: Device, name: str) -> bool:
    try:
        device.validate(f"@compute @workgroup_size(1) fn main() {{ let {name} = 1; }}")
    except DeviceError:
        return False
    return True


def test_naga_refuses_reserved_names(device: Device) -> None:
    assert {name for name in KEYWORDS | RESERVED_WORDS if accepts(device, name)} == set()


def test_naga_accepts_ordinary_names(device: Device) -> None:
    assert accepts(device, "x")


def test_the_tables_do_not_overlap() -> None:
    assert not PREDECLARED & (KEYWORDS | RESERVED_WORDS)
    assert not KEYWORDS & RESERVED_WORDS
