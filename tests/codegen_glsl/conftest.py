"""One device for all tests of this folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tilewright.codegen_glsl.device import GlDevice

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def device() -> Iterator[GlDevice]:
    with GlDevice() as opened:
        yield opened
