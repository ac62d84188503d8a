"""Our dataclasses behave as the standard library's, for everything that our classes use."""

import copy
import dataclasses
import inspect
import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import tilewright
from tilewright.ir import dataclass as ours

# Through a variable: type checkers are shown the standard names, which would make both the same.
BOTH = pytest.mark.parametrize("library", [dataclasses, ours], ids=["standard", "ours"])


def make(library, **options):
    @library.dataclass(**options)
    class Point:
        """Doc."""

        x: int
        y: object = 2
        tags: list[str] = library.field(default_factory=list, repr=False)

        def double(self):
            return self.x * 2

    return Point


@ours.dataclass(frozen=True, slots=True)
class Pair:
    """Of the module's level, as pickles need it."""

    first: int
    second: tuple[int, ...] = ()


OPTIONS = [
    {"frozen": frozen, "slots": slots, "eq": eq}
    for frozen in (False, True)
    for slots in (False, True)
    for eq in (False, True)
]
EACH = pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(k for k in o if o[k]))


@BOTH
@EACH
def test_construction_defaults_and_representation(library, options):
    point = make(library, **options)
    a, b = point(1), point(y=3, x=1, tags=["t"])
    assert (a.x, a.y, a.tags, a.double()) == (1, 2, [], 2)
    assert a.tags is not point(1).tags
    assert (b.x, b.y, b.tags) == (1, 3, ["t"])
    assert repr(a).endswith("Point(x=1, y=2)")
    assert point.__doc__ == "Doc."
    with pytest.raises(TypeError, match=r"__init__.* missing 1 required .* 'x'"):
        point()
    with pytest.raises(TypeError, match="unexpected keyword argument 'z'"):
        point(1, z=2)


@BOTH
@EACH
def test_equality_and_hash(library, options):
    point = make(library, **options)
    same = point(1, 2, ()) == point(1, 2, ())
    assert same == options["eq"]
    assert point(1, 2) != point(1, 3)
    assert point(1) != (1, 2, [])
    if options["eq"] and not options["frozen"]:
        with pytest.raises(TypeError, match="unhashable"):
            hash(point(1))
    elif options["eq"]:
        assert hash(point(1, 2, ())) == hash(point(1, 2, ())) == hash((1, 2, ()))
    else:
        a = point(1)
        assert {a: "found"}[a] == "found"


@BOTH
@EACH
def test_assignment(library, options):
    a = make(library, **options)(1)
    if options["frozen"]:
        with pytest.raises(dataclasses.FrozenInstanceError, match="'x'"):
            a.x = 2
        with pytest.raises(dataclasses.FrozenInstanceError, match="'x'"):
            del a.x
        assert a.x == 1
    else:
        a.x = 2
        assert a.x == 2
    assert hasattr(a, "__dict__") != options["slots"]


@BOTH
@EACH
def test_replace_match_and_the_standard_view(library, options):
    point = make(library, **options)
    a = point(1, 5, ["t"])
    assert library.replace(a, x=7).y == 5
    assert dataclasses.replace(a, x=7).x == 7
    with pytest.raises(TypeError, match="unexpected keyword argument 'w'"):
        library.replace(a, w=1)
    match a:
        case point(x, y):
            assert (x, y) == (1, 5)
    assert dataclasses.asdict(a) == {"x": 1, "y": 5, "tags": ["t"]}
    assert dataclasses.astuple(a) == (1, 5, ["t"])
    assert [f.name for f in dataclasses.fields(point)] == ["x", "y", "tags"]
    assert dataclasses.fields(a)[1].default == 2
    assert list(inspect.signature(point).parameters) == ["x", "y", "tags"]


@BOTH
def test_subclasses(library):
    @library.dataclass(frozen=True, slots=True)
    class Base:
        a: int
        b: int = 2

    @library.dataclass(frozen=True, slots=True)
    class Derived(Base):
        c: int = 3

        def __post_init__(self):
            if self.c < 0:
                raise ValueError("negative")

    base: Any = Base
    derived: Any = Derived
    d = derived(1, c=4)
    assert (d.a, d.b, d.c) == (1, 2, 4)
    assert base(1) != derived(1)
    assert derived.__slots__ == ("c",)
    assert not hasattr(d, "__dict__")
    with pytest.raises(ValueError, match="negative"):
        derived(1, 2, -3)


@BOTH
def test_methods_that_a_class_defines_are_kept(library):
    @library.dataclass(frozen=True)
    class Odd:
        a: int

        def __repr__(self):
            return "odd"

        def __eq__(self, other):
            return True

    odd: Any = Odd
    assert repr(odd(1)) == "odd"
    assert odd(1) == odd(2)
    assert hash(odd(1)) == hash((1,))


@pytest.mark.parametrize(
    "take", [copy.copy, copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))]
)
def test_copies(take):
    assert take(Pair(1, (2, 3))) == Pair(1, (2, 3))


def test_a_single_field_compares_as_a_tuple_of_one():
    @ours.dataclass(frozen=True)
    class One:
        value: float

    nan = float("nan")
    assert One(nan) == One(nan)
    assert hash(One(1.5)) == hash((1.5,))


def test_defining_a_class_compiles_nothing_and_asks_nobody():
    """What makes it quick: no source is compiled and the standard decorator is not used."""
    program = """
import builtins, sys
sys.modules.pop("dataclasses", None)
import tilewright.ir.dataclass as ours
def forbidden(*args, **kwargs):
    raise AssertionError("compiled")
kept, builtins.exec = builtins.exec, forbidden
@ours.dataclass(frozen=True, slots=True)
class Point:
    x: int
    y: int = 2
builtins.exec = kept
assert Point(1).y == 2
assert "dataclasses" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_compiler_uses_ours_everywhere() -> None:
    """One class of the standard library's costs as much time as twenty of ours."""
    package = Path(tilewright.__file__).parent
    slow = re.compile(
        r"^(import dataclasses|from dataclasses import .*\b(dataclass|replace)\b)", re.M
    )
    folders = ("ir", "compiler", "codegen_cpu", "codegen_wgsl", "codegen_glsl")
    files = [file for folder in folders for file in (package / folder).glob("**/*.py")]
    assert len(files) > 200
    assert [file.name for file in files if slow.search(file.read_text(encoding="utf-8"))] == []
