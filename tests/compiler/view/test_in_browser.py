"""The page in Chromium: clicks and keys select across panes, and nothing is reported."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import tilewright as tw
from tests.compiler.view.pages import softmax, view_of
from tilewright.compiler.view.page import page

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.browser import Browser

pytestmark = pytest.mark.chromium


@pytest.fixture(params=[1280, 420])
def opened(
    browser: Browser, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[tuple[Page, list[str]]]:
    """The page of a kernel of several launches, and what the browser has complained of."""
    file = tmp_path / "page.html"
    file.write_bytes(page(view_of(softmax, tw.f32[64, 1000], target="glsl")))
    shown = browser.open_page(request.param, 800)
    said: list[str] = []
    shown.on("console", lambda message: said.append(message.text))
    shown.on("pageerror", lambda error: said.append(str(error)))
    shown.on("request", lambda request: said.append(request.url))
    shown.goto(file.as_uri())
    yield shown, said
    shown.close()
    assert said == [file.as_uri()]


def selected(shown: Page) -> set[str]:
    found: list[str] = shown.eval_on_selector_all(".sel", "all => all.map(e => e.dataset.key)")
    return set(found)


def launch_shown(shown: Page) -> list[str]:
    found: list[str] = shown.eval_on_selector_all(
        ".detail:not([hidden])", "all => all.map(e => e.dataset.launch)"
    )
    return found


def test_a_launch_shows_where_it_comes_from(opened: tuple[Page, list[str]]) -> None:
    shown, _ = opened
    assert selected(shown) == set()
    shown.click("tr[data-key=l2]")
    keys = selected(shown)
    assert "l2" in keys
    assert {k[0] for k in keys} == {"l", "n", "s"}
    assert launch_shown(shown) == ["l2"]
    assert "np.exp" in shown.inner_text("#about")
    shown.keyboard.press("Escape")
    assert selected(shown) == set()


def test_a_tensor_shows_its_expression_and_its_launch(opened: tuple[Page, list[str]]) -> None:
    shown, _ = opened
    shown.locator(".node", has_text="np.divide").click()
    assert "computed in" in shown.inner_text("#about")
    assert launch_shown(shown) == ["l5"]
    assert shown.locator(".edge.near").count() == 2


def test_keys_move_through_a_pane(opened: tuple[Page, list[str]]) -> None:
    shown, _ = opened
    shown.focus("#program .part[tabindex='0']")
    shown.keyboard.press("Enter")
    shown.keyboard.press("ArrowDown")
    assert launch_shown(shown) == ["l1"]
    assert shown.evaluate("document.activeElement.dataset.key") == "l1"
    for pane in ("source", "graph-pane", "program"):
        assert shown.locator(f"#{pane} .part[tabindex='0']").count() == 1


def test_tabs(opened: tuple[Page, list[str]]) -> None:
    shown, _ = opened
    shown.click(".detail:not([hidden]) >> text=GLSL")
    assert "#version 300 es" in shown.inner_text(".detail:not([hidden]) .panel:not([hidden])")
    shown.keyboard.press("ArrowLeft")
    assert shown.inner_text(".detail:not([hidden]) .panel:not([hidden])").startswith("kernel ")
    shown.click("tr[data-key=l3]")  # the same tab, of another launch
    assert shown.inner_text(".detail:not([hidden]) .panel:not([hidden])").startswith("kernel ")


def test_a_box_and_its_lines(opened: tuple[Page, list[str]]) -> None:
    shown, _ = opened
    box = shown.locator(".detail:not([hidden]) .box.serial").first
    box.locator(".head").first.click()
    picked = shown.locator(".detail:not([hidden]) .block.picked")
    assert picked.inner_text().lstrip().startswith("for serial ")
    assert picked.count() == 1
    shown.focus(".detail:not([hidden]) .loops")
    shown.keyboard.press("ArrowUp")
    assert not picked.inner_text().lstrip().startswith("for serial ")


def test_nothing_is_wider_than_the_window(opened: tuple[Page, list[str]]) -> None:
    shown, _ = opened
    assert shown.evaluate("document.documentElement.scrollWidth <= innerWidth")
