"""What every strategy must do, whatever it is: the contract of `smcs.protocols.Strategy`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from smcs import registry
from smcs.bank import QuestionBank
from smcs.config import SamplingSettings, Settings, SMCSSettings
from smcs.errors import NoAnswerError
from smcs.llms.simulated import Faults, SimulatedLLM
from smcs.llms.simulated import Settings as SimulatedSettings
from smcs.pool import Pool, PooledLLM
from smcs.strategies import Parts, build, parse_specs
from smcs.types import Answer, CallUpdate, EmbedderInfo, Event, Planned, Question

NAMES = registry.names("strategies")
EMBEDDER = EmbedderInfo("letters", "1", 26)
LABELLED = {f"What is {i} plus {i}?": str(2 * i) for i in range(1, 30)}
QUESTIONS = [
    Question(text, id=str(i), answer=a, grader="numeric", benchmark="sums")
    for i, (text, a) in enumerate(LABELLED.items())
]


class LetterEmbedder:
    async def start(self) -> EmbedderInfo:
        return EMBEDDER

    async def embed(self, texts: Sequence[str], kind: Literal["query", "document"]) -> NDArray[np.float32]:
        rows = np.array([[t.lower().count(chr(97 + i)) + 1e-3 for i in range(26)] for t in texts], np.float32)
        unit: NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return unit

    async def aclose(self) -> None:
        pass


async def built(name: str, **changes: Any) -> Any:
    settings = [
        SimulatedSettings(
            name=n, backend="simulated", seed=i, skill=0.9 - 0.2 * i, answers=LABELLED, max_retries=0, **changes
        )
        for i, n in enumerate("abc")
    ]
    pool = Pool([PooledLLM(SimulatedLLM(s), s) for s in settings])
    embedder = LetterEmbedder()
    bank_questions = tuple(QUESTIONS[:20])
    rng = np.random.default_rng(0)
    capability = (rng.random((3, 20)) < np.array([[0.9], [0.7], [0.5]])).astype(np.uint8)
    bank = QuestionBank(
        bank_questions,
        await embedder.embed([q.text for q in bank_questions], "document"),
        EMBEDDER,
        tuple("abc"),
        capability,
        np.ones_like(capability, dtype=bool),
    )
    method = SMCSSettings(k=2, n_base=8, n_aggregations=2, sampling=SamplingSettings(temperature=0.7, max_tokens=80))
    (spec,) = parse_specs("symbolic-moe:least_questions=1:trial_questions=2" if name == "symbolic-moe" else name)
    return build(spec, Parts(pool, bank, embedder, method))


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_module(name: str) -> None:
    module = registry.find("strategies", name)
    assert issubclass(module.Settings, Settings)
    assert module.__doc__
    assert module.Settings(), "every setting has a default"


async def test_answers_with_its_trace_and_usage(name: str) -> None:
    answer = await (await built(name)).answer(QUESTIONS[25], seed=1)
    assert isinstance(answer, Answer)
    assert answer.text.strip()
    assert answer.seed == 1
    assert answer.usage.calls >= 1
    assert answer.usage.completion_tokens > 0
    written = [r.completion.text for r in answer.trace.referencers if r.completion]
    written += [a.completion.text for a in answer.trace.aggregations if a.completion]
    assert answer.text in written, "the answer is something that an LLM wrote"
    assert answer.trace.seconds["longest chain of calls"] >= 0
    json.dumps(answer.to_dict())


async def test_the_same_seed_gives_the_same_answer(name: str) -> None:
    one, two = [await (await built(name)).answer(QUESTIONS[26], seed=7) for _ in range(2)]
    assert one.text == two.text
    assert one.usage == two.usage


async def test_a_live_question_needs_no_benchmark_and_no_grader(name: str) -> None:
    assert (await (await built(name)).answer(Question("What is 3 plus 3?"), seed=0)).text.strip()


async def test_events_fit_the_plan(name: str) -> None:
    events: list[Event] = []
    answer = await (await built(name)).answer(QUESTIONS[27], seed=0, observe=events.append)
    (planned,) = [e for e in events if isinstance(e, Planned)]
    assert planned.referencers == tuple(r.llm for r in answer.trace.referencers)
    assert len(planned.subsets) == len(answer.trace.aggregations)
    last = {(e.stage, e.index): e.state for e in events if isinstance(e, CallUpdate)}
    assert set(last.values()) == {"done"}
    assert {i for stage, i in last if stage == "reference"} == set(range(len(planned.referencers)))
    assert {i for stage, i in last if stage == "aggregation"} == set(range(len(planned.subsets)))


async def test_where_every_call_fails_there_is_no_answer(name: str) -> None:
    strategy = await built(name, faults=Faults(connection=1.0))
    with pytest.raises(NoAnswerError, match="broke"):
        await strategy.answer(QUESTIONS[28], seed=0)


async def test_cancelling_leaves_nothing_behind(name: str) -> None:
    strategy = await built(name, latency_s=60.0)
    task = asyncio.create_task(strategy.answer(QUESTIONS[28], seed=0))
    for _ in range(20):
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(asyncio.all_tasks()) == 1
