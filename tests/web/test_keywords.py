"""The tables of reserved names against the compilers of a browser."""

import pytest

from tests.browser import Browser
from tilewright.codegen_wgsl.keywords import KEYWORDS, PREDECLARED, RESERVED_WORDS, is_reserved

pytestmark = pytest.mark.chromium


def declaring(name: str) -> str:
    return f"@compute @workgroup_size(1) fn main() {{ let {name} = 1; }}"


def accepted(browser: Browser, names: list[str]) -> list[str]:
    said = browser.compile_wgsl([declaring(name) for name in names])
    return [name for name, messages in zip(names, said, strict=True) if not messages]


def test_tint_refuses_every_reserved_name(browser: Browser) -> None:
    names = sorted(KEYWORDS | RESERVED_WORDS | {"__", "__x"})
    assert accepted(browser, names) == []
    assert all(is_reserved(name) for name in names)


def test_predeclared_names_may_be_hidden(browser: Browser) -> None:
    names = sorted(PREDECLARED)
    assert accepted(browser, names) == names


def test_ordinary_names_are_free(browser: Browser) -> None:
    names = ["x", "acc0", "main_", "_x", "v12"]
    assert accepted(browser, names) == names
    assert not any(is_reserved(name) for name in names)
