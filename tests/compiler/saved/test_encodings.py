"""Interfaces and GPU programs as JSON: every field returns, and what was not written is refused."""

from __future__ import annotations

import json
from collections import OrderedDict, namedtuple
from typing import Any

import numpy as np
import pytest
from msgspec import structs

import tilewright as tw
from tilewright.compiler.decode_interface import Fixed, decode_interface, decode_value
from tilewright.compiler.encode_interface import encode_interface, encode_value
from tilewright.compiler.interface import (
    DataCheck,
    Interface,
    Known,
    Leaf,
    Mapping,
    Object,
    OutputInfo,
    Sequence,
    SizeCheck,
    Structure,
)
from tilewright.ir import build, dtypes
from tilewright.ir.artifact import (
    BufferSpec,
    CopyBuffer,
    GpuProgram,
    Repeat,
    ShaderLaunch,
    TextureLayout,
)
from tilewright.ir.errors import UnsupportedError
from tilewright.ir.expr import Var
from tilewright.ir.gpu_encoding import decode_program, encode_program
from tilewright.ir.location import Location
from tilewright.ir.signature import ArgumentSpec, ArraySpec, ScalarSpec, StaticSpec

Pair = namedtuple("Pair", ["left", "right"])
STRUCTURES: list[Structure] = [
    Leaf(3),
    Sequence(tuple, (Leaf(0), Sequence(list, (Leaf(1),)))),
    Sequence(list, ()),
    Mapping(("a", 2, (1, None)), (Leaf(0), Leaf(1), Leaf(2)), dict),
    Mapping(("b",), (Sequence(tuple, (Leaf(0),)),), OrderedDict),
    *(Known(value) for value in (None, True, "text", 1.5, (1, "x"))),
]


def interface(**changes: Any) -> Interface:
    """One with something in every field."""
    n, m = Var("N", least=2), Var("M", least=0)
    specs: dict[str, ArgumentSpec] = {
        "x": ArraySpec(dtypes.F32, (n, 3, m)),
        "y": ArraySpec(dtypes.BOOL, ()),
        "k": ScalarSpec("int", (dtypes.U8, dtypes.I16)),
        "f": ScalarSpec("float"),
        "s": StaticSpec((1, 2.5, "a", None, b"\x01", True)),
    }
    fields: dict[str, Any] = {
        "specs": specs,
        "input_names": ("x", "y", "k"),
        "input_shapes": ((n, 3, m), (), ()),
        "output_shapes": ((build.size_mul(n, m),), (build.size_add(n, 1), 4)),
        "outputs": (OutputInfo(np.dtype("f4"), "array"), OutputInfo(np.dtype(">i8"), "python")),
        "structure": Leaf(0),
        "checks": (
            DataCheck(n, 1, True, Location("a.py", 3, 4, 5, 6, "f"), "index"),
            DataCheck(7, 0, False, None, "power"),
        ),
        "symbols": (n, m),
        "specialized": frozenset({"k", "s", "f", "another", "one more"}),
        "sizes": (
            SizeCheck(build.size_sub(n, 1), "nothing", Location("b.py", 7)),
            SizeCheck(m, "nothing else", None),
        ),
    }
    return Interface(**{**fields, **changes})


def through_json(made: Interface, symbols: Any = None) -> Interface:
    return decode_interface(json.loads(json.dumps(encode_interface(made))), symbols)


def test_every_field_returns() -> None:
    made = interface()
    found = through_json(made, made.symbols)
    assert found.specs == made.specs
    assert list(found.specs) == list(made.specs)
    assert found.input_names == made.input_names
    assert found.input_shapes == made.input_shapes
    values = {made.symbols[0]: 5, made.symbols[1]: 7}
    inputs = [np.zeros((5, 3, 7)), np.zeros(()), np.zeros(())]
    assert found.bind(inputs) == values
    assert found.result_shapes(inputs) == made.result_shapes(inputs) == [(35,), (6, 4)]
    assert found.outputs == made.outputs
    assert [(c.axis, c.wraps, c.kind) for c in found.checks] == [
        (1, True, "index"),
        (0, False, "power"),
    ]
    assert [c.size for c in found.checks] == [made.symbols[0], 7]
    first, second = found.checks
    assert made.checks[0].loc is not None
    for name in ("file", "line", "column", "end_line", "end_column", "function"):
        assert getattr(first.loc, name) == getattr(made.checks[0].loc, name)
    assert second.loc is None
    assert found.specialized == made.specialized
    assert [c.message for c in found.sizes] == ["nothing", "nothing else"]
    assert [c.loc and c.loc.line for c in found.sizes] == [7, None]
    with pytest.raises(tw.ShapeError, match="nothing else"):
        found.bind([np.zeros((5, 3, 0)), *inputs[1:]])


def test_open_dimensions_are_made_anew_where_none_are_given() -> None:
    found = through_json(interface())
    assert [(s.name, s.least) for s in found.symbols] == [("N", 2), ("M", 0)]
    assert found.input_shapes[0] == (found.symbols[0], 3, found.symbols[1])


def test_the_same_interface_has_the_same_text() -> None:
    names = [f"name{k}" for k in range(40)]
    encoded = encode_interface(interface(specialized=frozenset(names)))
    assert encoded["specialized"] == sorted(names)


@pytest.mark.parametrize("structure", STRUCTURES, ids=str)
def test_every_structure_returns(structure: Structure) -> None:
    assert through_json(interface(structure=structure)).structure == structure


def test_named_tuples_return_with_their_fields() -> None:
    found = through_json(interface(structure=Sequence(Pair, (Leaf(1), Leaf(0))))).structure
    assert isinstance(found, Sequence)
    assert (found.kind.__name__, found.items) == ("Pair", (Leaf(1), Leaf(0)))
    assert found.kind._fields == ("left", "right")  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "structure",
    [
        Object(Interface, ("a",), (Leaf(0),)),
        Mapping((object(),), (Leaf(0),), dict),
        Known(object()),
        Sequence(set, ()),
    ],
    ids=["object", "key", "value", "set"],
)
def test_what_cannot_be_saved_is_refused(structure: Structure) -> None:
    with pytest.raises(UnsupportedError, match=r"a kernel that returns .* cannot be saved"):
        encode_interface(interface(structure=structure))


@pytest.mark.parametrize(
    "value", [None, True, 0, -3, "a", 0.1, float("inf"), -0.0, b"\x00\xff", (), (1, ("b", 2.0))]
)
def test_plain_values_return(value: object) -> None:
    found = decode_value(json.loads(json.dumps(encode_value(value))))
    assert repr(found) == repr(value)
    assert type(found) is type(value)


def test_other_values_leave_their_text() -> None:
    found = decode_value(encode_value(np.arange(3)))
    assert isinstance(found, Fixed)
    assert repr(found) == "array([0, 1, 2])"
    assert len(repr(decode_value(encode_value(["x" * 500])))) == 200


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"specs": [["x", "array", "f31", []]]}, "'f31' is not a dtype"),
        ({"specs": [["x", "scalar", "int", "f31"]]}, "'f31' is not a dtype"),
        ({"specs": [["x", "matrix"]]}, "is not an argument"),
        ({"specs": [["x", "static", "odd", 1]]}, "is not a value"),
        ({"structure": ["set", 1]}, "is not the structure of a result"),
        ({"structure": {"a": 1}}, "is not the structure of a result"),
        ({"structure": ["known", "odd", 1]}, "is not a value"),
        ({"input_shapes": [["3"]]}, "is not a size"),
        ({"symbols": []}, "other open dimensions"),
    ],
)
def test_what_was_not_written_is_refused(change: dict[str, Any], message: str) -> None:
    made = interface()
    with pytest.raises(ValueError, match=message):
        decode_interface({**encode_interface(made), **change}, made.symbols)


# GPU programs.

TEXTURE = TextureLayout(4, 2, "rgba32f")
BUFFERS = (
    BufferSpec("input", "float32", "float32", (2, 3), 6, texture=TEXTURE),
    BufferSpec("constant", "uint8", "uint32", (5,), 5, packed=4),
    BufferSpec("output", "int32", "int32", (), 1),
)
LAUNCH = ShaderLaunch("k0", "source", "main", (0, 1), (2,), (3, 2, 1), (7, 8))
STEPS = (LAUNCH, CopyBuffer(0, 2), Repeat(3, (LAUNCH, Repeat(2, (CopyBuffer(1, 2),)))))
PROGRAM = GpuProgram("glsl", BUFFERS, (0,), (2,), STEPS)


def test_every_field_of_a_gpu_program_returns() -> None:
    constants: tuple[np.ndarray, ...] = (
        np.arange(5, dtype=np.uint8),
        np.asfortranarray(np.ones((2, 3), np.float16)),
    )
    described, blobs = encode_program(PROGRAM, constants)
    found, values = decode_program(json.loads(json.dumps(described)), blobs)
    assert found == PROGRAM
    assert len(values) == len(constants)
    for value, constant in zip(values, constants, strict=True):
        assert value.dtype == constant.dtype
        np.testing.assert_array_equal(value, constant)


@pytest.mark.parametrize(
    "step", [{}, {"copy": [1]}, {"copy": ["a", 1]}, {"repeat": "2", "steps": []}, {"launch": 1}]
)
def test_other_steps_are_refused(step: dict[str, Any]) -> None:
    described, blobs = encode_program(PROGRAM, ())
    with pytest.raises(ValueError, match="is not a step"):
        decode_program(json.loads(json.dumps({**described, "steps": [step]})), blobs)


def test_modules_of_wasm_return_and_have_one_text() -> None:
    made = tw.kernel(lambda x: np.exp(x) + 1).compile(tw.f32[5], target="wasm").specialization
    features = frozenset(f"feature{k}" for k in range(30))
    artifact = structs.replace(
        made.artifact, module=structs.replace(made.artifact.module, features=features)
    )
    described, blobs = made.target.pack(artifact)
    assert described["features"] == sorted(features)
    found = made.target.unpack(json.loads(json.dumps(described)), blobs, ())
    assert found.module == artifact.module
    assert found.program.code == b""
    with pytest.raises(ValueError, match="its description cannot be read"):
        made.target.unpack(described, [b"", blobs[1]], ())


def test_machine_code_returns() -> None:
    made = tw.kernel(lambda x: np.exp(x) + 1).compile(tw.f32[5]).specialization
    described, blobs = made.target.pack(made.artifact)
    found = made.target.unpack(json.loads(json.dumps(described)), blobs, ())
    assert found.code == made.artifact.code
    assert (found.inputs, found.outputs) == (made.artifact.inputs, made.artifact.outputs)
    with pytest.raises(ValueError, match="its object code cannot be read"):
        made.target.unpack(described, [b""], ())
