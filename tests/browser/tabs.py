"""Tabs of a browser, and pictures of them."""

from __future__ import annotations

import os
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

from playwright.async_api import Page


class Tabs(Protocol):
    """Opens a tab at an address; in the end, nothing may have gone wrong in it, or gone anywhere else."""

    def __call__(self, site: str, *, allowed: str = "") -> AbstractAsyncContextManager[Page]:
        """Open it; console messages with the `allowed` text are not wrong."""
        ...


async def picture(page: Page, name: str) -> None:
    """Keep a picture of the page, where ``SMCS_SCREENSHOTS`` names a folder for them."""
    if folder := os.environ.get("SMCS_SCREENSHOTS"):
        await page.evaluate("scrollTo(0, 0)")
        await page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)
