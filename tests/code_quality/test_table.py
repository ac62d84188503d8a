"""No kernel of the gallery gets worse: launches, bytes, code size, spills and library calls.

`tests/golden/code_quality/TARGET.txt` holds what was measured when the table was made. After a
change that is worth its cost, `pytest tests/code_quality --update-golden` makes it anew; read the
difference.
"""

from __future__ import annotations

from dataclasses import astuple, fields

import pytest

from benchmarks.gallery import entries
from tests.code_quality.measure import TARGETS, Row, _foreign_calls, _reloads, measure
from tests.code_quality.tables import read_table, table_text
from tests.conftest import Golden

_COLUMNS = [f.name for f in fields(Row)]


@pytest.mark.parametrize("target", TARGETS)
def test_no_kernel_gets_worse(golden: Golden, target: str) -> None:
    measured = {entry.name: measure(entry, target) for entry in entries()}
    if golden.update:
        rows = {name: astuple(row) for name, row in measured.items()}
        golden(f"code_quality/{target}", table_text(_COLUMNS, rows))
    known = {name: Row(*map(int, cells)) for name, cells in read_table(target).items()}
    assert list(known) == list(measured), "the gallery has changed; make the table anew"
    worse = [
        f"{name}: {', '.join(found)}"
        for name, row in measured.items()
        if (found := row.worse_than(known[name]))
    ]
    assert not worse, f"worse on {target}:\n" + "\n".join(worse)


def test_what_is_worse_is_named() -> None:
    before = Row(launches=1, moved=4096, scratch=0, code=8000)
    assert Row(1, 4096, 0, 9000).worse_than(before) == []
    assert Row(2, 4096, 64, 9001, 1).worse_than(before) == [
        "launches 1 -> 2",
        "scratch 0 -> 64",
        "code 8000 -> 9001",
        "reloads 0 -> 1",
    ]


_ASSEMBLY = """\
k0:
	vmovups	32(%rsp), %ymm0                 # 32-byte Reload
.LBB0_1:                                # %loop
                                        # =>This Inner Loop Header: Depth=1
	vaddps	64(%rsp), %ymm1, %ymm2          # 32-byte Folded Reload
	movq	8(%rsp), %rax                   # 8-byte Reload
	callq	expf
	jne	.LBB0_1
# %bb.2:                                # %end
	vmovups	32(%rsp), %ymm0                 # 32-byte Reload
	callq	k0
	retq
"""


def test_reloads_count_in_loops_only_and_calls_of_others_only() -> None:
    assert _reloads(_ASSEMBLY) == 1
    assert _foreign_calls(_ASSEMBLY) == 1
