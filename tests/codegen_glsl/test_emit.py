"""The text of shaders: literals, loads, folding, and golden files of whole kernels."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from tests.codegen_glsl.nests import at, compute, mapped, program_of, reduced, sources
from tests.conftest import Golden
from tilewright.codegen_glsl.device import GlDevice
from tilewright.codegen_glsl.emit.fold import LONGEST, Assign, Define, Line, Loop, render
from tilewright.codegen_glsl.emit.textures import number_of_fragment, place_of_texel
from tilewright.codegen_glsl.emit.types import literal
from tilewright.ir import build as b
from tilewright.ir import ops
from tilewright.ir.artifact import TextureLayout
from tilewright.ir.dtypes import BOOL, F32, I32, INDEX, U8, U32
from tilewright.ir.errors import IRError, UnsupportedError
from tilewright.ir.expr import Apply, Const, Expr
from tilewright.ir.kernel import Buffer


def source_of(target: Buffer, inputs: list[Buffer], step) -> str:
    (text,) = sources(program_of(inputs, [target], [step]))
    return text


def body_of(text: str) -> list[str]:
    """The lines of main."""
    return text.split("void main() {\n")[1].rstrip().removesuffix("}").rstrip().splitlines()


# Literals.


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1.0"),
        (-2.5, "-2.5"),
        (0.0, "0.0"),
        (-0.0, "uintBitsToFloat(0x80000000u)"),
        (float("inf"), "uintBitsToFloat(0x7f800000u)"),
        (0.1, "uintBitsToFloat(0x3dcccccdu)"),
        (2.0**-12, "0.000244140625"),  # nine digits
        (2.0**-13, "uintBitsToFloat(0x39000000u)"),
        (999999936.0, "999999936.0"),
        (1e9, "uintBitsToFloat(0x4e6e6b28u)"),
        (16777216.0, "16777216.0"),
    ],
)
def test_float_literals_are_exact(value: float, text: str) -> None:
    rounded = struct.unpack("<f", struct.pack("<f", value))[0]
    assert literal(rounded, F32) == text


def test_integer_literals() -> None:
    assert literal(-(2**31), I32) == "int(0x80000000u)"
    assert literal(2**32 - 1, U32) == "0xffffffffu"
    assert literal(7, U32) == "7u"
    assert (literal(4095, U32), literal(4096, U32)) == ("4095u", "0x1000u")
    assert (literal(-(2**31) + 1, I32), literal(2**31 - 1, I32)) == ("-2147483647", "2147483647")
    assert literal(True, BOOL) == "true"
    with pytest.raises(IRError, match="does not fit in 32 bits"):
        literal(2**31, I32)


@pytest.mark.glsl
def test_every_literal_arrives_bit_by_bit(device: GlDevice) -> None:
    random = np.random.default_rng(5)
    patterns = random.integers(0, 2**32, 60, np.uint32)
    numbers = np.concatenate(
        [patterns.view(np.float32), np.array([0, -0.0, 1, 0.1, 1e-30], np.float32)]
    )
    numbers = numbers[np.isnan(numbers) | (np.abs(numbers) > 2e-38) | (numbers == 0)]
    values = [b.from_bits(int(bits), F32) for bits in numbers.view(np.uint32)]

    def body(i):
        chosen: Expr = values[0]
        for k, value in enumerate(values):
            chosen = b.select(b.eq(i, b.index(k)), value, chosen)
        return chosen

    actual = compute(device, [], numbers.shape, F32, lambda y: mapped(y, body))
    same = (actual.view(np.uint32) == numbers.view(np.uint32)) | (
        np.isnan(actual) & np.isnan(numbers)
    )
    assert same.all()


# Places.


@pytest.mark.parametrize(
    ("width", "height", "place", "fragment"),
    [
        (4, 1, "ivec2(i, 0)", "int(gl_FragCoord.x)"),
        (1, 4, "ivec2(0, i)", "int(gl_FragCoord.y)"),
        (8, 3, "ivec2(i & 7, i >> 3)", "int(gl_FragCoord.y) << 3 | int(gl_FragCoord.x)"),
    ],
)
def test_texels_lie_row_by_row(width: int, height: int, place: str, fragment: str) -> None:
    layout = TextureLayout(width, height, "rgba32f")
    assert place_of_texel(layout) == place
    assert number_of_fragment(layout) == fragment


# Loads.


def test_aligned_loads_are_one_fetch() -> None:
    x, y = Buffer("x", (6, 8), F32), Buffer("y", (6, 8), F32)
    text = source_of(y, [x], mapped(y, lambda i, j: b.mul(at(x, i, j), at(x, i, j))))
    assert text.count("texel0(texel)") == 1
    assert "element" not in text


def test_a_scalar_of_a_row_is_one_component() -> None:
    x, y = Buffer("x", (4,), F32), Buffer("y", (4, 8), F32)
    text = source_of(y, [x], mapped(y, lambda i, j: at(x, b.index(2))))
    assert body_of(text)[-1] == "  o0 = vec4(texel0(0).z);"


def test_reversed_loads_are_a_swizzle() -> None:
    x, y = Buffer("x", (8,), F32), Buffer("y", (8,), F32)
    text = source_of(y, [x], mapped(y, lambda i: at(x, b.sub(b.index(7), i))))
    assert ".wzyx" in text


def test_neighbours_share_texels() -> None:
    """x[i] + x[i + 1] + x[i + 2]: two fetches, not three."""
    x, y = Buffer("x", (20,), F32), Buffer("y", (16,), F32)

    def body(i):
        return b.add(b.add(at(x, i), at(x, b.add(i, b.index(1)))), at(x, b.add(i, b.index(2))))

    text = source_of(y, [x], mapped(y, body))
    assert text.split("void main")[1].count("texel0(") == 2


def test_fetches_that_may_leave_the_texture_are_kept_inside() -> None:
    """Only fragments past the end of the output can get there, but they run."""
    x, y = Buffer("x", (40,), F32), Buffer("y", (5,), F32)
    eight = b.index(8)
    text = source_of(y, [x], mapped(y, lambda i: at(x, b.mul(i, eight))))
    assert "min(" in text.split("void main")[1]
    x, y = Buffer("x", (64,), F32), Buffer("y", (8,), F32)
    text = source_of(y, [x], mapped(y, lambda i: at(x, b.mul(i, eight))))
    assert "min(" not in text.split("void main")[1]


def test_more_than_sixteen_inputs_are_refused() -> None:
    """One read with sixteen index arrays; what can be computed in parts is."""
    x, y = Buffer("x", (1,) * 16, F32), Buffer("y", (4,), F32)
    positions = [Buffer(f"p{k}", (4,), I32) for k in range(16)]
    step = mapped(y, lambda i: at(x, *(b.cast(at(p, i), INDEX) for p in positions)))
    with pytest.raises(UnsupportedError, match="more than 16 arrays"):
        sources(program_of([x, *positions], [y], [step]))


# Folding.


def test_values_used_once_move_into_their_use() -> None:
    lines: list[Line] = [
        Define("int", "v0", "texel * 4"),
        Define("int", "v1", "v0 + 1"),
        Assign("o0", "texel0(v1) * f(v1)"),
    ]
    assert render(lines) == ["int v1 = (texel * 4) + 1;", "o0 = texel0(v1) * f(v1);"]


def test_values_stay_outside_of_loops() -> None:
    lines: list[Line] = [
        Define("int", "v0", "texel * 4"),
        Loop("for (;;)", [Assign("r0", "r0 + float(v0)")]),
    ]
    assert render(lines) == [
        "int v0 = texel * 4;",
        "for (;;) {",
        "  r0 = r0 + float(v0);",
        "}",
    ]


def test_a_value_is_written_before_a_register_that_it_reads_changes() -> None:
    lines: list[Line] = [
        Assign("float r0", "1.0"),
        Define("float", "v0", "r0 * 2.0"),
        Assign("r0", "3.0"),
        Assign("o0", "vec4(v0 + r0)"),
    ]
    assert render(lines) == [
        "float r0 = 1.0;",
        "float v0 = r0 * 2.0;",
        "r0 = 3.0;",
        "o0 = vec4(v0 + r0);",
    ]


def test_long_lines_are_not_made_longer() -> None:
    lines: list[Line] = [Define("float", "v0", "x" * LONGEST), Assign("o0", "v0 + 1.0")]
    assert len(render(lines)) == 2
    for length, count in ((LONGEST - 2, 1), (LONGEST - 1, 2)):  # and the name that is replaced
        lines = [Define("float", "v0", "x" * length), Assign("o0", "v0")]
        assert len(render(lines)) == count


def test_brackets_keep_the_order_of_operations() -> None:
    lines: list[Line] = [
        Define("int", "v0", "f(1) + g(2)"),
        Define("int", "v1", "v0 * 3"),
        Define("int", "v2", "h(v1)"),
        Assign("o0", "-v2"),
    ]
    assert render(lines) == ["o0 = -h((f(1) + g(2)) * 3);"]


@pytest.mark.parametrize(
    ("value", "use", "text"),
    [
        ("a + b", "v0", "a + b"),
        ("a + b", "f(v0)", "f(a + b)"),
        ("a + b", "f(v0, c)", "f(a + b, c)"),
        ("a + b", "f(c, v0)", "f(c, a + b)"),
        ("a + b", "f(c + v0)", "f(c + (a + b))"),
        ("a + b", "f(v0 * c)", "f((a + b) * c)"),
        ("a + b", "v0.x", "(a + b).x"),
        ("a + b", "-v0", "-(a + b)"),
        ("f(a) + g(b)", "-v0", "-(f(a) + g(b))"),
        ("f(g(a), b)", "-v0", "-f(g(a), b)"),
        ("f(a).xy", "-v0", "-f(a).xy"),
        ("f(a).x * 2", "-v0", "-(f(a).x * 2)"),
        ("a.x", "-v0", "-a.x"),
        ("1.5", "c - v0", "c - 1.5"),
        ("-1", "c - v0", "c - (-1)"),
    ],
)
def test_brackets_stand_where_they_are_needed(value: str, use: str, text: str) -> None:
    assert render([Define("float", "v0", value), Assign("o0", use)]) == [f"o0 = {text};"]


# Whole kernels.


def test_golden_scale_and_add(golden: Golden) -> None:
    x, y = Buffer("x", (32, 64), F32), Buffer("y", (64,), F32)
    z = Buffer("z", (32, 64), F32)
    step = mapped(z, lambda i, j: b.add(b.mul(at(x, i, j), b.const(2, F32)), at(y, j)))
    golden("glsl/scale_and_add", source_of(z, [x, y], step))


def test_golden_odd_rows(golden: Golden) -> None:
    x, y, z = Buffer("x", (3, 5), F32), Buffer("y", (5,), F32), Buffer("z", (3, 5), F32)
    step = mapped(z, lambda i, j: b.add(at(x, i, j), at(y, j)))
    golden("glsl/odd_rows", source_of(z, [x, y], step))


def test_golden_transpose(golden: Golden) -> None:
    x, y = Buffer("x", (6, 8), F32), Buffer("y", (8, 6), F32)
    golden("glsl/transpose", source_of(y, [x], mapped(y, lambda i, j: at(x, j, i))))


def test_golden_matmul(golden: Golden) -> None:
    a, c, y = Buffer("a", (64, 128), F32), Buffer("c", (128, 32), F32), Buffer("y", (64, 32), F32)
    bias = Buffer("bias", (32,), F32)
    step = reduced(
        y,
        (128,),
        "add",
        lambda i, j, k: b.mul(at(a, i, k), at(c, k, j)),
        lambda total, i, j: b.maximum(b.add(total, at(bias, j)), b.const(0, F32)),
    )
    golden("glsl/matmul_bias_relu", source_of(y, [a, c, bias], step))


def test_golden_matmul_in_four_targets(golden: Golden) -> None:
    a, c = Buffer("a", (128, 64), F32), Buffer("c", (64, 128), F32)
    y = Buffer("y", (128, 128), F32)
    step = reduced(y, (64,), "add", lambda i, j, k: b.mul(at(a, i, k), at(c, k, j)))
    golden("glsl/matmul_four_targets", "\n".join(sources(program_of([a, c], [y], [step]))))


def test_golden_stencil(golden: Golden) -> None:
    x, w, y = Buffer("x", (34, 36), F32), Buffer("w", (3, 3), F32), Buffer("y", (32, 32), F32)
    step = reduced(
        y, (3, 3), "add", lambda i, j, u, v: b.mul(at(x, b.add(i, u), b.add(j, v)), at(w, u, v))
    )
    golden("glsl/stencil", source_of(y, [x, w], step))


def test_golden_row_sum(golden: Golden) -> None:
    x, y = Buffer("x", (64, 512), F32), Buffer("y", (64,), F32)
    step = reduced(y, (512,), "add", lambda i, k: at(x, i, k))
    golden("glsl/row_sum", source_of(y, [x], step))


def test_golden_bytes(golden: Golden) -> None:
    """uint8 arithmetic wraps after each operation; selects of integers go lane by lane."""
    x, y = Buffer("x", (16,), U8), Buffer("y", (16,), U8)

    def body(i):
        doubled = b.add(at(x, i), at(x, i))
        return b.select(Apply(ops.LT, (doubled, b.const(9, U8))), doubled, Const(1, U8))

    golden("glsl/bytes", source_of(y, [x], mapped(y, body)))


def test_the_remainder_of_a_vector_is_one_call() -> None:
    """Its loops are: Mesa does not come back from a shader that has them for each lane apart."""
    x, y = Buffer("x", (8,), F32), Buffer("y", (8,), F32)
    text = source_of(y, [x], mapped(y, lambda i: Apply(ops.FMOD, (at(x, i), at(x, i)))))
    assert text.count("exact_fmod(") == 2  # one is the definition
