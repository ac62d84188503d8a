"""Proofs about sizes with open dimensions: that one is another, or at most another.

In: index expressions over loop variables (with extents) and open dimensions (with a least value).
Out: booleans; False says only that there is no proof.
"""

from __future__ import annotations

from tilewright.ir import build, ops
from tilewright.ir.analysis.polynomials import Polynomial, number, polynomial
from tilewright.ir.analysis.tensor_ranges import bounds
from tilewright.ir.expr import Apply, Const, Expr, Size, Var


def same_size(a: Size, b: Size) -> bool:
    """Whether two sizes are equal for every value of the open dimensions."""
    if isinstance(a, int) and isinstance(b, int):
        return a == b
    return a is b or (polynomial(a) - polynomial(b)).constant == 0


def at_most(a: Size, b: Size) -> bool:
    """Whether ``a <= b`` is proven."""
    if isinstance(a, int) and isinstance(b, int):
        return a <= b
    return _proves_nonnegative(polynomial(b) - polynomial(a))


def below(a: Size, b: Size) -> bool:
    """Whether ``a < b`` is proven."""
    return at_most(build.size_add(a, 1), b)


def reaches(expr: Size, bound: Size) -> bool:
    """Whether `expr` certainly takes a value of `bound` or more somewhere on its axes.

    Only where every atom is a variable and enters linearly: then the extremes are attained.
    """
    p = polynomial(expr)
    for monomial in p.terms:
        if len(monomial) > 1 or not all(isinstance(p.atoms[a], Var) for a in monomial):
            return False
    return _proves_nonnegative(_extreme(p, upper=True) - polynomial(bound))


def _extreme(p: Polynomial, *, upper: bool) -> Polynomial:
    """`p` with each loop variable at the end of its range that makes a linear `p` extreme."""
    for key, node in list(p.atoms.items()):
        factors = p.factors_of(key)
        if not factors or not isinstance(node, Var) or node.extent is None:
            continue
        at_end = (min(factors) >= 0) == upper
        last = polynomial(build.size_sub(node.extent, 1))
        p = p.substitute(key, last if at_end else number(0))
    return p


def _proves_nonnegative(p: Polynomial) -> bool:
    """Lower every atom to its least contribution; what is left must be a number from 0 up."""
    for _ in range(16):
        constant = p.constant
        if constant is not None:
            return constant >= 0
        reduced = _lower_one_atom(p)
        if reduced is None:
            return False
        p = reduced
    return False


def _lower_one_atom(p: Polynomial) -> Polynomial | None:
    """`p` with one atom replaced by the end of its range at which `p` is least, or None."""
    keys = dict.fromkeys(a for m in p.terms for a in m)  # in the same order in every process
    # Loop variables first: their extents bring in the open dimensions that then may cancel.
    for key in sorted(keys, key=lambda k: _is_symbol(p.atoms[k])):
        if any(not _never_negative(p.atoms[a]) for m in p.terms if key in m for a in m if a != key):
            continue
        factors = p.factors_of(key)
        node = p.atoms[key]
        least, most = bounds(node)
        if min(factors) > 0 and least is not None:
            return p.substitute(key, number(least))
        if max(factors) < 0:
            if isinstance(node, Var) and node.extent is not None:
                return p.substitute(key, polynomial(build.size_sub(node.extent, 1)))
            if isinstance(node, Apply) and node.op is ops.MIN:
                return p.substitute(key, polynomial(_simpler(node)))
            if most is not None:
                return p.substitute(key, number(most))
    return None


def _simpler(node: Apply) -> Expr:
    """An operand of ``min`` (each is an upper bound): a literal if there is one."""
    return next((o for o in node.operands if isinstance(o, Const)), node.operands[0])


def _is_symbol(node: Expr) -> bool:
    return isinstance(node, Var) and node.extent is None


def _never_negative(node: Expr) -> bool:
    least = bounds(node)[0]
    return least is not None and least >= 0


def size_min(a: Size, b: Size) -> Size:
    """The smaller size, without a ``min`` where it is proven which."""
    if at_most(a, b):
        return a
    return b if at_most(b, a) else build.minimum(build.index(a), build.index(b))


def size_max(a: Size, b: Size) -> Size:
    """The larger size, without a ``max`` where it is proven which."""
    if at_most(a, b):
        return b
    return a if at_most(b, a) else build.maximum(build.index(a), build.index(b))
