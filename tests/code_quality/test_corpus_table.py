"""What each function of the corpus becomes: launches, bytes, loops, operations, lines of code.

`tests/golden/code_quality/corpus-TARGET.txt` holds what was counted when the table was made. Any
other number is an error here: a change of the compiler has altered what these functions become, and
`pytest tests/code_quality --update-golden` makes the tables anew once somebody has looked whether
that is meant.
"""

from __future__ import annotations

from dataclasses import astuple, fields
from functools import cache

import pytest

from tests.code_quality.corpus_counts import TARGETS, Counts, count
from tests.code_quality.tables import read_table, table_text
from tests.conftest import Golden
from tests.corpus.all_cases import by_name

_COLUMNS = [f.name for f in fields(Counts)]
_CASES = by_name()

pytestmark = pytest.mark.filterwarnings("ignore::tilewright.NarrowingWarning")


@pytest.mark.parametrize("target", TARGETS)
def test_every_function_has_a_line(golden: Golden, target: str) -> None:
    if golden.update:
        rows = {name: _cells(name, target) for name in _CASES}
        golden(f"code_quality/corpus-{target}", table_text(_COLUMNS, rows, width=11))
    assert list(_known(target)) == list(_CASES), "the corpus has changed; make the table anew"


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", _CASES)
def test_a_function_becomes_what_it_was(golden: Golden, name: str, target: str) -> None:
    if golden.update:
        return  # the table is made as a whole
    changed = _changes(_known(target).get(name, []), _cells(name, target))
    assert not changed, f"{name} on {target}: {changed}"


def test_changes_are_named() -> None:
    before = list(map(str, range(len(_COLUMNS))))
    assert _changes(before, before) == ""
    after = ["1", *before[1:-1], "4"]
    assert _changes(before, after) == "launches: 0 → 1, code: 13 → 4"
    assert _changes(["LimitError"], before) == "LimitError → 0 1 2 3 4 5 6 7 8 9 10 11 12 13"
    assert _changes([], ["LimitError"]) == "no line → LimitError"


def _cells(name: str, target: str) -> list[str]:
    found = count(_CASES[name], target)
    return [found] if isinstance(found, str) else list(map(str, astuple(found)))


@cache
def _known(target: str) -> dict[str, list[str]]:
    return read_table(f"corpus-{target}")


def _changes(before: list[str], after: list[str]) -> str:
    """``column: was → is`` of the columns that differ, or both lines where one has no numbers."""
    if len(before) != len(after) or len(after) != len(_COLUMNS):
        return "" if before == after else f"{' '.join(before) or 'no line'} → {' '.join(after)}"
    rows = zip(_COLUMNS, before, after, strict=True)
    return ", ".join(f"{column}: {was} → {now}" for column, was, now in rows if was != now)
