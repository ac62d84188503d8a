"""The line of the user's that an error shows."""

from __future__ import annotations

import linecache
from collections.abc import Iterator

import pytest

from tilewright.ir.location import Location

FILE = "<a file of test_location>"


@pytest.fixture(autouse=True)
def source() -> Iterator[None]:
    lines = [
        "\treturn a + b\n",
        "    y = [" + "x, " * 200 + "bad + x" + ", x" * 300 + "]\n",
        "ä = ключ\n",
    ]
    linecache.cache[FILE] = (sum(map(len, lines)), None, lines, FILE)
    yield
    del linecache.cache[FILE]


def test_the_span_is_marked() -> None:
    assert Location(FILE, 1, 8, 1, 13).excerpt() == ["    return a + b", "           ^^^^^"]
    assert Location(FILE, 3, 5, 3, 13).excerpt() == ["    ä = ключ", "        ^^^^"]
    assert Location(FILE, 1).excerpt() == ["    return a + b"]
    assert Location(FILE, 4, 0).excerpt() == []


def test_of_a_long_line_the_part_around_the_span_is_shown() -> None:
    column = linecache.getline(FILE, 2).index("bad")
    line, marks = Location(FILE, 2, column, 2, column + 7).excerpt()
    assert len(line) < 170
    assert line.startswith("    …")
    assert line.endswith("…")
    assert line[marks.index("^") :].startswith("bad + x, x")
    assert marks.strip() == "^^^^^^^"
    whole_line, marks = Location(FILE, 2, 4, 2, column + 7).excerpt()
    assert whole_line.startswith("    y = [x, x")
    assert len(marks) <= len(whole_line)
    line, marks = Location(FILE, 2, column + 900, 2, column + 901).excerpt()
    assert line.endswith("x]")
    assert line[marks.index("^")] == linecache.getline(FILE, 2)[column + 900]
