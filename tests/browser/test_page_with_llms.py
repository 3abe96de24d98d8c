"""The page over real LLMs: the starter pool answers in process, and every view shows how. Twice: dark and light."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.async_api import expect
from tests.browser.house import serving
from tests.browser.tabs import Tabs, picture

from smcs.system import load_pool

pytestmark = [pytest.mark.weights, pytest.mark.timeout(900), pytest.mark.asyncio(loop_scope="module")]
SHORT = (
    "k=2", "n_aggregations=2", "sampling.max_tokens=40", "aggregation_sampling.max_tokens=40"
)  # fmt: skip
LONGEST_MS = 600_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("page")


@pytest.fixture
def site(folder: Path, weights_of: Callable[[str], Path]) -> Iterator[str]:
    for name in [*dict.fromkeys(name.removesuffix("-brief") for name in load_pool().names), "minilm"]:
        weights_of(name)
    settings = [part for setting in SHORT for part in ("--set", setting)]
    with serving(folder, *settings, "--traces", "full", "--traces-file", "traces.db") as address:
        yield address


async def test_real_llms_answer_on_the_page(tabs: Tabs, site: str) -> None:
    async with tabs(site) as page:
        await page.fill("#question", "What is the capital of France? Finish with: The answer is X.")
        await page.keyboard.press("Control+Enter")
        await expect(page.locator(".calls").first.locator("tbody tr")).to_have_count(2, timeout=LONGEST_MS)
        await expect(page.locator(".view.ask .feedback")).to_be_visible(timeout=LONGEST_MS)
        await expect(page.locator(".result .answer")).to_contain_text("Paris")
        for scheme in ("light", "dark"):
            await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            await picture(page, f"llms-ask-{scheme}")
            await page.click("nav a[data-view=why]")
            await expect(page.locator(".matrix tbody tr")).to_have_count(2)
            await expect(page.locator(".gantt-row:not(.axis)")).to_have_count(4)
            await picture(page, f"llms-why-{scheme}")
            await page.click("nav a[data-view=bank]")
            await expect(page.locator(".heatmap tbody tr").first).to_be_visible()
            await picture(page, f"llms-bank-{scheme}")
            await page.click("nav a[data-view=runs]")
            await expect(page.locator(".view.runs")).to_contain_text("smcs eval --results FILE")
            await page.click("nav a[data-view=ask]")
