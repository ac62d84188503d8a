"""What the tests of this folder share; the `wgsl` marker skips them where no device opens."""

import numpy as np
import pytest

from tilewright.codegen_wgsl.device import Device


@pytest.fixture(scope="session")
def device() -> Device:
    return Device()


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20260)
