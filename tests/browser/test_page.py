"""The page in a real browser, against a real server process with simulated LLMs."""

from __future__ import annotations

import asyncio
import json
import re
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect
from tests.browser import payloads
from tests.browser.house import NAMES, Endpoint, furnish, serving
from tests.browser.tabs import Tabs, picture

from smcs.testing.faults import Fault

pytestmark = pytest.mark.asyncio(loop_scope="module")
QUESTION = "What is 3 plus 4?"
SEEN = "[].slice.call(document.querySelectorAll('.answer *'))"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    with Endpoint() as started:
        yield started


@pytest.fixture(scope="module")
def folder(endpoint: Endpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("page")
    furnish(made, endpoint.simulated.base_url)
    return made


@pytest.fixture(scope="module")
def site(folder: Path) -> Iterator[str]:
    stored = ["--traces", "full", "--traces-file", "traces.db", "--results", "results.db"]
    with serving(folder, "--pool", "pool.toml", "--bank", "my.bank", *stored) as address:
        yield address


@pytest_asyncio.fixture(loop_scope="module")
async def page(tabs: Tabs, site: str, endpoint: Endpoint) -> AsyncIterator[Page]:
    endpoint.text = None
    async with tabs(site) as tab:
        yield tab
    endpoint.gate.set()


async def ask(page: Page, question: str = QUESTION) -> None:
    await page.fill("#question", question)
    await page.keyboard.press("Control+Enter")
    await expect(page.locator(".view.ask .feedback").last).to_be_visible()


def fetched(address: str) -> Any:
    with urllib.request.urlopen(address, timeout=60) as response:
        return json.load(response)


class TestAsking:
    async def test_each_call_is_seen_while_it_runs(self, page: Page, endpoint: Endpoint) -> None:
        endpoint.gate.clear()
        await page.fill("#question", QUESTION)
        await page.keyboard.press("Control+Enter")
        references, aggregations = page.locator(".calls").first, page.locator(".calls").nth(1)
        await expect(references.locator(".pill.running")).to_have_count(3)
        await expect(aggregations.locator(".pill.waiting")).to_have_count(3)
        await expect(page.locator(".spoken")).to_have_text("0 of 3 references, 0 of 3 aggregations.")
        await expect(page.locator(".retrieval")).to_contain_text("similar questions of the bank (sums")
        endpoint.gate.set()
        await expect(page.locator(".result .answer")).to_contain_text("The answer is 7")
        await page.get_by_text("How the pool worked").click()
        await expect(page.locator(".calls .pill.done")).to_have_count(6)
        await expect(page.locator(".calls .pill.winner")).to_have_count(1)

    async def test_cancelling_stops_the_calls_and_keeps_the_question(self, page: Page, endpoint: Endpoint) -> None:
        before = endpoint.simulated.abandoned
        endpoint.simulated.fail(*[Fault("hang")] * 3)
        await page.fill("#question", QUESTION)
        await page.keyboard.press("Control+Enter")
        await expect(page.locator(".calls").first.locator(".pill.running")).to_have_count(3)
        await page.get_by_role("button", name="Cancel").click()
        await expect(page.get_by_text("The calls that were under way have been stopped")).to_be_visible()
        await expect(page.locator("#question")).to_have_value(QUESTION)
        async with asyncio.timeout(60):
            while endpoint.simulated.abandoned < before + 3:
                await asyncio.sleep(0.02)

    async def test_settings_hold_for_the_question(self, page: Page) -> None:
        await page.get_by_text("Strategy, settings and limits").click()
        await page.get_by_label("Referencers, K").fill("4")
        await page.get_by_label("Aggregations, n").fill("2")
        await page.get_by_label("Other settings").fill("drop=none")
        await ask(page)
        await page.get_by_role("link", name="Why this answer?").click()
        await expect(page.locator(".matrix thead .up")).to_have_count(4)
        await expect(page.locator(".matrix tbody tr")).to_have_count(2)
        await expect(page.locator(".matrix .cell.saw")).to_have_count(8)

    async def test_what_cannot_be_asked_is_told(self, page: Page) -> None:
        await page.get_by_text("Strategy, settings and limits").click()
        await page.get_by_label("Other settings").fill("kk=3")
        await page.fill("#question", QUESTION)
        await page.keyboard.press("Control+Enter")
        await expect(page.get_by_role("alert")).to_contain_text("unknown key 'kk'")
        await expect(page.locator("#question")).to_have_value(QUESTION)

    async def test_a_pool_that_fails_is_told_with_its_trace(self, page: Page, endpoint: Endpoint) -> None:
        endpoint.simulated.fail(*[Fault("status", status=500, message="out of order")] * 4)
        await page.fill("#question", "Who is there?")
        await page.keyboard.press("Control+Enter")
        await expect(page.get_by_role("alert")).to_be_visible()
        endpoint.simulated._faults.clear()
        await page.get_by_role("link", name="Why this answer?").click()
        await expect(page.locator(".chosen")).to_have_count(0)
        await expect(page.get_by_role("heading", name="References")).to_be_visible()

    async def test_a_follow_up_carries_the_conversation(self, page: Page, endpoint: Endpoint) -> None:
        await ask(page)
        await ask(page, "And twice that?")
        sent = [turn["content"] for turn in endpoint.simulated.requests[-1]["messages"]]
        assert QUESTION in sent
        await page.get_by_role("button", name="New conversation").click()
        await expect(page.locator(".turn")).to_have_count(0)


class TestSeeing:
    async def test_why_shows_every_step(self, page: Page) -> None:
        await ask(page)
        await page.get_by_role("link", name="Why this answer?").click()
        for title in ("Support set", "Prior", "Subsets", "Aggregations side by side", "References", "Time line"):
            await expect(page.get_by_role("heading", name=title, exact=True)).to_be_visible()
        await expect(page.locator(".priors tbody tr")).to_have_count(len(NAMES))
        await expect(page.locator(".priors .pill")).to_have_count(3)
        await expect(page.locator(".winner-row")).to_have_count(1)
        await expect(page.locator(".gantt-row:not(.axis)")).to_have_count(6)
        await page.locator(".support summary").first.click()
        await expect(page.locator(".support .label").first).to_have_text(re.compile(r"^\d+$"))
        await page.get_by_label("Show the words in which they differ").check()
        await expect(page.locator(".panes .diff")).to_have_count(2)
        await page.get_by_label("Right aggregation").select_option("0")
        await expect(page.locator(".pane")).to_have_count(2)
        references = page.locator("section[aria-labelledby=s-references]")
        await references.locator("summary").first.click()
        await expect(references.locator(".answer")).to_contain_text("The answer is")

    async def test_bank_is_a_heat_map_that_keys_move_in(self, page: Page) -> None:
        await page.click("nav a[data-view=bank]")
        await expect(page.locator(".heatmap tbody tr")).to_have_count(len(NAMES))
        await expect(page.locator("td.heat")).to_have_count(3 * len(NAMES))
        await page.locator("td.heat").first.focus()
        await page.keyboard.press("End")
        await expect(page.locator(".told")).to_contain_text("on the whole bank")
        await page.keyboard.press("ArrowDown")
        await expect(page.locator(".told")).to_contain_text(re.compile(r"\d+\.\d % right, standard error .*16 of 16"))
        await expect(page.locator(".sources tbody tr")).to_have_count(2)
        await expect(page.get_by_role("columnheader", name="Not gradable")).to_be_visible()

    async def test_runs_show_tables_and_plots(self, page: Page) -> None:
        await page.click("nav a[data-view=runs]")
        await expect(page.locator(".figures tbody tr")).to_have_count(3)
        await expect(page.locator(".figures")).to_contain_text("majority")
        await expect(page.locator("svg .dot")).to_have_count(3 + 2)
        await expect(page.locator("svg .badge")).to_have_count(3)
        await page.get_by_label("Of", exact=True).select_option("majority")
        await expect(page.locator(".interval-label", has_text="less single:llm=ada")).to_be_visible()

    async def test_traces_are_found_opened_and_asked_again(self, page: Page, site: str, endpoint: Endpoint) -> None:
        await ask(page, "What is 5 plus 6, quetzal?")
        before = endpoint.simulated.calls
        await page.click("nav a[data-view=traces]")
        await page.get_by_label("Search").fill("QUETZAL")
        await expect(page.locator(".trace")).to_have_count(1)
        await page.get_by_label("Status").select_option("failed")
        await expect(page.locator(".trace")).to_have_count(0)
        await page.get_by_label("Status").select_option("ok")
        await page.locator(".trace a").click()
        await page.reload()  # from the store, and not from what the page remembers
        await expect(page.locator(".gantt-row:not(.axis)")).to_have_count(6)
        await page.get_by_role("button", name="Ask again with other settings").click()
        await expect(page.locator("#question")).to_have_value("What is 5 plus 6, quetzal?")
        await page.get_by_label("Aggregations, n").fill("1")
        await page.get_by_role("button", name="Ask", exact=True).click()
        await expect(page.locator(".view.ask .feedback")).to_be_visible()
        await expect(page.get_by_text("4 of 4 samples came from the cache")).to_be_visible()
        assert endpoint.simulated.calls == before
        found = fetched(f"{site}page/api/traces?text=quetzal")["traces"]
        assert [trace["source"] for trace in found] == ["replay", "page"]

    async def test_feedback_is_stored_with_the_trace(self, page: Page, site: str) -> None:
        await ask(page)
        await page.get_by_role("button", name="Correct it").click()
        await page.get_by_label("What is the right answer?").fill("VII")
        await page.get_by_role("button", name="Send").click()
        await expect(page.get_by_text("the correction is stored")).to_be_visible()
        href = await page.get_by_role("link", name="Why this answer?").get_attribute("href")
        assert href is not None
        stored = fetched(f"{site}page/api/traces/{href.rpartition('/')[2]}")
        assert [(given["verdict"], given["answer"]) for given in stored["feedback"]] == [("wrong", "VII")]

    async def test_everything_can_be_reached_by_keyboard(self, page: Page) -> None:
        await expect(page.locator("#question")).to_be_focused()
        await page.keyboard.type(QUESTION)
        await page.keyboard.press("Control+Enter")
        await expect(page.locator(".feedback")).to_be_visible()
        await expect(page.locator("#question")).to_be_focused()
        for _ in range(12):
            await page.keyboard.press("Shift+Tab")
            if await page.evaluate("document.activeElement.textContent") == "Why this answer?":
                break
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="Why this answer")).to_be_visible()
        await page.keyboard.press("Tab")
        await expect(page.locator("main :focus")).to_have_count(1)
        await page.locator(".skip").focus()
        await page.keyboard.press("Enter")
        await expect(page.locator("#main")).to_be_focused()

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    async def test_a_phone_shows_all_of_it(self, page: Page, scheme: Any) -> None:
        await page.set_viewport_size({"width": 360, "height": 740})
        await page.emulate_media(color_scheme=scheme)
        await ask(page)
        dark = await page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
        assert dark == (scheme == "dark")
        for view in ("ask", "why", "bank", "runs", "traces"):
            await page.click(f"nav a[data-view={view}]")
            await expect(page.locator(f".view.{view} h1, .view.{view} form").first).to_be_attached()
            await expect(page.locator(f".view.{view}")).not_to_have_attribute("aria-busy", "true")
            assert await page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, view
            small = await page.evaluate(
                "[...document.querySelectorAll('button, nav a, select, summary')].filter(e => e.offsetParent && "
                "e.getBoundingClientRect().height < 36).map(e => e.textContent)"
            )
            assert small == [], view
            await picture(page, f"{view}-{scheme}-narrow")


class TestHostile:
    async def test_an_answer_runs_no_script_and_breaks_nothing(self, page: Page, endpoint: Endpoint) -> None:
        endpoint.text = "\n\n".join([*payloads.PAYLOADS, "The end: $e^{i\\pi} + 1 = 0$"])
        await ask(page, "\u202e<script>window.hacked = 1</script> What is it?")
        await expect(page.locator(".result math").last).to_be_visible()
        await self._nothing_forbidden(page)
        await page.get_by_role("link", name="Why this answer?").click()
        await page.get_by_label("Show the words in which they differ").check()
        for summary in await page.locator(".part > details > summary").all():
            await summary.click()
        await self._nothing_forbidden(page)
        assert await page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        await page.click("nav a[data-view=traces]")
        await expect(page.locator(".trace").first).to_be_visible()
        await page.click("nav a[data-view=ask]")
        await expect(page.locator("#question")).to_be_visible()

    async def test_no_mixture_of_payloads_leaves_its_walls(self, page: Page) -> None:
        texts = [*payloads.PAYLOADS, *payloads.shuffled(400)]
        await page.evaluate(
            """async (texts) => {
                const { show } = await import(new URL("page/static/js/markdown.js", document.baseURI));
                const places = texts.map(() => document.createElement("div"));
                document.getElementById("main").append(...places);
                await Promise.all(texts.map((text, i) => show(places[i], text)));
            }""",
            texts,
        )
        await self._nothing_forbidden(page)
        assert await page.evaluate("document.querySelectorAll('.answer').length") == len(texts)
        for link in await page.evaluate("[...document.querySelectorAll('.answer a')].map(a => a.href)"):
            assert re.match(r"(https?|mailto):", link), link

    async def test_text_that_is_hard_to_read_is_shown_as_it_is(self, page: Page) -> None:
        texts = [*payloads.PATHOLOGICAL, "word " * 400_000]
        lengths = await page.evaluate(
            """async (texts) => {
                const { show } = await import(new URL("page/static/js/markdown.js", document.baseURI));
                const places = texts.map(() => document.createElement("div"));
                await Promise.all(texts.map((text, i) => show(places[i], text)));
                return places.map((place) => place.textContent.length);
            }""",
            texts,
        )
        assert all(length > 0 for length in lengths)
        await expect(page.locator("#question")).to_be_editable()  # and it still answers

    async def _nothing_forbidden(self, page: Page) -> None:
        tags = await page.evaluate(f"[...new Set({SEEN}.map(e => e.localName))]")
        forbidden = {"script", "style", "iframe", "img", "image", "object", "embed", "form", "input", "link", "meta"}
        assert not forbidden & set(tags)
        names = await page.evaluate(f"[...new Set({SEEN}.flatMap(e => e.getAttributeNames()))]")
        assert not [name for name in names if name.startswith("on") or name in {"style", "src", "id", "name", "srcdoc"}]


class TestServer:
    async def test_the_key_is_asked_for_once_and_kept_for_the_tab(self, tabs: Tabs, folder: Path) -> None:
        options = ["--pool", "pool.toml", "--bank", "my.bank", "--traces", "off", "--api-key-env", "PAGE_KEY"]
        with serving(folder, *options, env={"PAGE_KEY": "a-long-enough-key-0123456789"}) as site:
            async with tabs(site, allowed="401") as page:
                await page.locator("#key-input").fill("wrong")
                await page.keyboard.press("Enter")
                await expect(page.get_by_text("did not accept that key")).to_be_visible()
                await page.locator("#key-input").fill("a-long-enough-key-0123456789")
                await page.keyboard.press("Enter")
                await ask(page)
                await page.click("nav a[data-view=traces]")
                await expect(page.get_by_text("This server stores no traces")).to_be_visible()
                await page.reload()
                await page.click("nav a[data-view=why]")
                await expect(page.get_by_text("Nothing has been asked yet")).to_be_visible()
                assert await page.evaluate("JSON.stringify(localStorage)") == "{}"

    async def test_the_policy_runs_no_script_but_the_pages_own(self, site: str) -> None:
        with urllib.request.urlopen(site, timeout=60) as response:
            policy, html = response.headers["Content-Security-Policy"], response.read().decode()
            assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)|https?://", html)

    @pytest.mark.parametrize(
        "path", ["..%2froutes.py", "%2e%2e/%2e%2e/routes.py", "js/../../assets.py", "/etc/passwd", "js", ""]
    )
    async def test_no_other_file_is_served(self, site: str, path: str) -> None:
        with pytest.raises(urllib.error.HTTPError) as caught:
            await asyncio.to_thread(urllib.request.urlopen, f"{site}page/static/{path}", timeout=60)
        caught.value.close()
        assert caught.value.code == 404
