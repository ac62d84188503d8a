"""Time per run without the device's clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tilewright.ir.run_times import slope


def noisy(once: float, each: float, noise: Iterator[float]) -> Callable[[int], float]:
    return lambda runs: once + each * runs + next(noise)


def test_what_is_paid_once_falls_out() -> None:
    assert slope(lambda runs: 5e-3 + 2e-4 * runs, 10) == pytest.approx(2e-4)


def test_one_disturbed_pair_does_not_count() -> None:
    noise = iter((0.0, 0.0, 1.0, 0.0, 0.0, 0.0))
    assert slope(noisy(5e-3, 2e-4, noise), 10) == pytest.approx(2e-4)


def test_where_noise_hides_the_difference_the_bound_is_told() -> None:
    noise = iter((1e-2, 0.0) * 3)
    assert slope(noisy(5e-3, 2e-4, noise), 10) == pytest.approx((5e-3 + 4e-3) / 20)


def test_a_slope_is_no_more_than_what_a_run_took() -> None:
    noise = iter((-4e-3, 4e-3, -4e-3, 4e-3, -4e-3, 0.0))
    assert slope(noisy(5e-3, 2e-4, noise), 10) == pytest.approx((5e-3 + 4e-3) / 20)
