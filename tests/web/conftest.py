"""What the tests of this folder share: one browser, and reproducible random numbers."""

from collections.abc import Iterator

import numpy as np
import pytest

from tests.browser import Browser


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with Browser() as browser:
        yield browser


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20261)
