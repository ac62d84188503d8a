"""What goes into a fingerprint, part by part: an edit that forgets one shows here.

That two values have different digests is tested beside this; it cannot show that a part is missing
where another one, by which the two also differ, is there.
"""

from __future__ import annotations

import dis
import functools
import inspect
from types import CodeType, ModuleType
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tilewright.compiler.argument_trees import described
from tilewright.compiler.cache.fingerprint import DoubtError, Fingerprint, names_of
from tilewright.ir.signature import ScalarSpec

Parts = list[tuple[str, bytes]]


class Recorder(Fingerprint):
    """Keeps what is written; of code only that it was there, as that differs between Pythons."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: Parts = []

    def _bytes(self, kind: str, data: bytes) -> None:
        self.parts.append((kind, data))
        super()._bytes(kind, data)

    def _code(self, code: CodeType) -> None:
        self.parts.append(("code", code.co_name.encode()))


def parts_of(value: object) -> Parts:
    found = Recorder()
    found.add(value)
    return found.parts


def numbers(*values: float) -> bytes:
    return np.array(values).tobytes()


def test_plain_values() -> None:
    assert parts_of(None) == [("NoneType", b"None")]
    assert parts_of(...) == [("ellipsis", b"Ellipsis")]
    assert parts_of(True) == [("bool", b"True")]
    assert parts_of(-3) == [("int", b"-3")]
    assert parts_of("ä") == [("str", "'ä'".encode())]
    assert parts_of(b"\0") == [("bytes", rb"b'\x00'")]
    assert parts_of(-0.0) == [("float", numbers(-0.0))]
    assert parts_of(1j) == [("complex", numbers(0.0, 1.0))]


def test_containers() -> None:
    assert parts_of((1, [2])) == [("tuple", b"2"), ("int", b"1"), ("list", b"1"), ("int", b"2")]
    assert parts_of({"a": 1}) == [("dict", b"2"), ("str", b"'a'"), ("int", b"1")]
    assert parts_of(frozenset("ba")) == [("frozenset", b"2"), ("str", b"'a'"), ("str", b"'b'")]
    assert parts_of(slice(1, None, 2)) == [
        *(("slice", b"3"), ("int", b"1"), ("NoneType", b"None"), ("int", b"2"))
    ]


def test_arrays_and_dtypes() -> None:
    array = np.array([[1, 2]], np.int16)
    assert parts_of(array) == [("ndarray", b"<i2:(1, 2)"), ("elements", array.tobytes())]
    assert parts_of(np.float32(2)) == [("float32", b"<f4:()"), ("elements", b"\0\0\0@")]
    assert parts_of(np.dtype(">u4")) == [("dtype", b">u4")]
    assert parts_of(tw.f16) == [("element", b"f16")]


def test_what_stands_for_itself() -> None:
    numpy_module = ("module", f"numpy {np.__version__}".encode())
    assert parts_of(np) == [numpy_module]
    assert parts_of(np.exp) == [("name", b"numpy.exp"), numpy_module]
    assert parts_of(np.sum) == [("name", b"numpy.sum"), numpy_module]
    sigmoid = "module", f"tilewright.compiler.functions {tw.__version__}".encode()
    assert parts_of(tw.sigmoid) == [("name", b"tilewright.compiler.functions.sigmoid"), sigmoid]
    tricks = [np.mgrid, np.ogrid, np.r_, np.c_, np.s_, np.index_exp]
    found = [parts_of(trick) for trick in tricks]
    assert found == [[("trick", str([k == n for k in range(6)]).encode())] for n in range(6)]


def test_partial_functions() -> None:
    (kind, nothing), *rest = parts_of(functools.partial(np.exp, 1, where=True))
    assert (kind, nothing) == ("partial", b"")
    assert rest == [*parts_of(np.exp), *parts_of((1,)), *parts_of({"where": True})]


FACTOR = 3


def helper(v: Any, w: int = 7, *, u: str = "x") -> Any:
    return v * FACTOR if len(u) else helper(v, w)


def test_functions() -> None:
    """Code, defaults, captured values, globals and built-ins; one met before by its number."""
    assert parts_of(helper) == [
        ("code", b"helper"),
        *parts_of((7,)),
        *parts_of({"u": "x"}),
        *(("builtin", b"len"), ("named", b"FACTOR"), ("int", b"3")),
        *(("named", b"helper"), ("function", b"0")),
    ]


def test_captured_values_and_modules() -> None:
    captured = 2.5

    def inner(x: Any) -> Any:
        return np.pi * x + captured

    assert parts_of(inner) == [
        *(("code", b"inner"), ("NoneType", b"None"), ("NoneType", b"None")),
        *(("named", b"captured"), ("float", numbers(2.5))),
        *(("named", b"np"), *parts_of(np), ("named", b"pi"), ("float", numbers(np.pi))),
    ]


def test_kernels_are_their_functions() -> None:
    assert parts_of(tw.kernel(helper)) == parts_of(helper)


def test_arguments() -> None:
    n = tw.dim("N", least=2)
    found = Recorder()
    _, tree_spec, _ = next(iter(described({"a": np.zeros(2), 3: np.zeros(1)}, "p")))
    found.add_specs({"x": tw.f32[n, 4, n], "s": ScalarSpec("int"), "p": tree_spec})
    assert found.parts == [
        *(("array", b"x:f32:3"), ("open", b"0:2:N"), ("size", b"4"), ("open", b"0:2:N")),
        ("scalar", b"s:int"),
        *(("static", b"p"), ("tree", b"dict")),
        *(("tuple", b"2"), ("str", b"'a'"), ("int", b"3")),
        *(("tuple", b"2"), ("str", b"\"p['a']\""), ("str", b"'p[3]'")),
    ]


def test_lengths_and_kinds_are_summed_up_too() -> None:
    def digest(*parts: tuple[str, bytes]) -> str:
        found = Fingerprint()
        for kind, data in parts:
            found._bytes(kind, data)
        return found.hexdigest()

    different = [
        digest(),
        digest(("a", b"")),
        digest(("a", b"b")),
        digest(("b", b"b")),
        digest(("a", b"c")),
        digest(("a", b"bc")),
        digest(("a", b"b"), ("a", b"c")),
        digest(("a", b"ba 1:c")),
    ]
    assert len(set(different)) == len(different)


def test_what_is_too_large_or_not_there_has_no_fingerprint() -> None:
    def unassigned(x: Any) -> Any:
        return x + later

    module = ModuleType("made")
    module.__dict__["__getattr__"] = lambda name: 1
    doubtful: list[tuple[object, str]] = [
        (list(range(10_001)), "a large container"),
        (np.dtype("O"), "a dtype of objects"),
        (np.dtype([("a", "O")]), "a dtype of objects"),
        (np.array([None]), "an array of object"),
        (np.broadcast_to(np.uint8(0), (64 << 20) + 1), "an array of uint8"),
        (unassigned, "later is not assigned yet"),
        (lambda x: module.value + x, "module made makes its names"),
    ]
    for value, said in doubtful:
        with pytest.raises(DoubtError, match=said):
            parts_of(value)
    later = 1
    assert parts_of(list(range(10_000)))[0] == ("list", b"10000")
    assert parts_of(unassigned)[-1] == ("int", b"1")


def test_functions_of_numpy_and_of_scipy_are_told_apart() -> None:
    """scipy.special has a `log1p` of its own, which is no other ufunc than NumPy's by name."""
    special = pytest.importorskip("scipy.special")
    assert parts_of(np.exp) == [("name", b"numpy.exp"), *parts_of(np)]
    assert parts_of(np.add) == [("name", b"numpy.add"), *parts_of(np)]
    assert parts_of(special.expit) == [("name", b"scipy.special.expit"), *parts_of(special)]
    same = [n for n in ("log1p", "expm1", "exp2", "cbrt") if hasattr(special, n)]
    for name in same:
        ours, theirs = getattr(np, name), getattr(special, name)
        assert (parts_of(ours) == parts_of(theirs)) is (ours is theirs)


def names_by_dis(code: CodeType) -> tuple[set[str], set[str]]:
    """The names that a function reads, as the standard library disassembles it."""
    read: set[str] = set()
    attributes: set[str] = set()
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            read.add(instruction.argval)
        elif instruction.opname in ("LOAD_ATTR", "LOAD_METHOD", "LOAD_SUPER_ATTR", "IMPORT_FROM"):
            attributes.add(instruction.argval)
        elif instruction.opname in ("IMPORT_NAME", "LOAD_BUILD_CLASS", "STORE_GLOBAL"):
            raise DoubtError(instruction.opname)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            more = names_by_dis(constant)
            read |= more[0]
            attributes |= more[1]
    return read, attributes


def outcome(find: Any, code: CodeType) -> object:
    try:
        return tuple(map(set, find(code)))
    except DoubtError:
        return "refused"


def test_names_are_those_that_dis_finds() -> None:
    modules = (dis, inspect, functools, np.lib.format, np.polynomial.polynomial, np.ma.core)
    functions = [f for m in modules for f in vars(m).values() if inspect.isfunction(f)]
    found = [outcome(names_of, f.__code__) for f in functions]
    assert found == [outcome(names_by_dis, f.__code__) for f in functions]
    assert 0 < found.count("refused") < len(found) / 2


def test_names_beyond_the_first_256() -> None:
    source = "def f(x):\n" + "".join(f"    x.a{k}, b{k}\n" for k in range(300))
    scope: dict[str, Any] = {}
    exec(source, scope)
    read, attributes = names_of(scope["f"].__code__)
    assert read == tuple(f"b{k}" for k in range(300))
    assert attributes == tuple(f"a{k}" for k in range(300))
