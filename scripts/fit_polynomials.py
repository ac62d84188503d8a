"""Fits the polynomials of `ir/elementary/` and prints or writes their coefficients.

In: the table `FITS` below (function, interval, weight, number of terms). Out: the module
`ir/elementary/coefficients.py`. Each fit is the Remez exchange (E. Ya. Remez, 1934; Muller,
"Elementary Functions", 3rd ed., chapter 3) on a fine grid of Chebyshev points. A coefficient is
rounded to the format that it is used in, and those after it are fitted again, so that they take up
its rounding error (Brisebarre, Muller and Tisserand, 2006, do this optimally; here one at a time).

    python scripts/fit_polynomials.py            # fits all, prints the errors reached (minutes)
    python scripts/fit_polynomials.py --write    # and writes the module
    python scripts/fit_polynomials.py --only EXP # those whose name starts so; no others change

`PIECEWISE` holds functions that are cut into up to 16 pieces for machines that can pick each
lane's coefficients; those go to `ir/elementary/pieces.py`.
"""

from __future__ import annotations

import argparse
import multiprocessing
import multiprocessing.pool
import re
from collections.abc import Callable, Sequence
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
PIECES_OUTPUT = OUTPUT.with_name("pieces.py")
HEADER = '''"""Coefficients of the polynomials, the constant term first.

Written by `scripts/fit_polynomials.py`, where each name's function and interval are stated; the
comment beside each gives the largest weighted error as a power of two. Do not edit.
"""

from tilewright.ir.dtypes import F32, F64
'''
PIECES_HEADER = '''"""Coefficients of functions in pieces, for machines that pick them by number.

Written by `scripts/fit_polynomials.py`, where each name's function is stated; the comment beside
each gives the largest weighted error as a power of two. Do not edit.
"""
# fmt: off
# ruff: noqa: E501

from tilewright.ir.dtypes import F32, F64
from tilewright.ir.elementary.piecewise import CubeRoot, Logarithm, Pieces
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
HALF_TURN = mp.pi / 2 * mpf("1.0005")
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


def _sine_weight(t: mpf) -> mpf:
    return mp.sqrt(t) ** 3 / mp.sin(mp.sqrt(t)) if t else mpf(0)


SIXTEENTH = (-HALF_LN2 / 16, HALF_LN2 / 16)
FITS: tuple[Fit, ...] = (
    # e^r = 1 + r + r^2 q(r)
    *_both("EXP", _series(mp.exp, 2), -HALF_LN2, HALF_LN2, (5, 10), _absolute(2)),
    # the same where the power of two counts in sixteenths
    Fit("EXP_SIXTEENTH", "F32", _series(mp.exp, 2), *SIXTEENTH, 2, _absolute(2)),
    # the same for fewer digits; and e^r = 1 + r q(r)
    Fit("EXP_FAST", "F32", _series(mp.exp, 2), -HALF_LN2, HALF_LN2, 4, _absolute(2)),
    Fit("EXP_SIXTEENTH_FAST", "F32", _series(mp.exp, 1), *SIXTEENTH, 2, _absolute(1)),
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
    # 2^f again, for powers, whose logarithm has an error of its own
    Fit("POW_EXP2", "F32", _series(_power_of_two, 1), -0.501, 0.501, 7, _absolute(1)),
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
    Fit("SIN_HALF", "F32", _in_square(mp.sin, 3), 0, HALF_TURN**2, 4, _sine_weight),
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


@dataclass(frozen=True)
class Piecewise:
    """`function` of x >= 0 in float32 on pieces of half an octave: [0, 1.5 low), [1.5 low, 2 low),
    [2 low, 3 low) … up to `high`, a polynomial in x minus the middle of the piece on each.

    `odd`: the function is x times something near one there; the first piece is of what is to be
    added to x, a polynomial in x without a constant.
    """

    name: str
    function: Real
    low: float
    high: float
    terms: int
    odd: bool

    def edges(self) -> list[tuple[float, float]]:
        starts, step = [0.0], self.low / 2
        edge = self.low + step
        while edge < self.high:
            starts.append(edge)
            edge += step
            if edge >= 4 * step:
                step *= 2
        return list(zip(starts, [*starts[1:], self.high], strict=True))


PIECEWISE: tuple[Piecewise, ...] = (
    Piecewise("TANH", mp.tanh, 0.25, 9.2, 7, odd=True),
    Piecewise("ERF", mp.erf, 0.25, 4.2, 7, odd=True),
    # e^(x^2) erfc(x)
    Piecewise("ERFC", lambda x: mp.exp(x * x) * mp.erfc(x), 0.25, 10.1, 8, odd=False),
)


@dataclass(frozen=True)
class Logarithm:
    """The logarithm of a mantissa in [3/4, 3/2), by its first four bits: for each of the sixteen
    intervals that they name an inverse c of a number in it and -log(c), and one polynomial
    ``log(1 + r) / r`` for what remains, ``r = c m - 1``. Beside 1 the inverse is 1.
    """

    name: str
    base: mpf
    dtype: str = "F32"
    terms: int = 5
    dropped: int = 0  # leading terms that the polynomial leaves out, for the caller to add
    halved: bool = True  # the upper half of the mantissas is taken below 1; else they are in [1, 2]

    def function(self, x: mpf) -> mpf:
        return mp.log(x) / mp.log(self.base)

    def entries(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        middles = [1 + (k + 0.5) / 16 for k in range(16)]
        beside_one = (0, 15) if self.halved else (0,)
        if self.halved:
            middles = [m if k < 8 else m / 2 for k, m in enumerate(middles)]
        inverses = [
            1.0 if k in beside_one else float(_accurate_inverse(self.function, m, self.dtype))
            for k, m in enumerate(middles)
        ]
        return tuple(inverses), tuple(
            float(_round(-self.function(mpf(c)), self.dtype)) for c in inverses
        )

    def ratio(self) -> Fit:
        def function(r: mpf) -> mpf:
            return (1 + r * _log_tail(r)) / mp.log(self.base)

        if self.dropped:
            tail, weight = _LOG_CUBIC, _absolute(2)
            return Fit(self.name, self.dtype, tail, -1 / 32, 1 / 16, self.terms, weight)
        return Fit(self.name, self.dtype, function, -1 / 32, 1 / 16, self.terms, _inverse(function))


LOGARITHMS: tuple[Logarithm, ...] = (
    Logarithm("LOG", mp.e),
    Logarithm("LOG", mp.e, "F64", 10),
    Logarithm("LOG2", mpf(2)),
    Logarithm("LOG2", mpf(2), "F64", 10),
    Logarithm("LOG10", mpf(10)),
    Logarithm("LOG10", mpf(10), "F64", 10),
    # log(1 + x) for x in [0, 1]
    Logarithm("LOG1P", mp.e, halved=False),
    Logarithm("LOG1P", mp.e, "F64", 10, halved=False),
    # for powers: the polynomial is (log(1 + r) - r + r^2 / 2) / r^3
    Logarithm("POW", mpf(2), dropped=2),
)


def _accurate_inverse(function: Real, middle: float, dtype: str = "F32") -> mpf:
    """About 1 / middle, so that the function of it is nearly a float."""
    return _accurate_middle(function, 1 / middle, 1 / middle, 6000, dtype)


def fit_piece(name: str, low: float, high: float) -> tuple[list[float], float]:
    """The middle of one piece and its coefficients, and log2 of the relative error left."""
    whole = next(task for task in PIECEWISE if task.name == name)
    if low == 0 and whole.odd:

        def ratio(t: mpf) -> mpf:
            t = max(t, mpf(10) ** -20)
            return whole.function(t) / t

        def more(t: mpf) -> mpf:
            return ratio(t) - 1

        task = Fit(name, "F32", more, low, high, whole.terms - 1, _inverse(ratio))
        coefficients, error = fit(task)
        return [0.0, 0.0, *coefficients], error
    middle = _accurate_middle(whole.function, low, high)

    def moved(t: mpf) -> mpf:
        return whole.function(middle + t)

    task = Fit(name, "F32", moved, low - middle, high - middle, whole.terms, _inverse(moved))
    coefficients, error = fit(task)
    return [float(middle), *coefficients], error


def _accurate_middle(
    function: Real, low: float, high: float, tried: int = 2000, dtype: str = "F32"
) -> mpf:
    """A float near the middle at which the function is nearly a float itself, so that the constant
    loses nothing by rounding (S. Gal, "Computing elementary functions", 1986)."""
    kind, integer = (np.float32, np.int32) if dtype == "F32" else (np.float64, np.int64)
    first = int(np.array([(low + high) / 2], kind).view(integer)[0])
    nearby = np.arange(first, first + tried, dtype=integer).view(kind)

    def lost(x: float) -> mpf:
        value = function(mpf(x))
        return abs(value - _round(value, dtype)) / abs(value)

    with mp.workdps(40):
        return mpf(min(nearby.tolist(), key=lost))


def _run_piece(task: tuple[str, float, float]) -> tuple[list[float], float]:
    return fit_piece(*task)


def _pieces_module(pool: multiprocessing.pool.Pool) -> str:
    text = [PIECES_HEADER]
    for task in PIECEWISE:
        pieces = pool.map(_run_piece, [(task.name, *edge) for edge in task.edges()])
        error = max(error for _, error in pieces)
        print(task.name, "in", len(pieces), "pieces", f"2^{error:.1f}", flush=True)
        columns = zip(*(values for values, _ in pieces), strict=True)
        middles, *rows = (f"({_literals(row, 'F32')})," for row in columns)
        lines = [f"    middles={middles}", "    coefficients=(", *(f"        {r}" for r in rows)]
        opening = f"\n{task.name} = Pieces(  # 2^{error:.1f}\n    low={task.low},"
        opening += f"\n    high={task.high},\n    odd={task.odd},"
        text.append("\n".join([opening, *lines, "    ),", ")\n"]))
    for name in dict.fromkeys(logarithm.name for logarithm in LOGARITHMS):
        chosen = [logarithm for logarithm in LOGARITHMS if logarithm.name == name]
        text.append(f"\n{name} = {{\n{''.join(map(_logarithm, chosen))}}}\n")
    text.append(_cube_root())
    return "".join(text)


def _logarithm(task: Logarithm) -> str:
    inverses, values = task.entries()
    ratio, error = fit(task.ratio())
    print(task.name, task.dtype, f"2^{error:.1f}", flush=True)
    rows = (("inverses", inverses), ("logarithms", values), ("ratio", ratio))
    fields = (f"        {name}=({_literals(row, task.dtype)}),\n" for name, row in rows)
    return f"    {task.dtype}: Logarithm(  # 2^{error:.1f}\n{''.join(fields)}    ),\n"


def _literals(row: Sequence[float], dtype: str) -> str:
    return ", ".join(_literal(value, dtype) for value in row)


def _cube_root() -> str:
    """Inverses c of mantissas, the cube roots of 1 / c, and ``((1 + r)**(1/3) - 1) / r``."""

    def root(x: mpf) -> mpf:
        return 1 / mp.cbrt(x)

    def ratio(r: mpf) -> mpf:
        return (mp.cbrt(1 + r) - 1) / r if abs(r) > NEAR_ZERO else mpf(1) / 3

    middles = [1 + (k + 0.5) / 16 if k < 8 else 0.5 + (k + 0.5) / 32 for k in range(16)]
    inverses = [1.0, *(float(_accurate_inverse(root, m)) for m in middles[1:])]
    inverses[15] = 1.0
    roots = [float(root(mpf(c))) for c in inverses]
    coefficients, error = fit(Fit("CBRT", "F32", ratio, -1 / 32, 1 / 16, 5, _absolute(1)))
    rows = (("inverses", inverses), ("roots", roots), ("ratio", coefficients))
    shown = (f"    {n}=({_literals(row, 'F32')}),\n" for n, row in rows)
    return f"\nCBRT = CubeRoot(  # 2^{error:.1f}\n{''.join(shown)})\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--pieces", action="store_true", help="only those of PIECEWISE")
    options = parser.parse_args()
    if options.pieces:
        with multiprocessing.Pool() as pool:
            text = _pieces_module(pool)
        if options.write:
            PIECES_OUTPUT.write_text(text)
        return
    known = _read(OUTPUT.read_text()) if OUTPUT.exists() else {}
    chosen = [
        i
        for i, task in enumerate(FITS)
        if task.name.startswith(options.only) or (task.name, task.dtype) not in known
    ]
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
