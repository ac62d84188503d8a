"""What is known of an index expression: its interval, and proofs that one size is at most another.

In: index expressions over loop variables (with extents) and open dimensions (with a least value).
Out: numbers and booleans. Expressions are read as polynomials over atoms; an atom is a variable,
or an operation that is not + - *, told apart by structure.
"""

from __future__ import annotations

from collections.abc import Callable

from tilewright.ir import build, ops
from tilewright.ir.dtypes import DType
from tilewright.ir.expr import Apply, Const, Expr, Load, Size, Var
from tilewright.ir.graph import Compute, Constant, Reduction, Result, Sort
from tilewright.ir.ops import Op

AtomKey = tuple[object, ...]
Monomial = tuple[AtomKey, ...]
Interval = tuple[int | None, int | None]
UNKNOWN: Interval = (None, None)
_DEPTH_LIMIT = 200
_READ_DEPTH = 40
_TERM_LIMIT = 64
_DEGREE_LIMIT = 6


class Polynomial:
    """A sum of integer multiples of products of atoms."""

    __slots__ = ("atoms", "terms")

    def __init__(self, terms: dict[Monomial, int], atoms: dict[AtomKey, Expr]) -> None:
        self.terms = {m: c for m, c in terms.items() if c}
        self.atoms = atoms

    def __add__(self, other: Polynomial) -> Polynomial:
        terms = dict(self.terms)
        for monomial, factor in other.terms.items():
            terms[monomial] = terms.get(monomial, 0) + factor
        return Polynomial(terms, {**self.atoms, **other.atoms})

    def scaled(self, factor: int) -> Polynomial:
        return Polynomial({m: c * factor for m, c in self.terms.items()}, self.atoms)

    def __sub__(self, other: Polynomial) -> Polynomial:
        return self + other.scaled(-1)

    def __mul__(self, other: Polynomial) -> Polynomial:
        terms: dict[Monomial, int] = {}
        for left, a in self.terms.items():
            for right, b in other.terms.items():
                monomial = tuple(sorted(left + right, key=repr))
                terms[monomial] = terms.get(monomial, 0) + a * b
        return Polynomial(terms, {**self.atoms, **other.atoms})

    @property
    def constant(self) -> int | None:
        """The number that this is, if it holds no atom."""
        if not self.terms:
            return 0
        return self.terms.get(()) if len(self.terms) == 1 else None

    @property
    def degree(self) -> int:
        return max((len(m) for m in self.terms), default=0)

    def key(self) -> AtomKey:
        return tuple(sorted(self.terms.items(), key=repr))

    def factors_of(self, atom: AtomKey) -> list[int]:
        """The coefficients of the monomials that hold `atom`."""
        return [c for m, c in self.terms.items() if atom in m]

    def substitute(self, atom: AtomKey, value: Polynomial) -> Polynomial:
        """This with `atom` replaced."""
        result = Polynomial({}, self.atoms)
        for monomial, factor in self.terms.items():
            rest = tuple(a for a in monomial if a != atom)
            product = Polynomial({rest: factor}, self.atoms)
            for _ in range(len(monomial) - len(rest)):
                product = product * value
            result = result + product
        return result


def _number(value: int) -> Polynomial:
    return Polynomial({(): value}, {})


def polynomial(size: Size) -> Polynomial:
    """`size` as a polynomial. Parts that are too deep or too large to read are atoms."""
    return _read(size, {}, 0)


def _read(size: Size, seen: dict[Expr, Polynomial], depth: int) -> Polynomial:
    if isinstance(size, int):
        return _number(size)
    found = seen.get(size)
    if found is None:
        found = _read_operation(size, seen, depth + 1) if depth < _READ_DEPTH else None
        if found is None or len(found.terms) > _TERM_LIMIT:
            found = _atom(("node", id(size)), size)
        seen[size] = found
    return found


def _read_operation(node: Expr, seen: dict[Expr, Polynomial], depth: int) -> Polynomial | None:
    """`node` as a polynomial of its operands, or an atom told apart by structure."""
    if isinstance(node, Const):
        return _number(int(node.value))
    if not isinstance(node, Apply) or not node.dtype.is_integer:
        return None
    if node.op is ops.CAST:
        inner = node.operands[0]
        if inner.dtype.kind not in "ix" or node.dtype.bits != 64:
            return None
        return _read(inner, seen, depth)
    if any(not o.dtype.is_integer for o in node.operands):
        return None
    parts = [_read(o, seen, depth) for o in node.operands]
    match node.op:
        case ops.ADD:
            return parts[0] + parts[1]
        case ops.SUB:
            return parts[0] - parts[1]
        case ops.NEG:
            return parts[0].scaled(-1)
        case ops.MUL if len(parts[0].terms) * len(parts[1].terms) <= _TERM_LIMIT:
            product = parts[0] * parts[1]
            return product if product.degree <= _DEGREE_LIMIT else None
        case ops.MUL:
            return None
    return _atom((node.op.name, *(p.key() for p in parts)), node)


def _atom(key: AtomKey, node: Expr) -> Polynomial:
    return Polynomial({(key,): 1}, {key: node})


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
        p = p.substitute(key, last if at_end else _number(0))
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
    keys = {a for m in p.terms for a in m}
    # Loop variables first: their extents bring in the open dimensions that then may cancel.
    for key in sorted(keys, key=lambda k: _is_symbol(p.atoms[k])):
        if any(not _never_negative(p.atoms[a]) for m in p.terms if key in m for a in m if a != key):
            continue
        factors = p.factors_of(key)
        node = p.atoms[key]
        least, most = bounds(node)
        if min(factors) > 0 and least is not None:
            return p.substitute(key, _number(least))
        if max(factors) < 0:
            if isinstance(node, Var) and node.extent is not None:
                return p.substitute(key, polynomial(build.size_sub(node.extent, 1)))
            if isinstance(node, Apply) and node.op is ops.MIN:
                return p.substitute(key, polynomial(_simpler(node)))
            if most is not None:
                return p.substitute(key, _number(most))
    return None


def _simpler(node: Apply) -> Expr:
    """An operand of ``min`` (each is an upper bound): a literal if there is one."""
    return next((o for o in node.operands if isinstance(o, Const)), node.operands[0])


def _is_symbol(node: Expr) -> bool:
    return isinstance(node, Var) and node.extent is None


def _never_negative(node: Expr) -> bool:
    least = bounds(node)[0]
    return least is not None and least >= 0


def bounds(node: Size) -> Interval:
    """The least and the most that an integer expression can be, as far as is known."""
    return _bounds(node, {}, 0)


def _bounds(node: Size, seen: dict[Expr, Interval], depth: int) -> Interval:
    if isinstance(node, int):
        return node, node
    found = seen.get(node)
    if found is None:
        found = _bounds_of(node, seen, depth + 1) if depth < _DEPTH_LIMIT else UNKNOWN
        seen[node] = found
    return found


def _bounds_of(node: Expr, seen: dict[Expr, Interval], depth: int) -> Interval:
    match node:
        case Const() if not node.dtype.is_float:
            return int(node.value), int(node.value)
        case Var():
            return _variable_bounds(node)
        case Load():
            return _within(_tensor_bounds(node, seen, depth), node.dtype)
        case Apply():
            return _within(_apply_bounds(node, seen, depth), node.dtype)
    return UNKNOWN


def _variable_bounds(node: Var) -> Interval:
    if node.extent is None:
        return node.least, None
    most = bounds(node.extent)[1]
    return 0, None if most is None else most - 1


def _within(interval: Interval, dtype: DType) -> Interval:
    """`interval`, or the dtype's own where arithmetic may have wrapped around."""
    if dtype.kind not in "iub":
        return interval
    least = dtype.min if interval[0] is None else interval[0]
    most = dtype.max if interval[1] is None else interval[1]
    if least < dtype.min or most > dtype.max:
        return dtype.min, dtype.max
    return least, most


def _tensor_bounds(node: Load, seen: dict[Expr, Interval], depth: int) -> Interval:
    source = node.source
    match source:
        case Constant() if source.array.size and source.array.dtype.kind in "iub":
            return int(source.array.min()), int(source.array.max())
        case Compute() if source.dtype.kind in "iu":
            return _bounds(source.body, seen, depth)
        case Reduction(combiner="argmin" | "argmax"):
            return _variable_bounds(
                Var("", build.product(tuple(a.extent for a in source.reduce_axes if a.extent)))
            )
        case Reduction(combiner="min" | "max") if source.dtype.kind in "iu":
            return _bounds(source.body, seen, depth)
        case Sort(positions=True):
            return _variable_bounds(Var("", source.shape[source.axis]))
        case Result():
            return UNKNOWN
    return UNKNOWN


def _apply_bounds(node: Apply, seen: dict[Expr, Interval], depth: int) -> Interval:
    if node.op is ops.SELECT:
        yes, no = (_bounds(o, seen, depth) for o in node.operands[1:])
        return _least(yes[0], no[0]), _most(yes[1], no[1])
    if node.op not in _RULES or any(o.dtype.is_float for o in node.operands):
        return UNKNOWN
    return _RULES[node.op](*(_bounds(o, seen, depth) for o in node.operands))


def _least(a: int | None, b: int | None) -> int | None:
    return None if a is None or b is None else min(a, b)


def _most(a: int | None, b: int | None) -> int | None:
    return None if a is None or b is None else max(a, b)


def _add(a: Interval, b: Interval) -> Interval:
    least = None if a[0] is None or b[0] is None else a[0] + b[0]
    most = None if a[1] is None or b[1] is None else a[1] + b[1]
    return least, most


def _negate(a: Interval) -> Interval:
    return (None if a[1] is None else -a[1]), (None if a[0] is None else -a[0])


def _multiply(a: Interval, b: Interval) -> Interval:
    if a[0] is None or b[0] is None:
        return UNKNOWN
    if a[1] is None or b[1] is None:
        return (a[0] * b[0], None) if a[0] >= 0 and b[0] >= 0 else UNKNOWN
    corners = [x * y for x in (a[0], a[1]) for y in (b[0], b[1])]
    return min(corners), max(corners)


def _floor_divide(a: Interval, b: Interval) -> Interval:
    if b[0] is None or b[0] <= 0 or b[0] != b[1]:
        return UNKNOWN
    return (
        None if a[0] is None else a[0] // b[0],
        None if a[1] is None else a[1] // b[0],
    )


def _modulo(a: Interval, b: Interval) -> Interval:
    if b[0] is None or b[0] <= 0:
        return UNKNOWN
    if b[1] is None:
        return 0, None
    inside = a[0] is not None and a[1] is not None and a[0] >= 0 and a[1] < b[0]
    return a if inside else (0, b[1] - 1)


def _minimum(a: Interval, b: Interval) -> Interval:
    most = a[1] if b[1] is None else b[1] if a[1] is None else min(a[1], b[1])
    return _least(a[0], b[0]), most


def _maximum(a: Interval, b: Interval) -> Interval:
    least = a[0] if b[0] is None else b[0] if a[0] is None else max(a[0], b[0])
    return least, _most(a[1], b[1])


_RULES: dict[Op, Callable[..., Interval]] = {
    ops.ADD: _add,
    ops.SUB: lambda a, b: _add(a, _negate(b)),
    ops.MUL: _multiply,
    ops.NEG: _negate,
    ops.FLOORDIV: _floor_divide,
    ops.MOD: _modulo,
    ops.MIN: _minimum,
    ops.MAX: _maximum,
    ops.CAST: lambda a: a,
}


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
