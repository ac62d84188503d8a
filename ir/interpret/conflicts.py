"""What invocations of a workgroup do to each other's memory between two barriers.

In: every access to memory that invocations share, and every barrier. Out: an error where one of
them writes what another reads or writes before they meet: on a device, either may come first.
"""

from __future__ import annotations

from collections.abc import Sequence

from tilewright.ir.errors import IRError
from tilewright.ir.kernel import Buffer

_SEVERAL = -1
_Place = tuple[Buffer, int]


class Conflicts:
    """Who used which element since the last barrier; `invocation` is who runs now."""

    def __init__(self) -> None:
        self.invocation = 0
        self._writer: dict[_Place, int] = {}
        self._reader: dict[_Place, int] = {}

    def barrier(self) -> None:
        self._writer.clear()
        self._reader.clear()

    def read(self, buffer: Buffer, position: Sequence[int], shape: Sequence[int]) -> None:
        if buffer.root.space not in ("global", "workgroup"):
            return
        place = _place(buffer, position, shape)
        if self._writer.get(place, self.invocation) != self.invocation:
            self._fail(buffer, position, self._writer[place], "writes", "reads")
        if self._reader.setdefault(place, self.invocation) != self.invocation:
            self._reader[place] = _SEVERAL

    def write(self, buffer: Buffer, position: Sequence[int], shape: Sequence[int]) -> None:
        if buffer.root.space not in ("global", "workgroup"):
            return
        place = _place(buffer, position, shape)
        if self._writer.setdefault(place, self.invocation) != self.invocation:
            self._fail(buffer, position, self._writer[place], "writes", "writes")
        if self._reader.get(place, self.invocation) != self.invocation:
            self._fail(buffer, position, self._reader[place], "reads", "writes")

    def _fail(
        self, buffer: Buffer, position: Sequence[int], other: int, first: str, second: str
    ) -> None:
        who = "another invocation" if other == _SEVERAL else f"invocation {other}"
        raise IRError(
            f"{who} {first} {buffer.name}{list(position)}, which invocation {self.invocation} "
            f"{second}, and there is no barrier between them"
        )


def _place(buffer: Buffer, position: Sequence[int], shape: Sequence[int]) -> _Place:
    """The element, whatever the shape of the view that it is accessed through."""
    offset = 0
    for index, size in zip(position, shape, strict=True):
        offset = offset * size + index
    return buffer.root, offset
