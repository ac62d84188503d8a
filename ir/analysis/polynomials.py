"""Index expressions as polynomials over atoms.

An atom is a variable, or an operation that is not + - *, told apart by structure.
"""

from __future__ import annotations

from tilewright.ir import ops
from tilewright.ir.expr import Apply, Const, Expr, Size

AtomKey = tuple[object, ...]
Monomial = tuple[AtomKey, ...]
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


def number(value: int) -> Polynomial:
    """A literal."""
    return Polynomial({(): value}, {})


def polynomial(size: Size) -> Polynomial:
    """`size` as a polynomial. Parts that are too deep or too large to read are atoms."""
    return _read(size, {}, 0)


def _read(size: Size, seen: dict[Expr, Polynomial], depth: int) -> Polynomial:
    if isinstance(size, int):
        return number(size)
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
        return number(int(node.value))
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
