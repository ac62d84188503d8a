"""Text into tokens, and a cursor over them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import NoReturn, TypeVar

from tilewright.ir.dtypes import DType, from_short
from tilewright.ir.errors import IRError

T = TypeVar("T")

_TOKEN = re.compile(
    r"""
      (?P<space>(?:[ \t\r\n]+|\#[^\n]*)+)
    | (?P<string>"(?:[^"\\\n]|\\.)*")
    | (?P<number>0x[0-9a-fA-F]+|[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)
    | (?P<tensor>%[A-Za-z0-9_]+)
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<symbol>->|//|<=|>=|==|!=|[-+*/%&|^<>=(){}\[\],;:.])
    """,
    re.VERBOSE,
)


class Cursor:
    """Where a parser stands in a text. Tokens are plain strings: their first character tells
    what they are (``%`` a tensor, ``"`` a string, a digit, a letter, or a symbol)."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[str] = []
        self.offsets: list[int] = []
        self.position = 0
        self._split()

    def _split(self) -> None:
        place = 0
        while place < len(self.text):
            match = _TOKEN.match(self.text, place)
            if match is None:
                self._fail_at(place, f"{self.text[place]!r} begins no token")
            if match.lastgroup != "space":
                self.tokens.append(match.group())
                self.offsets.append(place)
            place = match.end()
        self.tokens.append("")
        self.offsets.append(len(self.text))

    # Looking.

    @property
    def token(self) -> str:
        """The token here; empty at the end."""
        return self.tokens[self.position]

    @property
    def found(self) -> str:
        """The token here, for messages."""
        return repr(self.token) if self.token else "the end"

    @property
    def following(self) -> str:
        """The token after this one; empty at the end."""
        return self.tokens[min(self.position + 1, len(self.tokens) - 1)]

    @property
    def is_name(self) -> bool:
        return self.token[:1].isalpha() or self.token[:1] == "_"

    # Taking.

    def take(self) -> str:
        found = self.token
        if not found:
            self.fail("expected more, found the end")
        self.position += 1
        return found

    def accept(self, token: str) -> bool:
        """Take `token` if it stands here."""
        if self.token != token:
            return False
        self.position += 1
        return True

    def expect(self, token: str) -> None:
        if not self.accept(token):
            self.fail(f"expected {token!r}, found {self.found}")

    def name(self) -> str:
        if not self.is_name:
            self.fail(f"expected a name, found {self.found}")
        return self.take()

    def one_of(self, words: tuple[str, ...]) -> str:
        if self.token not in words:
            self.fail(f"expected one of {', '.join(words)}, found {self.found}")
        return self.take()

    def tensor(self) -> str:
        """The name after a ``%``."""
        if self.token[:1] != "%" or len(self.token) == 1:
            self.fail(f"expected a tensor, found {self.found}")
        return self.take()[1:]

    def integer(self) -> int:
        sign = -1 if self.accept("-") else 1
        if not self.token.isdecimal():
            self.fail(f"expected a whole number, found {self.found}")
        return sign * int(self.take())

    def string(self) -> str:
        if self.token[:1] != '"':
            self.fail(f"expected a string, found {self.found}")
        return str(json.loads(self.take()))

    def dtype(self) -> DType:
        found = from_short(self.token)
        if found is None:
            self.fail(f"expected a dtype, found {self.found}")
        self.position += 1
        return found

    def listed(self, item: Callable[[], T], end: str) -> list[T]:
        """Items with commas between them, up to and including the token `end`."""
        items: list[T] = []
        while not self.accept(end):
            if items:
                self.expect(",")
            items.append(item())
        return items

    def finish(self) -> None:
        if self.token:
            self.fail(f"expected the end, found {self.found}")

    # Failing.

    def fail(self, message: str) -> NoReturn:
        self._fail_at(self.offsets[self.position], message)

    def _fail_at(self, offset: int, message: str) -> NoReturn:
        line = self.text.count("\n", 0, offset) + 1
        column = offset - self.text.rfind("\n", 0, offset)
        raise IRError(f"line {line}, column {column} of the IR text: {message}")
