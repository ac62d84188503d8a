"""A headless Chromium for pages that people look at, driven by Playwright.

Programs and shaders run through `tilewright.runtime_web.runner`, in browsers of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

from tilewright.runtime_web.runner.launch import choices

if TYPE_CHECKING:
    from types import TracebackType

    from playwright.sync_api import Page


class Browser:
    """A browser; a context manager."""

    def __enter__(self) -> Browser:
        self._playwright = sync_playwright().start()
        # Root in a container has no sandbox, which Playwright does without by itself.
        self._browser = self._playwright.chromium.launch(**next(choices("")))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._browser.close()
        self._playwright.stop()

    def open_page(self, width: int, height: int) -> Page:
        """An empty page of this size, to be closed by the caller."""
        return self._browser.new_page(viewport={"width": width, "height": height})
