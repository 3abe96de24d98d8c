from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import func, select, update

from smcs import prompts
from smcs.bank import BankStore, load_bank, open_bank, schema
from smcs.bank import plan as planning
from smcs.bank.create import add_questions
from smcs.bank.evaluate import evaluate, regrade
from smcs.bank.grading import Graders, Reply, ToGrade
from smcs.bank.plan import Conditions
from smcs.bank.progress import EvaluationProgress
from smcs.bank.tables import summary
from smcs.errors import BankError, ConfigError
from smcs.types import Sampling

MakeBank = Callable[..., Path]


class InProcessChild:
    """Grades at once: what the child processes do is tested in test_grading."""

    def __init__(self) -> None:
        self._graders = Graders()
        self._waiting: list[ToGrade] = []

    @classmethod
    async def start(cls, sandbox: str) -> InProcessChild:
        return cls()

    def send(self, batch: list[ToGrade]) -> None:
        self._waiting += batch

    async def receive(self, limit_s: float) -> Reply:
        await asyncio.sleep(0)
        item = self._waiting.pop(0)
        return Reply(self._graders.get(item.question.grader).grade(item.text, item.question))

    async def end(self) -> None:
        return None


@pytest.fixture(autouse=True)
def graded_in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smcs.bank.grading._Child", InProcessChild)


@pytest.fixture
def store(make_bank: MakeBank) -> Iterator[BankStore]:
    with open_bank(make_bank(6), write=True) as opened:
        yield opened


@contextmanager
def reopened(store: BankStore) -> Iterator[BankStore]:
    with open_bank(store.location, write=True) as opened:
        yield opened


def calls(store: BankStore) -> int:
    with store.reading() as connection:
        return int(connection.scalar(select(func.count()).select_from(schema.calls)) or 0)


async def test_every_llm_is_asked_everything_once_and_graded(store: BankStore, fake_llm: Any) -> None:
    right = fake_llm("right")
    half = fake_llm("half", lambda text: "B" if "cats" in text else "The answer is (A)")
    silent = fake_llm("silent", lambda text: "I do not know.")
    report = await evaluate(store, [right, half, silent])
    assert report.complete
    assert [llm.answered for llm in report.llms] == [6, 6, 6]
    assert [llm.correct for llm in report.llms] == [6, 3, 0]
    assert [llm.graded for llm in report.llms] == [6, 6, 6]
    bank = load_bank(store.location)
    assert bank.llms == ("right", "half", "silent")
    assert bank.observed.all()
    np.testing.assert_array_equal(bank.capability, [[1] * 6, [0, 1, 0, 1, 0, 1], [0] * 6])
    assert sorted(right.asked_for) == sorted(q.text for q in bank.questions)
    again = await evaluate(store, [right, half, silent])
    assert again.answered == 0
    assert len(right.requests) == 6


async def test_an_llm_is_asked_as_a_referencer_is(store: BankStore, fake_llm: Any) -> None:
    llm = fake_llm()
    await evaluate(store, [llm])
    for request in llm.requests:
        (question,) = [q for q in load_bank(store.location).questions if q.text == request.messages[-1].content]
        assert request.messages == prompts.reference_messages(question)
        assert request.sampling == Sampling(temperature=0.0, max_tokens=512)
        assert request.n == 1


async def test_an_llms_own_settings_come_first(store: BankStore, fake_llm: Any) -> None:
    llm = fake_llm(sampling={"temperature": 0.7, "max_tokens": 99}, system="Mine.")
    await evaluate(store, [llm], seed=5)
    assert all(r.sampling == Sampling(temperature=0.7, max_tokens=99, seed=5) for r in llm.requests)
    # The pool puts the LLM's own instructions in place of these, and nothing else.
    assert {prompts.one_system_message(r.messages, "Mine.")[0].content for r in llm.requests} == {"Mine."}


async def test_concurrency_stays_within_each_llms_limit_and_llms_run_side_by_side(
    store: BankStore, fake_llm: Any
) -> None:
    one, two = fake_llm("one", concurrency=2), fake_llm("two", concurrency=3)
    one.released.clear()
    two.released.clear()
    running = asyncio.create_task(evaluate(store, [one, two]))
    await asyncio.wait_for(asyncio.gather(one.asked.wait(), two.asked.wait()), 30)
    for _ in range(20):
        await asyncio.sleep(0)
    assert (one.running, two.running) == (2, 3)
    one.released.set()
    two.released.set()
    await running
    assert (one.most_running, two.most_running) == (2, 3)


async def test_an_added_llm_and_added_questions_evaluate_only_what_is_missing(
    store: BankStore, fake_llm: Any, word_embedder: Any, a_question: Any
) -> None:
    old, new = fake_llm("old"), fake_llm("new")
    await evaluate(store, [old])
    report = await evaluate(store, [old, new])
    assert [llm.answered_before for llm in report.llms] == [6, 0]
    assert (len(old.requests), len(new.requests)) == (6, 6)
    await add_questions(store, [(a_question(10), "validation")], word_embedder())
    await evaluate(store, [old, new])
    assert old.asked_for[6:] == new.asked_for[6:] == [a_question(10).text]


async def test_chosen_llms_only(store: BankStore, fake_llm: Any) -> None:
    one, two = fake_llm("one"), fake_llm("two")
    await evaluate(store, [one, two], llms=["two"])
    assert (len(one.requests), len(two.requests)) == (0, 6)
    with pytest.raises(ConfigError, match="no LLM 'tow'; did you mean 'two'"):
        await evaluate(store, [one, two], llms=["tow"])


async def test_a_limit_takes_the_same_questions_of_each_benchmark_and_a_larger_one_keeps_them(
    store: BankStore, fake_llm: Any
) -> None:
    one, two = fake_llm("one"), fake_llm("two")
    await evaluate(store, [one, two], limit=1)
    assert sorted(one.asked_for) == sorted(two.asked_for)
    assert sorted(text.split()[-1] for text in one.asked_for) == ["cats", "dogs"]
    report = await evaluate(store, [one], limit=2)
    assert (report.llms[0].answered_before, report.llms[0].answered) == (2, 2)
    other = fake_llm("other")
    await evaluate(store, [other], limit=2, seed=1)
    assert len(other.requests) == 4


async def test_an_evaluation_that_is_stopped_early_has_seen_every_benchmark(
    make_bank: MakeBank, fake_llm: Any, a_question: Any
) -> None:
    llm = fake_llm(concurrency=1)
    questions = [a_question(i, benchmark="large" if i < 40 else "small") for i in range(50)]
    with open_bank(make_bank(questions), write=True) as store:
        await evaluate(store, [llm])
    numbers = [int(text.split()[1]) for text in llm.asked_for]
    assert sum(n >= 40 for n in numbers[:10]) == 2
    assert sum(n >= 40 for n in numbers[:25]) == 5


async def test_one_llm_after_the_other(store: BankStore, fake_llm: Any) -> None:
    order: list[str] = []

    def reply(name: str) -> Callable[[str], str]:
        def answer(_: str) -> str:
            order.append(name)
            return "B"

        return answer

    await evaluate(store, [fake_llm(name, reply(name)) for name in ("one", "two")], one_by_one=True)
    assert order == ["one"] * 6 + ["two"] * 6


async def test_failed_calls_are_counted_apart_and_made_again(store: BankStore, fake_llm: Any) -> None:
    llm = fake_llm(reply=lambda text: "<call_timeout>" if "cats" in text else "B")
    report = await evaluate(store, [llm])
    assert report.llms[0].failed == {"call_timeout": 3}
    assert report.llms[0].answered == 3
    assert report.llms[0].left == 0
    assert not report.complete
    assert load_bank(store.location).observed.sum() == 3
    shown = summary(store).llms[0]
    assert shown.failures == {"call_timeout": 3}
    assert shown.benchmarks["cats"].failed == 3
    assert shown.benchmarks["cats"].accuracy is None
    llm.reply = lambda text: "B"
    report = await evaluate(store, [llm])
    assert report.complete
    assert (report.llms[0].answered_before, report.llms[0].answered) == (3, 3)
    assert summary(store).llms[0].failures == {}


async def test_an_endpoint_that_is_down_is_left_alone_after_a_while(make_bank: MakeBank, fake_llm: Any) -> None:
    down = fake_llm("down", lambda text: "<connection_failed>", concurrency=2)
    up = fake_llm("up")
    with open_bank(make_bank(60), write=True) as store:
        report = await evaluate(store, [down, up])
        assert len(up.requests) == 60
        assert 20 <= len(down.requests) <= 22
        assert report.llms[0].stopped == "failing"
        assert "20 calls in a row failed" in report.llms[0].detail
        assert report.llms[0].left == 60 - len(down.requests)


async def test_a_refused_key_stops_an_llm_at_once(make_bank: MakeBank, fake_llm: Any) -> None:
    llm = fake_llm(reply=lambda text: "<authentication>", concurrency=1)
    with open_bank(make_bank(5), write=True) as store:
        report = await evaluate(store, [llm])
    assert len(llm.requests) == 1
    assert report.llms[0].stopped == "failing"


async def test_questions_too_long_for_an_llm_do_not_stop_it(make_bank: MakeBank, fake_llm: Any) -> None:
    llm = fake_llm(reply=lambda text: "<context_length>", concurrency=1)
    with open_bank(make_bank(30), write=True) as store:
        report = await evaluate(store, [llm])
    assert report.llms[0].failed == {"context_length": 30}
    assert report.llms[0].stopped == ""


async def test_a_budget_of_tokens_is_not_exceeded_and_the_next_run_goes_on(store: BankStore, fake_llm: Any) -> None:
    llm = fake_llm(tokens=10, sampling={"max_tokens": 40})
    made = planning.make_plan(store, [llm], planning.conditions_of(store))
    first = made.llms[0].calls[0]
    texts = planning.messages_of(made.questions[first.questions[0]].question, made.conditions.system)
    worst = sum(len(m.content.encode()) + 16 for m in texts) + 40
    report = await evaluate(store, [llm], budget_tokens=worst + 65)
    assert report.llms[0].stopped == "budget"
    assert report.llms[0].answered == 3  # 30 tokens each; a fourth could exceed it
    assert report.llms[0].left == 3
    assert not report.complete
    report = await evaluate(store, [llm])
    assert report.complete
    assert report.llms[0].answered == 3


async def test_a_budget_of_money_needs_prices(store: BankStore, fake_llm: Any) -> None:
    free, priced = fake_llm("free", prices=(0, 0)), fake_llm("priced", prices=(1e6, 1e6))
    with pytest.raises(ConfigError, match="needs the prices of unknown"):
        await evaluate(store, [fake_llm("unknown")], budget_usd=1.0)
    report = await evaluate(store, [free, priced], budget_usd=1.0)
    assert (len(free.requests), len(priced.requests)) == (6, 0)
    assert report.llms[1].stopped == "budget"
    assert report.cost_usd == 0


async def test_a_budget_needs_a_limit_of_the_answers(store: BankStore, fake_llm: Any) -> None:
    with pytest.raises(ConfigError, match="set max_tokens"):
        await evaluate(
            store, [fake_llm()], budget_tokens=10, conditions=Conditions(Sampling(temperature=0.0), "system")
        )


async def test_ended_at_any_moment_what_was_answered_stays(store: BankStore, fake_llm: Any) -> None:
    seen: list[EvaluationProgress] = []
    llm = fake_llm(concurrency=1)
    running = asyncio.create_task(evaluate(store, [llm], watch=seen.append))
    while len(llm.requests) < 3:
        await asyncio.sleep(0.01)
    llm.released.clear()
    before = len(llm.requests)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert calls(store) >= before - 1
    assert seen[-1].answered == calls(store)
    llm.released.set()
    report = await evaluate(store, [llm])
    assert report.complete
    assert calls(store) == 6
    assert load_bank(store.location).observed.all()


async def test_a_stored_call_serves_again_without_cost(store: BankStore, fake_llm: Any) -> None:
    llm = fake_llm()
    cold = planning.conditions_of(store)
    warm = dataclasses.replace(cold, sampling=Sampling(temperature=1.0, max_tokens=512))
    await evaluate(store, [llm], conditions=cold)
    report = await evaluate(store, [llm], conditions=warm)
    assert report.answered == 0  # what has a response is not asked again only because the settings differ
    report = await evaluate(store, [llm], conditions=warm, redo=True)
    assert report.answered == 6
    assert calls(store) == 12
    llm.reply = lambda text: "A"
    with reopened(store) as opened:
        assert planning.conditions_of(opened) == warm  # they are the bank's now
    report = await evaluate(store, [llm], conditions=cold, redo=True)
    assert (report.answered, report.llms[0].reused) == (0, 6)
    assert len(llm.requests) == 12
    assert load_bank(store.location).capability.all()


async def test_equal_questions_are_one_call(make_bank: MakeBank, fake_llm: Any, a_question: Any) -> None:
    llm = fake_llm()
    twins = [a_question(1), a_question(2), a_question(1, id="twin", answer="C")]
    with open_bank(make_bank(twins), write=True) as store:
        report = await evaluate(store, [llm])
        assert len(llm.requests) == 2
        assert report.llms[0].answered == 3
        bank = load_bank(store.location)
    np.testing.assert_array_equal(bank.capability, [[1, 1, 0]])


async def test_a_bank_keeps_its_conditions(store: BankStore, fake_llm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    await evaluate(store, [fake_llm("one")], conditions=Conditions(Sampling(temperature=0.0, max_tokens=7), "Old."))
    two = fake_llm("two")
    with reopened(store) as opened:
        await evaluate(opened, [two])
    assert {r.messages[0].content for r in two.requests} == {"Old."}
    assert {r.sampling.max_tokens for r in two.requests} == {7}


async def test_a_new_version_of_a_grader_regrades_without_a_call(
    store: BankStore, fake_llm: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    llm = fake_llm()
    await evaluate(store, [llm])
    assert (await regrade(store)).regraded == 0
    with store.transaction() as connection:  # as if graded wrongly by an earlier version
        connection.execute(update(schema.grades).values(version="0", correct=0))
        connection.execute(update(schema.responses).values(correct=0))
    assert not load_bank(store.location).capability.any()
    report = await regrade(store)
    assert (report.regraded, report.ungraded) == (6, 0)
    assert load_bank(store.location).capability.all()
    assert len(llm.requests) == 6
    with store.reading() as connection:
        assert connection.scalar(select(func.count()).select_from(schema.grades)) == 12  # the earlier ones are kept


async def test_what_was_stored_without_a_grade_is_graded_by_the_next_run(store: BankStore, fake_llm: Any) -> None:
    llm = fake_llm()
    await evaluate(store, [llm])
    with store.transaction() as connection:
        connection.execute(schema.grades.delete())
        connection.execute(update(schema.responses).values(correct=None, graded=0))
    assert summary(store).llms[0].total.ungraded == 6
    report = await evaluate(store, [llm])
    assert (report.regraded, report.answered) == (6, 0)
    assert load_bank(store.location).capability.all()


async def test_when_grading_falls_behind_the_rest_is_graded_from_the_store(
    store: BankStore, fake_llm: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smcs.bank._run._MOST_IN_GRADING", 0)
    report = await evaluate(store, [fake_llm()])
    assert report.complete
    assert load_bank(store.location).observed.all()


async def test_broken_texts_are_stored_and_graded(store: BankStore, fake_llm: Any) -> None:
    await evaluate(store, [fake_llm(reply=lambda text: "\ud83d\0 The answer is B \udc00")])
    assert load_bank(store.location).capability.all()


async def test_two_runs_at_once_are_one_run_and_a_clear_error(store: BankStore, fake_llm: Any) -> None:
    llm = fake_llm()
    llm.released.clear()
    running = asyncio.create_task(evaluate(store, [llm]))
    await asyncio.wait_for(llm.asked.wait(), 30)
    with reopened(store) as other, pytest.raises(BankError, match="another run"):
        await evaluate(other, [fake_llm()])
    llm.released.set()
    assert (await running).complete


async def test_a_disk_that_fills_up_ends_the_run_with_what_was_stored(store: BankStore, fake_llm: Any) -> None:
    llm = fake_llm(reply=lambda text: "B " + "x" * 100_000, concurrency=1)
    pages = 60

    def limit(connection: Any, _: Any) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages}")

    from sqlalchemy import event

    event.listen(store.engine, "connect", limit)
    with pytest.raises(BankError, match="no room left"):
        await evaluate(store, [llm])
    event.remove(store.engine, "connect", limit)
    kept = calls(store)
    assert 0 < kept < 6
    report = await evaluate(store, [llm])
    assert report.complete
    assert report.llms[0].answered == 6 - kept


async def test_progress_tells_rate_tokens_cost_and_what_is_left(store: BankStore, fake_llm: Any) -> None:
    seen: list[EvaluationProgress] = []
    llm = fake_llm(prices=(1e6, 2e6), tokens=10)
    report = await evaluate(store, [llm], watch=seen.append)
    assert seen[-1].llms == report.llms
    done = report.llms[0]
    assert (done.prompt_tokens, done.completion_tokens) == (120, 60)
    assert done.cost_usd == report.cost_usd == pytest.approx(6 * (20 + 20))
    assert done.rate is not None
    assert done.left == 0
    assert done.eta_s == 0


async def test_a_plan_says_what_it_would_take_and_touches_nothing(store: BankStore, fake_llm: Any) -> None:
    llm = fake_llm(prices=(1.0, 2.0), tokens=10)
    conditions = planning.conditions_of(store)
    (fresh,) = planning.make_plan(store, [llm], conditions).llms
    assert (len(fresh.calls), fresh.answered, fresh.known) == (6, 0, False)
    assert fresh.completion_tokens == fresh.most_completion_tokens == 6 * 512
    assert store.llms() == []
    await evaluate(store, [llm], limit=2)
    (rest,) = planning.make_plan(store, [llm], conditions).llms
    assert (len(rest.calls), rest.answered, rest.known) == (2, 4, True)
    assert rest.completion_tokens == 20
    assert rest.cost_usd(20) == pytest.approx((rest.prompt_tokens + 40) / 1e6)
    assert rest.most_completion_tokens == 2 * 512
    (other,) = planning.make_plan(store, [fake_llm("other")], conditions).llms
    assert (other.completion_tokens, other.known) == (60, True)  # by what others took
    assert other.cost_usd(60) is None
    assert len(llm.requests) == 4


async def test_responses_under_other_settings_are_counted(store: BankStore, fake_llm: Any) -> None:
    llm = fake_llm()
    await evaluate(store, [llm])
    (plan,) = planning.make_plan(store, [llm], Conditions(Sampling(max_tokens=1), "x")).llms
    assert (plan.answered, plan.other_settings, len(plan.calls)) == (6, 6, 0)
    (plan,) = planning.make_plan(store, [llm], Conditions(Sampling(max_tokens=1), "x"), redo=True).llms
    assert (plan.answered, len(plan.calls)) == (0, 6)
