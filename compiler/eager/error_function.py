"""erf and erfc of float64 arrays, which NumPy lacks.

The rational approximations of FreeBSD's and Sun's s_erf.c (Sun Microsystems, 1993). With R and S
polynomials of its own for each of four ranges of z = |x|:

    z < 0.84375          erf(x) = x + x·R(z²)/S(z²)
    z < 1.25             erf(z) = c + R(z - 1)/S(z - 1)
    z < 1/0.35, z < 28   erfc(z) = exp(-z² - 0.5625 + R(1/z²)/S(1/z²))/z
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Rational = tuple[tuple[float, ...], tuple[float, ...]]

_NEAR_ZERO, _NEAR_ONE, _FAR, _VANISHED = 0.84375, 1.25, 1 / 0.35, 28.0
_ERF_NEAR_ONE = 8.45062911510467529297e-01

# Numerator and denominator, coefficients from the constant up.
_ZERO_RATIONAL: Rational = (
    (
        1.28379167095512558561e-01,
        -3.25042107247001499370e-01,
        -2.84817495755985104766e-02,
        -5.77027029648944159157e-03,
        -2.37630166566501626084e-05,
    ),
    (
        1.0,
        3.97917223959155352819e-01,
        6.50222499887672944485e-02,
        5.08130628187576562776e-03,
        1.32494738004321644526e-04,
        -3.96022827877536812320e-06,
    ),
)
_ONE_RATIONAL: Rational = (
    (
        -2.36211856075265944077e-03,
        4.14856118683748331666e-01,
        -3.72207876035701323847e-01,
        3.18346619901161753674e-01,
        -1.10894694282396677476e-01,
        3.54783043256182359371e-02,
        -2.16637559486879084300e-03,
    ),
    (
        1.0,
        1.06420880400844228286e-01,
        5.40397917702171048937e-01,
        7.18286544141962662868e-02,
        1.26171219808761642112e-01,
        1.36370839120290507362e-02,
        1.19844998467991074170e-02,
    ),
)
_MIDDLE_RATIONAL: Rational = (
    (
        -9.86494403484714822705e-03,
        -6.93858572707181764372e-01,
        -1.05586262253232909814e01,
        -6.23753324503260060396e01,
        -1.62396669462573470355e02,
        -1.84605092906711035994e02,
        -8.12874355063065934246e01,
        -9.81432934416914548592e00,
    ),
    (
        1.0,
        1.96512716674392571292e01,
        1.37657754143519042600e02,
        4.34565877475229228821e02,
        6.45387271733267880336e02,
        4.29008140027567833386e02,
        1.08635005541779435134e02,
        6.57024977031928170135e00,
        -6.04244152148580987438e-02,
    ),
)
_FAR_RATIONAL: Rational = (
    (
        -9.86494292470009928597e-03,
        -7.99283237680523006574e-01,
        -1.77579549177547519889e01,
        -1.60636384855821916062e02,
        -6.37566443368389627722e02,
        -1.02509513161107724954e03,
        -4.83519191608651397019e02,
    ),
    (
        1.0,
        3.03380607434824582924e01,
        3.25792512996573918826e02,
        1.53672958608443695994e03,
        3.19985821950859553908e03,
        2.55305040643316442583e03,
        4.74528541206955367215e02,
        -2.24409524465858183362e01,
    ),
)


def erf(x: Array) -> Array:
    """The error function; within 2 ulp."""
    size = np.abs(x)
    near_one = _ERF_NEAR_ONE + _ratio(_ONE_RATIONAL, _clip(size, _NEAR_ZERO, _NEAR_ONE) - 1)
    positive = np.where(size < _NEAR_ONE, near_one, 1 - _erfc_tail(size))
    # NaN is neither near nor far, and the tail carries it through.
    return np.where(size < _NEAR_ZERO, x + x * _zero_ratio(x), np.copysign(positive, x))


def erfc(x: Array) -> Array:
    """1 - erf(x), without the cancellation; within 4 ulp."""
    size = np.abs(x)
    small = x * _zero_ratio(x)
    # Subtracting from 1/2 is exact near 1/2; from 1, it would lose a bit.
    near_zero = np.where(x < 0.25, 1 - (x + small), 0.5 - (x - 0.5 + small))
    ratio = _ratio(_ONE_RATIONAL, _clip(size, _NEAR_ZERO, _NEAR_ONE) - 1)
    near_one = np.where(x < 0, 1 + (_ERF_NEAR_ONE + ratio), (1 - _ERF_NEAR_ONE) - ratio)
    tail = _erfc_tail(size)
    beyond = np.where(size < _NEAR_ONE, near_one, np.where(x < 0, 2 - tail, tail))
    return np.where(size < _NEAR_ZERO, near_zero, beyond)


def _zero_ratio(x: Array) -> Array:
    return _ratio(_ZERO_RATIONAL, _clip(x, -_NEAR_ZERO, _NEAR_ZERO) ** 2)


def _erfc_tail(size: Array) -> Array:
    """erfc for |x| >= 1.25; 0 from 28 on."""
    z = _clip(size, _NEAR_ONE, _VANISHED)
    inverse_square = 1 / (z * z)
    ratio = np.where(
        z < _FAR, _ratio(_MIDDLE_RATIONAL, inverse_square), _ratio(_FAR_RATIONAL, inverse_square)
    )
    # z² is split after 20 bits, so that exp does not amplify the rounding error of z·z.
    high = z.astype(np.float32).view(np.uint32) & np.uint32(0xFFFFF000)
    head = high.view(np.float32).astype(np.float64)
    power = np.exp(-head * head - 0.5625) * np.exp((head - z) * (head + z) + ratio)
    return np.where(size >= _VANISHED, 0.0, power / z)


def _clip(x: Array, low: float, high: float) -> Array:
    """x, brought where the polynomials neither overflow nor divide by 0; NaN stays."""
    return np.clip(x, low, high)


def _ratio(rational: Rational, x: Array) -> Array:
    numerator, denominator = rational
    return _polynomial(numerator, x) / _polynomial(denominator, x)


def _polynomial(coefficients: tuple[float, ...], x: Array) -> Array:
    total = np.full_like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        total = total * x + coefficient
    return total
