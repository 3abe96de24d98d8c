"""Pool file and bank change under a running ``smcs serve`` while clients keep asking: nobody's request is dropped."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import aiohttp
import pyarrow as pa
import pyarrow.parquet as pq
from tests.serving import serving, simulated_bank

from smcs.bank import open_bank
from smcs.cli import run

LLM = '\n[[llm]]\nname = "{name}"\nbackend = "simulated"\nskill = 0.9\nanswers = "questions.jsonl"\n'


class Clients:
    """Ask over and over until told to stop, and keep what came."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session, self.url = session, url
        self.answers: list[dict[str, Any]] = []
        self.stop = asyncio.Event()

    async def ask(self, number: int) -> None:
        while not self.stop.is_set():
            body = {
                "model": "smcs",
                "seed": len(self.answers) * 4 + number,
                "messages": [{"role": "user", "content": f"What is {number + 2} plus {number + 3}?"}],
            }
            async with self.session.post(f"{self.url}/chat/completions", json=body) as response:
                assert response.status == 200, await response.text()
                self.answers.append(await response.json())

    async def more(self) -> None:
        """Wait until every client has been answered twice more."""
        wanted = len(self.answers) + 6
        while len(self.answers) < wanted:
            await asyncio.sleep(0.02)

    async def ready(self) -> dict[str, Any]:
        async with self.session.get(f"{self.url.removesuffix('/v1')}/ready") as response:
            assert response.status == 200
            told: dict[str, Any] = await response.json()
            return told

    async def models(self) -> set[str]:
        async with self.session.get(f"{self.url}/models") as response:
            return {model["id"] for model in (await response.json())["data"]}

    async def until_model(self, name: str, *, there: bool) -> None:
        while (name in await self.models()) != there:
            await asyncio.sleep(0.05)


def _evaluate(folder: Path, llm: str) -> None:
    """Put graded answers of an LLM into the bank, as an evaluation in another process would."""
    with open_bank(folder / "sums.bank") as store:
        ids = [stored.question.id for stored in store.questions()]
    rows = [{"question_id": i, "llm": llm, "response": "The answer is 1.", "correct": True} for i in ids]
    described = [{**row, "backend": "simulated", "model": "simulated (skill 0.9)"} for row in rows]
    pq.write_table(pa.Table.from_pylist(described), folder / "answers.parquet")
    assert run(["bank", "import", str(folder / "sums.bank"), "--responses", str(folder / "answers.parquet"), "-q"]) == 0


async def test_changes_are_taken_up_and_no_request_is_dropped(tmp_path: Path) -> None:
    await asyncio.to_thread(simulated_bank, tmp_path)
    pool = tmp_path / "pool.toml"
    text = pool.read_text(encoding="utf-8")
    whole, sep, method = text.partition("[embedder]")
    traces = tmp_path / "t.sqlite"
    with serving(tmp_path, "--traces", "full", "--traces-file", str(traces)) as url:
        async with aiohttp.ClientSession() as session, asyncio.timeout(200):
            clients = Clients(session, url)
            asking = [asyncio.create_task(clients.ask(number)) for number in range(3)]
            await clients.more()

            await asyncio.to_thread(_evaluate, tmp_path, "newcomer")
            pool.write_text(whole + LLM.format(name="newcomer") + sep + method, encoding="utf-8")
            await clients.until_model("newcomer", there=True)
            await clients.more()

            pool.write_text("[[llm]]\nname = ", encoding="utf-8")
            while "outdated" not in (await clients.ready())["configuration"]:
                await asyncio.sleep(0.05)
            await clients.more()
            assert "newcomer" in await clients.models(), "the former configuration goes on"

            start, _, rest = whole.partition('[[llm]]\nname = "guessing"')
            assert rest
            pool.write_text(start + LLM.format(name="newcomer") + sep + method, encoding="utf-8")
            await clients.until_model("guessing", there=False)
            assert (await clients.ready())["configuration"] == "current"
            await clients.more()
            clients.stop.set()
            await asyncio.gather(*asking)

            async with session.get(f"{url.removesuffix('/v1')}/metrics") as response:
                metrics = await response.text()
            feedback = {"id": clients.answers[-1]["id"], "verdict": "wrong", "answer": "99"}
            async with session.post(f"{url}/feedback", json=feedback) as response:
                assert (response.status, (await response.json())["texts_kept"]) == (200, True)
            async with session.post(f"{url}/feedback", json={**feedback, "id": "smcs-none"}) as response:
                assert response.status == 404

    assert all(answer["choices"][0]["message"]["content"] for answer in clients.answers)
    assert f'smcs_requests_total{{source="api",status="ok",strategy="smcs"}} {float(len(clients.answers))}' in metrics
    assert 'smcs_reloads_total{outcome="failed"} 1.0' in metrics
    assert "smcs_pool_llms 4.0" in metrics
    with sqlite3.connect(traces) as db:
        assert db.execute("SELECT count(*) FROM traces WHERE status = 'ok'").fetchone() == (len(clients.answers),)
        assert db.execute("SELECT verdict, answer FROM feedback").fetchall() == [("wrong", "99")]
    assert "Traceback" not in (tmp_path / "serve.log").read_text(encoding="utf-8")
