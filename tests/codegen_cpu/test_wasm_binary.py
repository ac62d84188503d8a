"""LEB128, sections and the reader's checks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilewright.codegen_cpu import wasm_binary as binary
from tilewright.codegen_cpu.wasm_binary import Reader, Section, SectionId
from tilewright.ir.errors import IRError


@pytest.mark.parametrize(
    ("value", "encoded"), [(0, "00"), (127, "7f"), (128, "8001"), (624485, "e58e26")]
)
def test_unsigned_is_the_specifications_example(value: int, encoded: str) -> None:
    assert binary.unsigned(value).hex() == encoded


@pytest.mark.parametrize(
    ("value", "encoded"),
    [(0, "00"), (63, "3f"), (64, "c000"), (-64, "40"), (-65, "bf7f"), (-123456, "c0bb78")],
)
def test_signed_is_the_specifications_example(value: int, encoded: str) -> None:
    assert binary.signed(value).hex() == encoded


@given(st.integers(0, 2**64 - 1))
def test_unsigned_round_trip(value: int) -> None:
    assert Reader(binary.unsigned(value)).unsigned() == value


@given(st.integers(-(2**63), 2**63 - 1))
def test_signed_round_trip(value: int) -> None:
    assert Reader(binary.signed(value)).signed() == value


@given(st.integers(0, 2**32 - 1))
def test_signed32_keeps_the_bits_and_fits_five_bytes(value: int) -> None:
    encoded = binary.signed32(value)
    assert Reader(encoded).signed() % 2**32 == value
    assert len(encoded) <= 5


def test_reader_reads_padded_numbers() -> None:
    reader = Reader(bytes.fromhex("8380808000 ffffffff7f"))
    assert (reader.unsigned(), reader.signed()) == (3, -1)
    assert reader.at_end()


def test_truncated_input_is_an_error() -> None:
    with pytest.raises(IRError, match="wasm file ends at byte 1, 1 bytes are due at 1"):
        Reader(b"\x80").unsigned()


def test_sections_round_trip_and_empty_ones_are_left_out() -> None:
    kept = [Section(SectionId.TYPE, b"\x01\x60\0\0"), Section(SectionId.CODE, b"\x01abc")]
    empty = Section(SectionId.TABLE, binary.vector([]))
    assert list(binary.read_sections(binary.write_sections([*kept, empty]))) == kept


def test_other_files_are_refused() -> None:
    with pytest.raises(IRError, match="not a wasm file: it starts with 7f 45 4c 46"):
        list(binary.read_sections(b"\x7fELF"))
