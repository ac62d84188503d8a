"""Fits the polynomials of `ir/elementary/` and prints or writes their coefficients.

In: the table `FITS` below (function, interval, weight, number of terms). Out: the module
`ir/elementary/coefficients.py`. Each fit is the Remez exchange (E. Ya. Remez, 1934; Muller,
"Elementary Functions", 3rd ed., chapter 3) on a fine grid of Chebyshev points. A coefficient is
rounded to the format that it is used in, and those after it are fitted again, so that they take up
its rounding error (Brisebarre, Muller and Tisserand, 2006, do this optimally; here one at a time).

    python scripts/fit_polynomials.py            # fits all, prints the errors reached
    python scripts/fit_polynomials.py --write    # and writes the module
    python scripts/fit_polynomials.py --only EXP # those whose name starts so
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mpmath import mp, mpf

mp.dps = 60
NEAR_ZERO = mpf(10) ** -9
Real = Callable[[mpf], mpf]
OUTPUT = Path(__file__).parents[1] / "ir" / "elementary" / "coefficients.py"
HEADER = '''"""Coefficients of the polynomials, the constant term first.

Written by `scripts/fit_polynomials.py`, where each name's function and interval are stated; the
comment beside each gives the largest weighted error as a power of two. Do not edit.
"""

'''


@dataclass(frozen=True)
class Fit:
    """Find c so that ``weight(t) * (sum(c[i] * t**i) - function(t))`` is small on [low, high]."""

    name: str
    function: Real
    low: float | mpf
    high: float | mpf
    terms: int
    weight: Real = lambda t: mpf(1)
    format: type[np.floating] = np.float32


def fit(task: Fit) -> tuple[tuple[float, ...], float]:
    """The rounded coefficients, and log2 of the weighted error that they leave."""
    grid = _chebyshev_points(mpf(task.low), mpf(task.high), 24 * (task.terms + 2) + 1)
    wanted = [task.function(t) for t in grid]
    weights = [abs(task.weight(t)) for t in grid]
    def error(coefficients: list[mpf]) -> mpf:
        return max(
            abs(w * (_value(coefficients, t) - y))
            for t, y, w in zip(grid, wanted, weights, strict=True)
        )

    coefficients = _refit(grid, wanted, weights, [], task.terms)
    for order in range(task.terms):
        coefficients[order] = _round(coefficients[order], task.format)
        known = coefficients[: order + 1]
        if len(known) < task.terms:
            again = known + _refit(grid, wanted, weights, known, task.terms)
            coefficients = min(coefficients, again, key=error)
    return tuple(map(float, coefficients)), float(mp.log(error(coefficients), 2))


def _refit(
    grid: list[mpf], wanted: list[mpf], weights: list[mpf], known: list[mpf], terms: int
) -> list[mpf]:
    """The best coefficients to follow the `known` ones: a fit of the rest over ``t**len(known)``.

    Dividing by that power keeps the basis 1, t, t**2, … which has the Haar property on intervals
    that hold zero; the weight takes the power up.
    """
    order = len(known)
    points = [i for i, t in enumerate(grid) if weights[i] and abs(t) > NEAR_ZERO]
    powers = [grid[i] ** order for i in points]
    return _remez(
        [grid[i] for i in points],
        [(wanted[i] - _value(known, grid[i])) / p for i, p in zip(points, powers, strict=True)],
        [weights[i] * abs(p) for i, p in zip(points, powers, strict=True)],
        terms - order,
    )


def _round(value: mpf, format: type[np.floating]) -> mpf:
    """Correctly rounded, not through float64, which would round twice."""
    with mp.workprec(np.finfo(format).nmant + 1):
        return +value


def _chebyshev_points(low: mpf, high: mpf, count: int) -> list[mpf]:
    middle, half = (low + high) / 2, (high - low) / 2
    return [middle - half * mp.cos(mp.pi * i / (count - 1)) for i in range(count)]


def _value(coefficients: list[mpf], t: mpf) -> mpf:
    total = mpf(0)
    for coefficient in reversed(coefficients):
        total = total * t + coefficient
    return total


def _remez(grid: list[mpf], wanted: list[mpf], weights: list[mpf], terms: int) -> list[mpf]:
    """Minimax coefficients on the grid."""
    last = len(grid) - 1
    chosen = [round(i * last / terms) for i in range(terms + 1)]
    coefficients: list[mpf] = []
    for _ in range(40):
        coefficients, level = _solve(grid, wanted, weights, chosen, terms)
        errors = [
            w * (y - _value(coefficients, t))
            for t, y, w in zip(grid, wanted, weights, strict=True)
        ]
        chosen = _extrema(errors, terms + 1)
        if max(map(abs, errors)) <= abs(level) * mpf("1.0001"):
            break
    return coefficients


def _solve(
    grid: list[mpf], wanted: list[mpf], weights: list[mpf], chosen: list[int], terms: int
) -> tuple[list[mpf], mpf]:
    """The polynomial whose weighted errors at the chosen points alternate and are equal."""
    matrix, right = mp.matrix(terms + 1), mp.matrix(terms + 1, 1)
    for row, i in enumerate(chosen):
        for column in range(terms):
            matrix[row, column] = grid[i] ** column
        matrix[row, terms] = (-1) ** row / weights[i]
        right[row] = wanted[i]
    solution = mp.lu_solve(matrix, right)
    return [solution[i] for i in range(terms)], solution[terms]


def _extrema(errors: list[mpf], count: int) -> list[int]:
    """Where the error is largest within each run of one sign; the best `count` runs in a row."""
    runs: list[int] = []
    for i in range(len(errors)):
        if runs and (errors[i] > 0) == (errors[runs[-1]] > 0):
            if abs(errors[i]) > abs(errors[runs[-1]]):
                runs[-1] = i
        else:
            runs.append(i)
    while len(runs) > count:
        weakest_end = 0 if abs(errors[runs[0]]) < abs(errors[runs[-1]]) else -1
        runs.pop(weakest_end)
    while len(runs) < count:  # a degenerate step: fill up with unused points
        runs = sorted({*runs, next(i for i in range(len(errors)) if i not in runs)})
    return runs


def _series(function: Real, order: int, count: int = 40) -> Real:
    """``function(t) / t**order`` with the lower Taylor terms dropped, safe at and near zero."""
    taylor = mp.taylor(function, 0, order + count)

    def tail(t: mpf) -> mpf:
        return _value(taylor[order:], t) if abs(t) < mpf("0.05") else _direct(t)

    def _direct(t: mpf) -> mpf:
        return (function(t) - _value(taylor[:order], t)) / t**order

    return tail


def _even_part(function: Real, order: int) -> Real:
    """For odd or even `function`: the tail above ``x**order`` over that power, in ``t = x**2``."""
    tail = _series(function, order)
    return lambda t: tail(mp.sqrt(t))


LN2 = mp.log(2)
HALF_LN2 = LN2 / 2 * mpf("1.0001")
F64 = np.float64
QUARTER_TURN = mpf("0.80")


def _log_tail(t: mpf) -> mpf:
    """(log(1 + t) - t + t**2 / 2) / t**3"""
    return _LOG_TAIL(t)


_LOG_TAIL = _series(mp.log1p, 3, 80)
LOG_LOW, LOG_HIGH = mpf(2) / 3 - 1, mpf(4) / 3 - 1


def _log2_tail(t: mpf) -> mpf:
    """(log2(1 + t) - t / log(2)) / t**2"""
    return (_log_tail(t) * t - mpf(1) / 2) / LN2


def _relative_log2(t: mpf) -> mpf:
    return abs(t**2 / mp.log1p(t)) * LN2 if t else mpf(0)


def _log10_tail(t: mpf) -> mpf:
    return _log2_tail(t) * LN2 / mp.log(10)


def _relative_log10(t: mpf) -> mpf:
    return _relative_log2(t) / LN2 * mp.log(10)


def _log2_ratio(t: mpf) -> mpf:
    """log2(1 + t) / t"""
    return 1 / LN2 + t * _log2_tail(t)


def _log2_ratio_weight(t: mpf) -> mpf:
    return 1 / _log2_ratio(t)


def _scaled_erfc(center: float) -> Real:
    def function(t: mpf) -> mpf:
        x = center * (1 + t) / (1 - t)
        return (x + center) * mp.exp(x * x) * mp.erfc(x)

    return function


def _scaled_erfc_weight(center: float) -> Real:
    function = _scaled_erfc(center)
    return lambda t: 1 / function(t)


def _erf_ratio(t: mpf) -> mpf:
    """erf(x) / x in t = x**2."""
    return mp.erf(mp.sqrt(t)) / mp.sqrt(t) if t else 2 / mp.sqrt(mp.pi)


def _relative_log(t: mpf) -> mpf:
    return abs(t**3 / mp.log1p(t)) if t else mpf(0)


FITS: tuple[Fit, ...] = (
    # exp(r), r = x - n log 2: c0 = c1 = 1 come out of the code, so fit (e^r - 1 - r) / r^2.
    Fit("EXP_F32", _series(mp.exp, 2), -HALF_LN2, HALF_LN2, 5, lambda t: t**2),
    # 2^f - 1 over f, |f| <= 1/2
    Fit("EXP2_F32", _series(lambda t: mp.power(2, t), 1), -0.501, 0.501, 6, lambda t: t),
    Fit("EXP2_LOW_F32", _series(lambda t: mp.power(2, t), 1), -0.501, 0.501, 5, lambda t: t),
    # log(1 + f) = f - f^2 / 2 + f^3 q(f), f in [-1/3, 1/3]
    Fit("LOG_F32", _log_tail, LOG_LOW, LOG_HIGH, 8, _relative_log),
    Fit("LOG2_F32", _log2_tail, LOG_LOW, LOG_HIGH, 9, _relative_log2),
    Fit("LOG10_F32", _log10_tail, LOG_LOW, LOG_HIGH, 9, _relative_log10),
    # sinh(x) = x + x^3 q(x^2), x <= 1; the same and cosh(r) = 1 + r^2 q(r^2) for r <= log(2) / 2
    Fit(
        "SINH_F32", _even_part(mp.sinh, 3), 0, 1, 4,
        lambda t: mp.sqrt(t) ** 3 / mp.sinh(mp.sqrt(t)) if t else mpf(0),
    ),
    Fit("SINH_KERNEL_F32", _even_part(mp.sinh, 3), 0, HALF_LN2**2, 2, lambda t: mp.sqrt(t) ** 3),
    Fit("COSH_KERNEL_F32", _even_part(mp.cosh, 2), 0, HALF_LN2**2, 3, lambda t: t),
    # tan(r) = r + r^3 q(r^2), |r| <= pi / 4 and a little more
    Fit(
        "TAN_F32", _even_part(mp.tan, 3), 0, QUARTER_TURN**2, 7,
        lambda t: mp.sqrt(t) ** 3 / mp.tan(mp.sqrt(t)) if t else mpf(0),
    ),
    # atan(x) = x + x^3 q(x^2), x <= 1
    Fit(
        "ATAN_F32", _even_part(mp.atan, 3), 0, 1, 9,
        lambda t: mp.sqrt(t) ** 3 / mp.atan(mp.sqrt(t)) if t else mpf(0),
    ),
    # asin(x) = x + x^3 q(x^2), x <= 1 / 2
    Fit(
        "ASIN_F32", _even_part(mp.asin, 3), 0, 0.25, 5,
        lambda t: mp.sqrt(t) ** 3 / mp.asin(mp.sqrt(t)) if t else mpf(0),
    ),
    # (x + c) e^(x^2) erfc(x) = q((x - c) / (x + c)), c = 1, 0 <= x <= 10.2
    Fit("ERFC_F32", _scaled_erfc(1), -1, mpf("9.1") / mpf("11.1"), 15, _scaled_erfc_weight(1)),
    # log2(1 + f) = f q(f), for the power function: to about 2^-34
    Fit("POW_LOG2", _log2_ratio, LOG_LOW, LOG_HIGH, 13, _log2_ratio_weight, np.float64),
    # log2(1 + f) = (f - f^2 / 2) / log(2) + f^3 q(f)
    Fit("LOG2_CUBIC_F32", lambda t: _log_tail(t) / LN2, LOG_LOW, LOG_HIGH, 8, _relative_log),
    # tanh(x) = x + x^3 q(x^2), |x| <= 0.625
    Fit(
        "TANH_F32", _even_part(mp.tanh, 3), 0, mpf("0.3907"), 5,
        lambda t: mp.sqrt(t) ** 3 / mp.tanh(mp.sqrt(t)) if t else mpf(0),
    ),
    # sin(r) = r + r^3 q(r^2), cos(r) = 1 - r^2 / 2 + r^4 q(r^2), |r| <= pi / 4 and a little more
    Fit(
        "SIN_F32", _even_part(mp.sin, 3), 0, QUARTER_TURN**2, 3,
        lambda t: mp.sqrt(t) ** 3 / mp.sin(mp.sqrt(t)) if t else mpf(0),
    ),
    Fit("COS_F32", _even_part(mp.cos, 4), 0, QUARTER_TURN**2, 3, lambda t: t**2),
    # erf(x) = x + x q(x^2), |x| <= 0.9
    Fit(
        "ERF_SMALL_F32", lambda t: _erf_ratio(t) - 1, 0, mpf("0.8101"), 7, lambda t: 1 / _erf_ratio(t),
    ),
    # log2(erfc(x)) on [0.9, 4]: erf(x) = 1 - 2^q(x)
    Fit(
        "ERF_LARGE_F32", lambda t: mp.log(mp.erfc(t), 2), mpf("0.9"), 4, 8,
        lambda t: LN2 * mp.erfc(t) / mp.erf(t),
    ),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    text = [HEADER]
    for task in FITS:
        if not task.name.startswith(options.only):
            continue
        coefficients, error = fit(task)
        print(f"{task.name}: 2^{error:.1f}", flush=True)
        text.append(f"{task.name} = (  # 2^{error:.1f}\n")
        text.extend(f"    {_literal(c, task.format)},\n" for c in coefficients)
        text.append(")\n")
    if options.write and not options.only:
        OUTPUT.write_text("".join(text))


def _literal(value: float, format: type[np.floating]) -> str:
    return repr(float(str(format(value)))) if format is np.float32 else repr(value)


if __name__ == "__main__":
    main()
