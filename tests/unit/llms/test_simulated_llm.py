"""The simulated LLM: as good as it is told to be, and the same for the same seed."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smcs.config import validate
from smcs.errors import (
    CallError,
    ConfigError,
    ConnectionFailedError,
    ContextLengthError,
    MalformedResponseError,
    QuestionError,
    RateLimitError,
    ServerError,
)
from smcs.llms._answer_key import AnswerKey, answers_of, same_answer, stated_answers
from smcs.llms.simulated import Settings, SimulatedLLM, create
from smcs.prompts import aggregation_messages
from smcs.protocols import LLM, BuildContext, Progress
from smcs.types import Completion, Message, Question, Request, Sampling

SUM = "What is 17 + 25?"
CAPITAL = "What is the capital of France?"
PLANET = "Which planet is the largest? (A) Mars (B) Jupiter (C) Venus (D) Mercury"
ANSWERS = {SUM: "42", CAPITAL: "Paris", PLANET: "B", "What is the capital of Italy?": "Rome"}


def llm_of(base_dir: Path = Path(), **settings: Any) -> SimulatedLLM:
    values = {"name": "sim", "backend": "simulated", "answers": ANSWERS, **settings}
    return create(validate(Settings, values, "test"), BuildContext(Path(), base_dir=base_dir))


async def ask(llm: LLM, text: str, *, n: int = 1, index: int = 0, **sampling: Any) -> list[Completion]:
    request = Request((Message("user", text),), Sampling(**sampling), n, index)
    return list(await llm.complete(request, Progress()))


async def answers(llm: LLM, text: str, count: int) -> Counter[str]:
    made = await ask(llm, text, n=count)
    return Counter(stated_answers(c.text)[-1] for c in made)


@pytest.mark.parametrize("skill", [0.0, 0.3, 0.8, 1.0])
@pytest.mark.parametrize(("question", "right"), ANSWERS.items())
async def test_it_is_right_as_often_as_its_skill_says(question: str, right: str, skill: float) -> None:
    counted = await answers(llm_of(skill=skill, tokens=0), f"Think.\n\nQuestion:  {question}\nAnswer briefly.", 500)
    assert counted[right] / 500 == pytest.approx(skill, abs=0.07)
    assert len(counted) <= 5  # wrong ones agree, too


async def test_wrong_answers_are_of_the_same_kind() -> None:
    llm = llm_of(skill=0.0, tokens=0)
    assert all(answer.isdigit() for answer in await answers(llm, SUM, 50))
    assert set(await answers(llm, PLANET, 100)) == {"A", "C", "D"}
    assert set(await answers(llm, CAPITAL, 50)) == {"Rome"}


async def test_skills_by_word() -> None:
    llm = llm_of(skill=0.0, skills={"CAPITAL": 1.0}, tokens=0)
    assert await answers(llm, CAPITAL, 20) == {"Paris": 20}
    assert (await answers(llm, SUM, 20))["42"] == 0


async def test_all_agree_on_the_answer_to_an_unknown_question() -> None:
    one, other = llm_of(name="one", skill=1.0), llm_of(name="other", skill=1.0, seed=9)
    assert await answers(one, "Never heard of?", 5) == await answers(other, "Never heard of?", 5)


async def test_answers_from_a_questions_file(tmp_path: Path) -> None:
    rows: list[Mapping[str, Any]] = [
        {"id": "1", "question": "Pick one.", "answer": "C", "options": ["x", "y", "z"], "benchmark": "choice-bench"},
        {"id": "2", "question": "No answer here", "answer": None},
        {"id": "3", "question": "How  many\nlegs?", "answer": 8},
    ]
    (tmp_path / "q.jsonl").write_text("\n\n".join(json.dumps(row) for row in rows))
    llm = llm_of(tmp_path, answers="q.jsonl", skill=1.0, skills={"choice-bench": 0.0}, tokens=0)
    await llm.start()
    assert await answers(llm, "How many legs?", 3) == {"8": 3}
    assert set(await answers(llm, "Pick one.", 60)) == {"A", "B"}


@pytest.mark.parametrize("line", ["{", "[]", '{"question": 3}', '{"answer": "x"}'])
async def test_a_bad_line_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "q.jsonl").write_text('{"question": "a", "answer": "b"}\n' + line)
    llm = llm_of(tmp_path, answers="q.jsonl")
    with pytest.raises(QuestionError, match=r"q.jsonl, line 2"):
        await llm.start()


def test_a_missing_file_is_found_when_it_is_built(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'sim'.*nowhere.jsonl"):
        llm_of(tmp_path, answers="nowhere.jsonl")


async def test_the_same_seed_gives_the_same_and_another_another() -> None:
    made: dict[tuple[object, ...], Completion] = {}
    for seed in (1, 2):
        for name in ("a", "b"):
            for sampling_seed in (7, 8):
                for _ in range(2):  # twice, in two objects
                    (completion,) = await ask(llm_of(seed=seed, name=name), SUM, seed=sampling_seed, logprobs=True)
                    key = (seed, name, sampling_seed)
                    assert made.setdefault(key, completion) == completion
    assert len({c.text for c in made.values()}) == 8


async def test_samples_are_the_same_together_or_singly() -> None:
    llm = llm_of()
    together = await ask(llm, SUM, n=3, index=2, seed=10)
    singly = [(await ask(llm, SUM, index=2 + i, seed=10 + i))[0] for i in range(3)]
    assert [c.text for c in together] == [c.text for c in singly]
    assert len({c.text for c in together}) == 3
    assert [c.text for c in await ask(llm, SUM, n=3)] == [(await ask(llm, SUM, index=i))[0].text for i in range(3)]


async def test_greedy_samples_are_equal() -> None:
    made = await ask(llm_of(), SUM, n=3, seed=1, temperature=0.0)
    assert len({c.text for c in made}) == 1


async def test_tokens_logprobs_and_usage_agree() -> None:
    one, two = await ask(llm_of(reasoning_tokens=5), SUM, n=2, logprobs=True)
    for made in (one, two):
        assert made.reasoning
        assert len(made.reasoning.split()) == 5
        assert made.token_logprobs is not None
        assert len(made.token_logprobs) == made.completion_tokens == 5 + len(made.text.split())
        assert max(made.token_logprobs) <= 0
    assert (one.prompt_tokens, two.prompt_tokens) == (9, 0)


async def test_the_token_limit_cuts() -> None:
    (made,) = await ask(llm_of(reasoning_tokens=5), SUM, max_tokens=8, logprobs=True)
    assert (made.completion_tokens, len(made.text.split()), made.finish_reason) == (8, 3, "length")
    (made,) = await ask(llm_of(reasoning_tokens=50), SUM, max_tokens=8)
    assert (made.text, made.finish_reason) == ("", "length")


async def test_right_answers_surprise_it_less() -> None:
    def mean(values: tuple[float, ...] | None) -> float:
        assert values
        return sum(values) / len(values)

    made = await ask(llm_of(skill=0.5), SUM, n=200, logprobs=True)
    right = [mean(c.token_logprobs) for c in made if stated_answers(c.text) == ["42"]]
    wrong = [mean(c.token_logprobs) for c in made if stated_answers(c.text) != ["42"]]
    assert sum(right) / len(right) > sum(wrong) / len(wrong) + 0.1


async def aggregate(skill: float, stated: list[str], count: int = 300) -> Counter[str]:
    texts = [f"So it seems to me.\n\nThe answer is {answer}." for answer in stated]
    messages = aggregation_messages(Question(SUM), texts)
    made = await llm_of(skill=skill, tokens=0).complete(Request(messages, n=count), Progress())
    return Counter(stated_answers(c.text)[-1] for c in made)


async def test_an_aggregator_picks_among_what_it_sees() -> None:
    assert await aggregate(1.0, ["41", "42", "43"]) == {"42": 300}
    assert set(await aggregate(0.0, ["41", "42", "43"])) == {"41", "43"}
    assert set(await aggregate(1.0, ["41", "43"])) == {"41", "43"}
    assert await aggregate(0.0, ["42", "42"]) == {"42": 300}
    mixed = await aggregate(0.6, ["41", "42", "41", "43"])
    assert mixed["42"] / 300 == pytest.approx(0.6, abs=0.1)
    assert mixed["41"] > mixed["43"]


@pytest.mark.parametrize(
    ("text", "stated"),
    [
        ("The answer is 42.", ["42"]),
        ("so the final answer is: **B**.\nmore", ["B"]),
        ("The answer is (C).", ["C"]),
        ('End with "The answer is (X)".', []),
        ("form: The answer is (X), where X is the letter of the option.", []),
        ("form: The answer is V, where V is the value as a Python literal, strings in quotes.", []),
        (r"form: The answer is \boxed{...}", []),
        ("The answer is 3.5", ["3.5"]),
        ("There is no answer", []),
        ("the answer is unclear to me, but then\nThe answer is 7", ["unclear to me, but then", "7"]),
    ],
)
def test_stated_answers(text: str, stated: list[str]) -> None:
    assert stated_answers(text) == stated


def test_the_longest_known_question_in_a_prompt_counts() -> None:
    key = AnswerKey(answers_of({"What is 2 + 2?": "4", "What is 2 + 2? Add 1 to it.": "5", "2": "other"}))
    assert key.find('Answer this: "What is 2 + 2? Add 1 to it."').text == "5"
    assert key.find("What is\n2 + 2?").text == "4"


@given(
    st.dictionaries(st.text(min_size=1, max_size=30), st.text(min_size=1, max_size=8), max_size=5),
    st.text(),
    st.integers(),
)
def test_any_question_has_a_right_and_a_wrong_answer(questions: dict[str, str], prompt: str, seed: int) -> None:
    key = AnswerKey(answers_of(questions))
    for text in (prompt, *questions):
        known = key.find(text)
        wrong = key.wrong(known, random.Random(seed))
        assert wrong != known.text
        assert not same_answer(wrong, known.text) or same_answer(known.text, "")


FAULTS: dict[str, type[CallError]] = {
    "rate_limit": RateLimitError,
    "server_error": ServerError,
    "connection": ConnectionFailedError,
    "malformed": MalformedResponseError,
}


@pytest.mark.parametrize(("fault", "kind"), FAULTS.items())
async def test_faults(fault: str, kind: type[CallError]) -> None:
    llm = llm_of(faults={fault: 1.0, "retry_after_s": 0.5})
    with pytest.raises(kind) as failed:
        await ask(llm, SUM)
    assert failed.value.retry_after == (0.5 if fault == "rate_limit" else None)


async def test_an_empty_and_a_hanging_one() -> None:
    (made,) = await ask(llm_of(faults={"empty": 1.0}), SUM)
    assert made.text == ""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await ask(llm_of(faults={"hang": 1.0}), SUM)


async def test_faults_strike_at_their_rate_and_anew_on_each_try() -> None:
    llm = llm_of(faults={"server_error": 0.5}, tokens=0)
    tries = []
    for i in range(300):
        for attempt in range(1, 50):
            try:
                await ask(llm, SUM, seed=i)
            except ServerError:
                continue
            tries.append(attempt)
            break
    assert len(tries) == 300
    assert sum(tries) / 300 == pytest.approx(2.0, abs=0.35)


def test_rates_above_one_are_refused() -> None:
    with pytest.raises(ConfigError, match="together"):
        llm_of(faults={"hang": 0.6, "empty": 0.6})


async def test_a_prompt_beyond_its_context_is_refused() -> None:
    with pytest.raises(ContextLengthError, match="10 tokens"):
        await ask(llm_of(context_length=10), "word " * 20)


async def test_it_takes_its_time_and_shows_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr("smcs.llms.simulated.asyncio.sleep", sleep)
    counts: list[int] = []
    llm = llm_of(latency_s=2.0, latency_sigma=0.5, tokens_per_second=40.0)
    (made,) = await llm.complete(Request((Message("user", SUM),)), Progress(tokens=counts.append))
    assert sum(slept[1:]) == pytest.approx(made.completion_tokens / 40)
    assert counts == sorted(counts)
    assert counts[-1] == made.completion_tokens
    latencies = []
    for seed in range(400):
        slept.clear()
        await ask(llm, SUM, seed=seed)
        latencies.append(slept[0])
    assert sum(latencies) / 400 == pytest.approx(2.0, rel=0.12)
    assert max(latencies) > 2 * min(latencies)
