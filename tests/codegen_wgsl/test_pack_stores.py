"""Stores of narrow elements that become stores of words, and those that must not."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest

from tilewright.codegen_wgsl.choose_packing import choose_packing
from tilewright.codegen_wgsl.pack_stores import elements_per_word, pack_stores
from tilewright.ir.dtypes import BOOL, F16, F32, I8, I16, I64, INDEX, U8, U16, U32, DType
from tilewright.ir.expr import Var
from tilewright.ir.interpret.kernel import interpret_kernel
from tilewright.ir.kernel import Buffer, Kernel, Store, statements
from tilewright.ir.parser import parse_kernel
from tilewright.ir.program import Copy, Launch, Repeat, Step

NARROW = (BOOL, I8, U8, I16, U16, F16)


def shape_of(buffer: Buffer) -> tuple[int, ...]:
    return tuple(n for n in buffer.shape if isinstance(n, int))


def packed(kernel: Kernel) -> Kernel:
    """`kernel` with all its narrow arrays packed, as far as that goes."""
    words = {}
    for root in kernel.written:
        each, size = elements_per_word(root.dtype), prod(shape_of(root))
        if each > 1:
            words[root] = Buffer(root.name, (-(-size // each),), U32)
    return pack_stores(kernel, words)


def is_packed(kernel: Kernel) -> bool:
    """Whether nothing but words and registers is left of the stores."""
    stores = [s.buffer for s in statements(packed(kernel).body) if isinstance(s, Store)]
    return all(b.space == "register" or b.dtype.bits == 32 for b in stores)


def same(kernel: Kernel, seed: int = 0) -> None:
    """Both forms leave the same elements, and zeros where a word has more than the array."""
    made = packed(kernel)
    rng = np.random.default_rng(seed)
    arrays = {
        p: rng.integers(0, 2 if p.dtype is BOOL else 120, shape_of(p)).astype(p.dtype.numpy)
        for p in kernel.parameters
    }
    words = {}
    for p in made.parameters:
        root = next((k for k in kernel.parameters if k is p), None)
        words[p] = arrays[p].copy() if root else np.zeros(shape_of(p), np.uint32)
    interpret_kernel(made, words)
    interpret_kernel(kernel, arrays)
    by_name = {p.name: p for p in made.parameters}
    for root in kernel.parameters:
        found = by_name[root.name]
        bits = words[found].reshape(-1).view(np.uint8)
        wanted = arrays[root].reshape(-1).view(np.uint8)
        np.testing.assert_array_equal(bits[: wanted.size], wanted)
        assert not bits[wanted.size :].any()


@pytest.mark.parametrize("dtype", NARROW, ids=str)
@pytest.mark.parametrize("kind", ["unroll", "vector(4)", "serial"])
def test_every_dtype_in_every_loop(dtype: DType, kind: str) -> None:
    kernel = parse_kernel(f"""kernel k(x: {dtype.short}[12], o: {dtype.short}[12]) {{
      for group g < 3 {{ for {kind} i < 4 {{ o[g * 4 + i] = x[g * 4 + i] }} }} }}""")
    assert is_packed(kernel)
    same(kernel)


def test_the_text() -> None:
    kernel = parse_kernel("""kernel k(x: i8[8], o: i8[2, 4]) {
      for group g < 2 { for vector(4) i < 4 { o[g, i] = x[g * 4 + i] + 1:i8 } } }""")
    made = str(packed(kernel))
    assert made.startswith(
        """kernel k(x: i8[8], o: u32[2]) {
  narrow: register u8[4]
  for group g < 2 {
    for vector(4) i < 4 {
      narrow[i] = bits.u8(x[g * 4 + i] + 1:i8)
    }
    let e0 = u32(narrow[0]) | shl_raw(u32(narrow[1]), 8:u32)"""
    )
    assert "o[g] = e0 | shl_raw(u32(narrow[3]), 24:u32)" in made


@pytest.mark.parametrize("count", range(1, 10))
@pytest.mark.parametrize("dtype", [U8, F16], ids=str)
def test_the_end_of_an_array(dtype: DType, count: int) -> None:
    """The last word has elements that nobody reads."""
    kind, each = dtype.short, elements_per_word(dtype)
    whole, rest = count - count % each, count % each
    text = f"for serial i < {whole} {{ o[i] = x[i] }}" if whole else ""
    if rest:
        text += f" for unroll i < {rest} {{ o[i + {whole}] = x[i + {whole}] }}"
    kernel = parse_kernel(f"kernel k(x: {kind}[{count}], o: {kind}[{count}]) {{ {text} }}")
    assert is_packed(kernel)
    same(kernel)


def test_statements_next_to_each_other() -> None:
    kernel = parse_kernel("""kernel k(x: u8[24], o: u8[6, 4]) {
      for group g < 3 { for vector(2) i < 2 {
        o[g * 2 + i, 1] = x[g]  o[g * 2 + i, 0] = x[g + 1]
        o[g * 2 + i, 2] = x[g + 2]  o[g * 2 + i, 3] = x[g * 2 + i] } } }""")
    assert is_packed(kernel)
    same(kernel)


@pytest.mark.parametrize("place", ["p, c", "c, p"])
def test_loops_in_loops(place: str) -> None:
    """Four pixels of three channels are three words."""
    kernel = parse_kernel(f"""kernel k(x: u8[12, 12], o: u8[8, 3], t: u8[12]) {{
      for group g < 2 {{ for unroll p < 4 {{ for unroll c < 3 {{
        o[g * 4 + p, c] = x[{place}]
        if g < 1 {{ t[p * 3 + c] = x[{place}] }} }} }} }} }}""")
    assert is_packed(kernel)
    same(kernel)


def test_a_single_element() -> None:
    kernel = parse_kernel("kernel k(x: f16[1], o: f16[]) { o[] = x[0] }")
    assert is_packed(kernel)
    same(kernel)


def test_conditions_between_the_loop_and_the_store() -> None:
    kernel = parse_kernel("""kernel k(x: u8[3, 4], o: u8[3, 4]) {
      for unroll r < 4 { for vector(4) i < 4 {
        if r < 3 { if r > 1 { o[r, i] = x[r, i] } else { o[r, i] = x[r, i] + 9:u8 } } } } }""")
    assert is_packed(kernel)
    same(kernel)


def test_several_words_of_several_arrays() -> None:
    kernel = parse_kernel("""kernel k(x: u16[32], a: u16[32], b: u8[32], c: f32[32]) {
      for group g < 4 { for unroll i < 8 {
        a[g * 8 + i] = x[g * 8 + i]
        b[g * 8 + i] = u8(x[g * 8 + i])
        c[g * 8 + i] = f32(x[g * 8 + i]) } } }""")
    made = packed(kernel)
    kinds = {p.name: p.dtype for p in made.parameters}
    assert kinds == {"x": U16, "a": U32, "b": U32, "c": F32}
    same(kernel)


@pytest.mark.parametrize(
    "body",
    [
        "for group g < 12 { o[g] = x[g] }",  # an element each
        "for unroll i < 4 { for unroll j < 2 { o[i * 3 + j] = x[i] } }",  # with gaps
        "for unroll i < 4 { for unroll j < 3 { o[j] = x[i] } }",  # again and again
        "for group g < 3 { for vector(4) i < 4 { o[i * 3 + g] = x[i] } }",  # apart
        "for group g < 2 { for vector(4) i < 4 { o[g * 6 + i] = x[i] } }",  # odd rows
        "for group g < 2 { for vector(4) i < 4 { o[g * 4 + i + 1] = x[i] } }",  # beside words
        "for group g < 2 { for vector(2) i < 2 { o[g * 4 + i] = x[i] } }",  # half words
        "for group g < 3 { for unroll i < 4 { if i < 3 { o[g * 4 + i] = x[i] } } }",
        "for group g < 3 { for unroll i < 4 { if x[g] < 9:u8 { o[g * 4 + i] = x[i] } } }",
        "for group g < 3 { for unroll i < 4 { o[index(x[g])] = x[i] } }",  # scattered
        "for unroll i < 3 { o[i] = x[i] } for unroll i < 3 { o[i + 4] = x[i] }",  # not the end
        "o[0] = x[0] o[1] = x[1] o[2] = x[2]",
        "for group g < 3 { for serial i < index(x[g]) { o[g * 4 + i] = x[i] } }",
    ],
)
def test_what_is_stored_in_elements(body: str) -> None:
    kernel = parse_kernel(f"kernel k(x: u8[12], o: u8[12]) {{ {body} }}")
    assert not is_packed(kernel)
    assert choose_packing([Launch(kernel)], kernel.written) == frozenset()


def test_what_a_launch_reads_and_writes_stays_in_elements() -> None:
    kernel = parse_kernel("""kernel k(o: u8[12]) {
      for group g < 3 { for vector(4) i < 4 { o[g * 4 + i] = o[g * 4 + i] + 1:u8 } } }""")
    assert choose_packing([Launch(kernel)], kernel.parameters) == frozenset()


def _filling(name: str, dtype: DType = U8) -> Kernel:
    return parse_kernel(f"""kernel {name}(o: {dtype.short}[12]) {{
      for group g < 3 {{ for vector(4) i < 4 {{ o[g * 4 + i] = {dtype.short}(i) }} }} }}""")


@pytest.mark.parametrize(
    ("dtype", "chosen"), [(U8, True), (F16, True), (BOOL, True), (F32, False), (I64, False)]
)
def test_narrow_arrays_are_chosen(dtype: DType, chosen: bool) -> None:
    kernel = _filling("k", dtype)
    assert choose_packing([Launch(kernel)], kernel.written) == (
        frozenset(kernel.written) if chosen else frozenset()
    )


def test_one_launch_that_writes_elements_decides_for_all() -> None:
    whole, single = _filling("a"), parse_kernel("kernel b(o: u8[12]) { o[5] = 1:u8 }")
    (root,) = whole.written
    (other,) = single.written
    body = tuple(Store(root, s.indices, s.value) for s in single.body if isinstance(s, Store))
    again = Kernel("b", (root,), (), (), body)
    assert other is not root
    assert choose_packing([Launch(whole)], [root]) == {root}
    assert choose_packing([Launch(whole), Launch(again)], [root]) == frozenset()


def chain(*names: str) -> list[Buffer]:
    return [Buffer(name, (12,), U8) for name in names]


def test_copies_join_what_lies_alike() -> None:
    x, a, c = chain("x", "a", "c")
    whole, single = _filling("whole"), parse_kernel("kernel s(o: u8[12]) { o[5] = 1:u8 }")
    (b,), (e,) = whole.written, single.written
    steps: list[Step] = [Launch(whole), Copy(b, a), Copy(x, c)]
    assert choose_packing(steps, [a, b, c]) == {a, b, c}
    loop = Repeat(Var("t", 3, dtype=INDEX), (Launch(single), Copy(e, a)))
    # What is copied from an input is not bound by how that lies.
    assert choose_packing([*steps, loop], [a, b, c, e]) == {c}
