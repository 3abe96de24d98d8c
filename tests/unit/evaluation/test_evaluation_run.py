"""Evaluations: what is asked, what is stored, stopping anywhere, going on."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import zlib
from pathlib import Path
from typing import Any

import pytest

from smcs.errors import BankError, ConfigError, ServerError
from smcs.evaluation import ResultsError, evaluate, open_results, prepare
from smcs.evaluation.dry_run import dry_run
from smcs.evaluation.run import in_order
from smcs.evaluation.store import AnswerKey
from smcs.strategies import parse_specs
from smcs.types import Question

ALL = "smcs,single:llm=*,router,majority,weighted,self-consistency,best-of-n,moa,self-moa,retrieval-top1"


async def run(
    lab: Any, path: Path, specs: str = "majority", *, seeds: int = 1, limit: int | None = None, **options: Any
) -> Any:
    comparison = prepare(lab.parts(), parse_specs(specs), lab.questions, limit=limit, seeds=seeds)
    async with open_results(path) as store:
        return await evaluate(store, comparison, **options)


class TestSharing:
    async def test_many_strategies_cost_the_union_of_their_calls(self, make_lab: Any, tmp_path: Path) -> None:
        lab = make_lab(n=3)
        progress, _ = await run(lab, tmp_path / "all.db", ALL)
        assert progress.complete
        alone = 0
        for spec in [*ALL.replace("single:llm=*", "single:llm=a,single:llm=b,single:llm=c").split(",")]:
            other = make_lab(n=3)
            await run(other, tmp_path / f"{spec.replace(':', '-')}.db", spec)
            alone += other.samples
        references = 3 * (2 + 8)  # the others' reference, and eight of the best LLM
        aggregations = sum("Responses from" in r.messages[0].content for m in lab.llms.values() for r in m.requests)
        assert lab.samples < alone / 2
        assert lab.samples - aggregations <= references + aggregations

    async def test_strategies_that_ask_the_same_give_the_same(self, lab: Any, tmp_path: Path) -> None:
        _, report = await run(lab, tmp_path / "r.db", "single:llm=a,self-consistency:n=1:llm=a", seeds=2)
        assert lab.llms["a"].samples == 2 * len(lab.questions)
        assert report.pairs[0].difference.mean == 0


class TestResults:
    async def test_right_and_wrong_are_counted(self, make_lab: Any, tmp_path: Path) -> None:
        lab = make_lab(n=10)
        lab.llms["a"].reply = lambda question, sample: "1" if int(question.split()[1]) < 7 else "2"
        progress, report = await run(lab, tmp_path / "r.db", "single:llm=a")
        (row,) = report.rows
        assert row.benchmarks["one"].mean == pytest.approx(0.7)
        assert row.benchmarks["one"].error == pytest.approx((0.21 / 9) ** 0.5)
        assert (row.calls, row.tokens, row.answers) == (1, 15, 10)
        assert row.cost_usd == pytest.approx(15e-6)
        assert progress.strategies[0].correct == 7

    async def test_the_label_reaches_no_llm(self, lab: Any, tmp_path: Path) -> None:
        lab.questions = [Question("tested x", id="x", answer="SECRET", grader="exact", benchmark="one")]
        await run(lab, tmp_path / "r.db", "majority,self-moa,smcs")
        asked = [m.content for llm in lab.llms.values() for r in llm.requests for m in r.messages]
        assert asked
        assert not any("SECRET" in text for text in asked)

    async def test_traces_are_kept(self, lab: Any, tmp_path: Path) -> None:
        await run(lab, tmp_path / "r.db", "majority")
        with sqlite3.connect(tmp_path / "r.db") as db:
            row = db.execute("SELECT setup, question, seed, extracted, correct FROM answers").fetchone()
        async with open_results(tmp_path / "r.db") as store:
            trace = json.loads(zlib.decompress(await store.trace(AnswerKey(*row[:3]))))
        db.close()
        assert [r["llm"] for r in trace["referencers"]] == ["a", "b", "c"]
        assert row[3:] == ("1", 1)


class TestGoingOn:
    async def test_nothing_is_done_twice(self, lab: Any, tmp_path: Path) -> None:
        await run(lab, tmp_path / "r.db", "majority,moa")
        before = lab.samples
        progress, again = await run(lab, tmp_path / "r.db", "majority,moa")
        assert lab.samples == before
        assert progress.complete
        assert again.rows[0].answers == len(lab.questions)

    async def test_more_seeds_and_questions_add_to_what_is_there(self, make_lab: Any, tmp_path: Path) -> None:
        lab = make_lab(n=6)
        await run(lab, tmp_path / "r.db", "single:llm=a", limit=2)
        await run(lab, tmp_path / "r.db", "single:llm=a", limit=4, seeds=2)
        assert lab.llms["a"].samples == 8

    async def test_other_settings_are_another_setup(self, make_lab: Any, tmp_path: Path) -> None:
        lab = make_lab(n=2)
        await run(lab, tmp_path / "r.db", "single:llm=a")
        await run(lab, tmp_path / "r.db", "single:llm=a:sampling.temperature=0.1")
        assert lab.llms["a"].samples == 4

    async def test_ended_in_the_middle_it_goes_on(self, make_lab: Any, tmp_path: Path) -> None:
        lab = make_lab(n=6)
        asked = 0

        def reply(question: str, sample: int) -> str:
            nonlocal asked
            asked += 1
            if asked == 9:
                task.cancel()
            return "1"

        for llm in lab.llms.values():
            llm.reply = reply
        task = asyncio.create_task(run(lab, tmp_path / "r.db", "majority", concurrency=2))
        with pytest.raises(asyncio.CancelledError):
            await task
        assert [t for t in asyncio.all_tasks() if t is not asyncio.current_task()] == []
        at_the_end = lab.samples
        progress, _ = await run(lab, tmp_path / "r.db", "majority")
        assert progress.complete
        assert lab.samples - at_the_end < 18, "what was answered before is not asked again"

    async def test_a_failed_call_is_made_again_by_the_next_run(self, lab: Any, tmp_path: Path) -> None:
        lab.llms["b"].reply = lambda question, sample: ServerError("down")
        progress, report = await run(lab, tmp_path / "r.db", "majority")
        assert progress.complete
        assert report.rows[0].incomplete == 4
        assert any("though a call of theirs failed" in note for note in report.notes)
        lab.llms["b"].reply = lambda question, sample: "1"
        before = lab.llms["a"].samples
        _, report = await run(lab, tmp_path / "r.db", "majority")
        assert report.rows[0].incomplete == 0
        assert lab.llms["a"].samples == before

    async def test_no_answer_is_no_wrong_answer(self, lab: Any, tmp_path: Path) -> None:
        lab.llms["a"].reply = lambda question, sample: ServerError("down") if "1" in question else "1"
        progress, report = await run(lab, tmp_path / "r.db", "single:llm=a")
        assert not progress.complete
        (row,) = report.rows
        assert (row.answers, row.failed) == (3, 1)
        assert row.benchmarks["one"].mean == 1.0

    async def test_an_llm_that_only_fails_stops_it(self, make_lab: Any, tmp_path: Path) -> None:
        lab = make_lab(n=40)
        lab.llms["a"].reply = lambda question, sample: ServerError("down")
        progress, _ = await run(lab, tmp_path / "r.db", "single:llm=a")
        assert "a only fails" in progress.stopped
        assert not progress.complete
        assert lab.llms["a"].samples < 40

    async def test_a_budget_stops_it_and_a_second_run_finishes(self, make_lab: Any, tmp_path: Path) -> None:
        lab = make_lab(n=10)
        progress, _ = await run(lab, tmp_path / "r.db", "single:llm=a", budget_tokens=330)
        assert progress.stopped == "the budget is used up"
        assert 0 < progress.strategies[0].answered < 10
        assert progress.prompt_tokens + progress.completion_tokens <= 330
        progress, _ = await run(lab, tmp_path / "r.db", "single:llm=a")
        assert progress.complete
        assert lab.llms["a"].samples == 10

    async def test_a_budget_needs_prices_and_limits(self, make_lab: Any, tmp_path: Path) -> None:
        lab = make_lab(n=1, sampling={})
        with pytest.raises(ConfigError, match="--max-tokens"):
            await run(lab, tmp_path / "r.db", budget_tokens=10)
        lab.llms["a"].info = lab.llms["a"].info.__class__("a", "counting", "a")
        with pytest.raises(ConfigError, match="prices of a"):
            await run(lab, tmp_path / "r.db", budget_usd=1.0)


class TestLeakage:
    async def test_tested_questions_do_not_count_in_the_bank(self, lab: Any) -> None:
        lab.questions = [
            Question("BANK   apple!", id="t", grader="numeric", answer="1", benchmark="elsewhere"),
            Question("other", id="fig", grader="numeric", answer="1", benchmark="one"),
            Question("fig", id="banana", grader="numeric", answer="1", benchmark="two"),
        ]
        comparison = prepare(lab.parts(), parse_specs("smcs"), lab.questions)
        assert [q.id for q in comparison.parts.bank.questions] == ["banana", "cherry", "damson", "elder"]
        assert comparison.parts.bank.embeddings.shape == (4, 26)
        assert comparison.parts.bank.capability.shape == (3, 4)
        assert "2 tested questions were in the bank" in comparison.notes[0]

    async def test_a_larger_limit_changes_no_earlier_answer(self, make_lab: Any, tmp_path: Path) -> None:
        lab = make_lab(n=4)
        lab.questions += list(lab.bank_questions[:2])
        lab.questions[-2:] = [
            Question(q.text, id=q.id, answer="1", grader="numeric", benchmark="one") for q in lab.questions[-2:]
        ]
        await run(lab, tmp_path / "r.db", "smcs", limit=1)
        before = lab.samples
        await run(lab, tmp_path / "r.db", "smcs", limit=1)
        assert lab.samples == before
        with sqlite3.connect(tmp_path / "r.db") as db:
            await run(lab, tmp_path / "r.db", "smcs", limit=3)
            assert db.execute("SELECT count(*) FROM setups").fetchone() == (1,)
        db.close()

    async def test_nothing_left(self, lab: Any) -> None:
        with pytest.raises(BankError, match="all 6 questions"):
            prepare(lab.parts(), parse_specs("smcs"), lab.bank_questions)


class TestOrder:
    def test_a_larger_limit_keeps_the_questions_of_a_smaller_one(self) -> None:
        questions = [Question(f"q{i}", id=str(i), benchmark=f"b{i % 3}") for i in range(90)]
        few, more = in_order(questions, 5), in_order(questions, 20)
        assert {q.id for q in few} <= {q.id for q in more}
        assert len(few) == 15
        assert {q.benchmark for q in more[:6]} == {"b0", "b1", "b2"}, "an early stop has seen every benchmark"
        assert in_order(list(reversed(questions)), 5) == few


class TestDryRun:
    async def test_counts_what_a_run_would_call_and_calls_nothing(self, make_lab: Any, tmp_path: Path) -> None:
        lab = make_lab(n=3)
        specs = parse_specs("single:llm=a,majority,moa:aggregator=a,self-consistency:llm=a")
        comparison = prepare(lab.parts(), specs, lab.questions, seeds=2)
        async with open_results(tmp_path / "r.db", write=False) as store:
            made = await dry_run(store, [comparison])
        assert lab.samples == 0
        assert not (tmp_path / "r.db").exists()
        assert lab.embedder.embedded == []
        counted = {llm.info.name: llm.calls for llm in made.llms}
        assert counted == {"a": 2 * 3 * (8 + 1), "b": 6, "c": 6}
        assert made.answers == 24
        assert not made.known

    async def test_what_is_stored_is_not_called(self, make_lab: Any, tmp_path: Path) -> None:
        lab = make_lab(n=3)
        await run(lab, tmp_path / "r.db", "single:llm=a,single:llm=b")
        comparison = prepare(lab.parts(), parse_specs("majority,single:llm=a"), lab.questions)
        async with open_results(tmp_path / "r.db", write=False) as store:
            made = await dry_run(store, [comparison])
        assert {llm.info.name: llm.calls for llm in made.llms} == {"a": 0, "b": 0, "c": 3}
        assert made.answers == 3

    async def test_it_is_scaled_up_from_some_of_many_questions(self, make_lab: Any, tmp_path: Path) -> None:
        lab = make_lab(n=300)
        comparison = prepare(lab.parts(), parse_specs("majority"), lab.questions)
        async with open_results(tmp_path / "r.db", write=False) as store:
            made = await dry_run(store, [comparison])
        assert made.sampled
        assert {round(llm.calls) for llm in made.llms} == {300}


class TestStore:
    async def test_one_run_at_a_time(self, tmp_path: Path) -> None:
        async with open_results(tmp_path / "r.db"):
            with pytest.raises(ResultsError, match="another run is writing"):
                open_results(tmp_path / "r.db")
        async with open_results(tmp_path / "r.db"):
            pass
        assert [p.name for p in tmp_path.iterdir()] == ["r.db"]

    @pytest.mark.parametrize(("content", "message"), [(b"text", "no results file"), (None, "no results file")])
    def test_other_files(self, tmp_path: Path, content: bytes | None, message: str) -> None:
        path = tmp_path / "other"
        if content is None:
            db = sqlite3.connect(path)
            db.execute("CREATE TABLE t (x)")
            db.close()
        else:
            path.write_bytes(content)
        with pytest.raises(ResultsError, match=message):
            open_results(path)
        assert not path.with_name("other.lock").exists()

    def test_no_folder(self, tmp_path: Path) -> None:
        with pytest.raises(ResultsError, match="there is no folder"):
            open_results(tmp_path / "none" / "r.db")
        with pytest.raises(ResultsError, match="is a folder"):
            open_results(tmp_path)
