"""Tables of integers under `tests/golden/code_quality/`: one line for each kernel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.conftest import GOLDEN

Cells = Sequence[object]


def read_table(name: str) -> dict[str, list[str]]:
    """The cells of each kernel's line, without the line of headings."""
    path = GOLDEN / "code_quality" / f"{name}.txt"
    lines = path.read_text(encoding="utf-8").splitlines()[1:] if path.exists() else []
    return {kernel: cells for kernel, *cells in map(str.split, lines)}


def table_text(columns: Cells, rows: Mapping[str, Cells], width: int = 12) -> str:
    """The lines of a table, columns aligned."""
    lines = {"kernel": columns, **rows}
    longest = max(28, *map(len, lines))
    return "\n".join(
        f"{kernel:{longest}}" + "".join(f"{cell!s:>{width}}" for cell in cells)
        for kernel, cells in lines.items()
    )
