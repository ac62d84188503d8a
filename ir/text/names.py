"""Unique names for the things that one printed text declares, in nested scopes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tilewright.ir.text.style import Style, legal_name


class Names:
    """What each declared object is called where the printer stands now.

    A name that is legal and free is kept as it is, so that printing what was parsed changes
    nothing. Objects are told apart by identity.
    """

    def __init__(self, style: Style) -> None:
        self._style = style
        self._text: dict[object, str] = {}
        self._taken: set[str] = set()
        self._declared: list[tuple[object, str | None, str]] = []

    def declare(self, item: object, wanted: str, prefix: str) -> str:
        """Name `item` in the current scope; `prefix` begins the name where names are not shown."""
        if self._style.names:
            base = name = legal_name(wanted)
            number = 1
        else:
            base, number = prefix, len(self._taken)
            name = f"{base}{number}"
        while name in self._taken:
            name = f"{base}_{number}"
            number += 1
        self._declared.append((item, self._text.get(item), name))
        self._taken.add(name)
        self._text[item] = name
        return name

    def number(self, item: object, number: int) -> None:
        """Call `item` by a number: a result of the graph. No declared name begins with a digit."""
        self._declared.append((item, self._text.get(item), str(number)))
        self._text[item] = str(number)

    def __contains__(self, item: object) -> bool:
        return item in self._text

    def of(self, item: object, wanted: str) -> str:
        """The name of `item`; of one that nobody declared, with a question mark in front."""
        found = self._text.get(item)
        return f"?{legal_name(wanted)}" if found is None else found

    @contextmanager
    def scope(self) -> Iterator[None]:
        """Names declared inside are forgotten at the end."""
        start = len(self._declared)
        yield
        while len(self._declared) > start:
            item, before, name = self._declared.pop()
            self._taken.discard(name)
            if before is None:
                del self._text[item]
            else:
                self._text[item] = before


class GivenNames(Names):
    """Everything is called by its own name, declared or not: for messages about parts."""

    def of(self, item: object, wanted: str) -> str:
        return legal_name(wanted)
