"""Fits the polynomials of `ir/elementary/` and prints or writes their coefficients.

In: the table `FITS` below (function, interval, weight, number of terms). Out: the module
`ir/elementary/coefficients.py`. Each fit is the Remez exchange (E. Ya. Remez, 1934; Muller,
"Elementary Functions", 3rd ed., chapter 3) on a fine grid of Chebyshev points. A coefficient is
rounded to the format that it is used in, and those after it are fitted again, so that they take up
its rounding error (Brisebarre, Muller and Tisserand, 2006, do this optimally; here one at a time).

    python scripts/fit_polynomials.py            # fits all, prints the errors reached (minutes)
    python scripts/fit_polynomials.py --write    # and writes the module
    python scripts/fit_polynomials.py --only EXP # those whose name starts so; no others change
"""

from __future__ import annotations

import argparse
import multiprocessing
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mpmath import mp, mpf

mp.dps = 80
REFITTED = 6  # leading coefficients; the rounding of later ones does not count
NEAR_ZERO = mpf(10) ** -9
Real = Callable[[mpf], mpf]
Coefficients = dict[tuple[str, str], tuple[str, ...]]  # (name, dtype) -> lines of the module
OUTPUT = Path(__file__).parents[1] / "ir" / "elementary" / "coefficients.py"
HEADER = '''"""Coefficients of the polynomials, the constant term first.

Written by `scripts/fit_polynomials.py`, where each name's function and interval are stated; the
comment beside each gives the largest weighted error as a power of two. Do not edit.
"""

from tilewright.ir.dtypes import F32, F64
'''
DIGITS = {"F32": 24, "F64": 53}


@dataclass(frozen=True)
class Fit:
    """Find c so that ``weight(t) * (sum(c[i] * t**i) - function(t))`` is small on [low, high]."""

    name: str
    dtype: str
    function: Real
    low: float | mpf
    high: float | mpf
    terms: int
    weight: Real


def fit(task: Fit) -> tuple[tuple[float, ...], float]:
    """The rounded coefficients, and log2 of the weighted error that they leave."""
    grid = _chebyshev_points(mpf(task.low), mpf(task.high), 12 * (task.terms + 2) + 1)
    wanted = [task.function(t) for t in grid]
    weights = [abs(task.weight(t)) for t in grid]

    def error(coefficients: list[mpf]) -> mpf:
        return max(
            abs(w * (_value(coefficients, t) - y))
            for t, y, w in zip(grid, wanted, weights, strict=True)
        )

    coefficients = _refit(grid, wanted, weights, [], task.terms)
    for order in range(task.terms):
        coefficients[order] = _round(coefficients[order], task.dtype)
        known = coefficients[: order + 1]
        if len(known) < min(task.terms, REFITTED):
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


def _round(value: mpf, dtype: str) -> mpf:
    """Correctly rounded, not through float64, which would round twice."""
    with mp.workprec(DIGITS[dtype]):
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
            w * (y - _value(coefficients, t)) for t, y, w in zip(grid, wanted, weights, strict=True)
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


def _series(function: Real, order: int, count: int = 50) -> Real:
    """``function(t) / t**order`` with the lower Taylor terms dropped, safe at and near zero."""
    taylor = mp.taylor(function, 0, order + count)

    def tail(t: mpf) -> mpf:
        if abs(t) < mpf("0.05"):
            return _value(taylor[order:], t)
        return (function(t) - _value(taylor[:order], t)) / t**order

    return tail


def _in_square(function: Real, order: int) -> Real:
    """The same for an odd or even function, in the variable ``t = x**2``."""
    tail = _series(function, order)
    return lambda t: tail(mp.sqrt(t))


def _relative(function: Real, order: int) -> Real:
    """The weight that makes the error of ``x**order q(x)`` relative to `function`."""
    return lambda x: abs(x**order / function(x)) if function(x) else mpf(0)


def _relative_in_square(function: Real, order: int) -> Real:
    weight = _relative(function, order)
    return lambda t: weight(mp.sqrt(t))


def _absolute(order: int) -> Real:
    return lambda t: abs(t) ** order


def _inverse(function: Real) -> Real:
    return lambda t: 1 / function(t)


LN2 = mp.log(2)
LN10 = mp.log(10)
HALF_LN2 = LN2 / 2 * mpf("1.0001")
QUARTER_TURN = mpf("0.80")  # pi / 4 and what an inexact multiple of pi / 2 adds to it
LOG_LOW, LOG_HIGH = mp.sqrt(mpf(1) / 2) - 1, mp.sqrt(2) - 1
_log_tail = _series(mp.log1p, 2, 80)


def _power_of_two(t: mpf) -> mpf:
    return mp.power(2, t)


def _log2_cubic(t: mpf) -> mpf:
    """(log2(1 + t) - t / log(2) + t**2 / (2 log(2))) / t**3"""
    return _LOG_CUBIC(t) / LN2


_LOG_CUBIC = _series(mp.log1p, 3, 80)


def _log2_ratio(t: mpf) -> mpf:
    """log2(1 + t) / t"""
    return (1 + t * _log_tail(t)) / LN2


def _erf_ratio(t: mpf) -> mpf:
    """erf(x) / x - 1 in t = x**2."""
    return mp.erf(mp.sqrt(t)) / mp.sqrt(t) - 1 if t else 2 / mp.sqrt(mp.pi) - 1


def _erf_ratio_weight(t: mpf) -> mpf:
    return 1 / (_erf_ratio(t) + 1)


def _log2_erfc(t: mpf) -> mpf:
    return mp.log(mp.erfc(t), 2)


def _log2_erfc_weight(t: mpf) -> mpf:
    return LN2 * mp.erfc(t) / mp.erf(t)


def _scaled_erfc(t: mpf) -> mpf:
    """(x + 1) e**(x**2) erfc(x) in t = (x - 1) / (x + 1)"""
    x = (1 + t) / (1 - t)
    return (x + 1) * mp.exp(x * x) * mp.erfc(x)


def _atanh_fifth(t: mpf) -> mpf:
    """(atanh(s) - s - s**3 / 3) / s**5 in t = s**2"""
    return _ATANH_FIFTH(t)


_ATANH_FIFTH = _in_square(mp.atanh, 5)


def _both(
    name: str,
    function: Real,
    low: float | mpf,
    high: float | mpf,
    terms: tuple[int, int],
    weight: Real,
) -> list[Fit]:
    """For float32 and float64, which differ in the number of terms."""
    pairs = zip(DIGITS, terms, strict=True)
    return [Fit(name, dtype, function, low, high, count, weight) for dtype, count in pairs]


def _odd(name: str, function: Real, bound: float | mpf, terms: tuple[int, int]) -> list[Fit]:
    """``(f(x) - x) / x**3`` in x**2 for an odd function with f'(0) = 1 and abs(x) <= bound."""
    weight = _relative_in_square(function, 3)
    return _both(name, _in_square(function, 3), 0, mpf(bound) ** 2, terms, weight)


FITS: tuple[Fit, ...] = (
    # e^r = 1 + r + r^2 q(r)
    *_both("EXP", _series(mp.exp, 2), -HALF_LN2, HALF_LN2, (5, 10), _absolute(2)),
    # 2^f = 1 + f q(f)
    *_both("EXP2", _series(_power_of_two, 1), -0.501, 0.501, (6, 12), _absolute(1)),
    # log_b(1 + f) = f log_b(e) + f^2 q(f)
    *_both("LOG", _log_tail, LOG_LOW, LOG_HIGH, (9, 22), _relative(mp.log1p, 2)),
    *_both(
        "LOG2", lambda t: _log_tail(t) / LN2, LOG_LOW, LOG_HIGH, (9, 22), _relative(mp.log1p, 2)
    ),
    *_both(
        "LOG10", lambda t: _log_tail(t) / LN10, LOG_LOW, LOG_HIGH, (9, 22), _relative(mp.log1p, 2)
    ),
    # for float32 powers: log2(1 + f) = f q(f) in float64, to about 2^-35
    Fit("POW_RATIO", "F64", _log2_ratio, LOG_LOW, LOG_HIGH, 13, _inverse(_log2_ratio)),
    # for powers without float64: log2(1 + f) = (f - f^2 / 2) / log(2) + f^3 q(f)
    Fit("POW_CUBIC", "F32", _log2_cubic, -0.168, 0.118, 6, _relative(mp.log1p, 3)),
    # for float64 powers: atanh(s) = s + s^3 / 3 + s^5 q(s^2)
    Fit("POW_ATANH", "F64", _atanh_fifth, 0, mpf("0.0103"), 6, _absolute(2)),
    *_odd("SINH", mp.sinh, 1, (4, 9)),
    *_odd("SINH_KERNEL", mp.sinh, HALF_LN2, (3, 5)),
    # cosh(r) = 1 + r^2 q(r^2)
    *_both("COSH_KERNEL", _in_square(mp.cosh, 2), 0, HALF_LN2**2, (3, 6), _absolute(1)),
    *_odd("TANH", mp.tanh, 0.625, (5, 12)),
    *_odd("SIN", mp.sin, QUARTER_TURN, (3, 6)),
    # cos(r) = 1 - r^2 / 2 + r^4 q(r^2)
    *_both("COS", _in_square(mp.cos, 4), 0, QUARTER_TURN**2, (3, 6), _absolute(2)),
    *_odd("TAN", mp.tan, QUARTER_TURN, (7, 15)),
    *_odd("ATAN", mp.atan, 1, (9, 21)),
    *_odd("ASIN", mp.asin, 0.5, (5, 13)),
    # erf(x) = x + x q(x^2), x <= 0.9
    *_both("ERF_SMALL", _erf_ratio, 0, mpf("0.8101"), (7, 12), _erf_ratio_weight),
    # erf(x) = 1 - 2^q(x) above
    Fit("ERF_LARGE", "F32", _log2_erfc, 0.9, 4, 8, _log2_erfc_weight),
    Fit("ERF_LARGE", "F64", _log2_erfc, 0.9, 6, 24, _log2_erfc_weight),
    # (x + 1) e^(x^2) erfc(x) = q((x - 1) / (x + 1)) up to where erfc(x) rounds to zero
    Fit("ERFC", "F32", _scaled_erfc, -1, mpf("9.1") / mpf("11.1"), 15, _inverse(_scaled_erfc)),
    Fit("ERFC", "F64", _scaled_erfc, -1, mpf("26.3") / mpf("28.3"), 37, _inverse(_scaled_erfc)),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    chosen = [i for i, task in enumerate(FITS) if task.name.startswith(options.only)]
    known = _read(OUTPUT.read_text()) if OUTPUT.exists() else {}
    with multiprocessing.Pool() as pool:
        for index, lines in pool.imap_unordered(_run, chosen):
            known[FITS[index].name, FITS[index].dtype] = lines
            print(FITS[index].name, FITS[index].dtype, lines[0].split("# ")[1], flush=True)
    if options.write:
        OUTPUT.write_text(_module(known))


def _run(index: int) -> tuple[int, tuple[str, ...]]:
    """The lines of one fit: fits travel between processes by their number."""
    task = FITS[index]
    coefficients, error = fit(task)
    values = (f"        {_literal(c, task.dtype)}," for c in coefficients)
    return index, (f"    {task.dtype}: (  # 2^{error:.1f}", *values, "    ),")


def _literal(value: float, dtype: str) -> str:
    return repr(float(str(np.float32(value)))) if dtype == "F32" else repr(value)


def _module(known: Coefficients) -> str:
    text = [HEADER]
    for name in dict.fromkeys(task.name for task in FITS):
        dtypes = [task.dtype for task in FITS if task.name == name]
        blocks = [line for dtype in dtypes for line in known[name, dtype]]
        text.append("\n".join([f"\n{name} = {{", *blocks, "}\n"]))
    return "".join(text)


def _read(text: str) -> Coefficients:
    """The inverse of `_module`, so that a few can be fitted again without the others."""
    known: Coefficients = {}
    for name, body in re.findall(r"^(\w+) = \{\n(.*?)^\}", text, re.DOTALL | re.MULTILINE):
        for block in re.findall(r"^    F.*?^    \),$", body, re.DOTALL | re.MULTILINE):
            known[name, block[4:7]] = tuple(block.splitlines())
    return known


if __name__ == "__main__":
    main()
