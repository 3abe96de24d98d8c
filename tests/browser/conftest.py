"""One browser for a module's tests, and tabs in which nothing may go wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright, expect
from tests.browser.house import CHROMIUM_ARGUMENTS, chromium
from tests.browser.tabs import Tabs

expect.set_options(timeout=60_000)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    if chromium() is None:
        pytest.skip("needs a Chromium (Debian: apt-get install chromium)")
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=chromium(), args=list(CHROMIUM_ARGUMENTS))
        yield launched
        await launched.close()


@pytest_asyncio.fixture(loop_scope="module")
async def tabs(browser: Browser) -> Tabs:
    @asynccontextmanager
    async def opened(site: str, *, allowed: str = "") -> AsyncIterator[Page]:
        context = await browser.new_context(viewport={"width": 1280, "height": 900})
        tab = await context.new_page()
        wrong: list[str] = []

        def said(kind: str, text: str) -> None:
            if kind in {"error", "warning"} and not (allowed and allowed in text):
                wrong.append(text)

        tab.on("console", lambda message: said(message.type, message.text))
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        tab.on("dialog", lambda dialog: wrong.append(f"dialog: {dialog.message}"))
        tab.on("request", lambda r: None if r.url.startswith((site, "blob:")) else wrong.append(f"asked for {r.url}"))
        await tab.goto(site)
        yield tab
        hacked = await tab.evaluate("window.hacked")
        await context.close()
        assert hacked is None
        assert wrong == []

    return opened
