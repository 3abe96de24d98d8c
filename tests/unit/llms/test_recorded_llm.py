"""Recorded LLMs: the right answer to the right question, and a failure to any other."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from smcs.config import validate
from smcs.errors import BadRequestError, ConfigError
from smcs.llms import _recording
from smcs.llms.recorded import RecordedLLM, Settings, create
from smcs.pool import PooledLLM
from smcs.prompts import aggregation_messages, reference_messages
from smcs.protocols import BuildContext, Progress
from smcs.types import Completion, Failure, Message, Question, Request, Sampling

QUESTIONS = [
    {"id": "a", "question": "What is 1 + 1?"},
    {"id": "b", "question": "You are given numbers. What is 2 + 2?\n\nA. 4\nB. 5"},
    {"id": "c", "question": "You are given numbers. What is 2 + 2?\n\nA. 4\nB. 5\nC. 6"},
    {"id": "twin", "question": "What is 1 + 1?"},
]
ANSWERS = [
    {"question_id": q, "llm": llm, "response": f"{llm} on {q}", "completion_tokens": 7}
    for llm in ("one", "two")
    for q in ("a", "b", "c")
]

Make = Callable[..., RecordedLLM]


def settings(**values: Any) -> Settings:
    least = {"name": "one", "backend": "recorded", "questions": "q.jsonl", "responses": "r.parquet"}
    return validate(Settings, least | values, "test")


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Builds an LLM of the recording, or of another one."""

    def made(
        name: str = "one",
        questions: Sequence[Any] = QUESTIONS,
        answers: Sequence[dict[str, Any]] | None = ANSWERS,
        **values: Any,
    ) -> RecordedLLM:
        lines = (line if isinstance(line, str) else json.dumps(line) for line in questions)
        (tmp_path / "q.jsonl").write_text("".join(f"{line}\n" for line in lines))
        if answers is not None:
            pq.write_table(pa.Table.from_pylist(list(answers)), tmp_path / "r.parquet")
        return create(settings(name=name, **values), BuildContext(tmp_path, base_dir=tmp_path))

    return made


def asked(text: str, **options: Any) -> Request:
    return Request((Message("system", "Think."), Message("user", text)), **options)


async def reply(llm: RecordedLLM, text: str) -> str:
    (made,) = await llm.complete(asked(text), Progress())
    return made.text


async def test_the_question_finds_the_answer(make: Make) -> None:
    one, two = make(), make("anything", llm="two")
    assert await reply(one, "What is 1 + 1?") == "one on a"
    assert await reply(two, QUESTIONS[1]["question"]) == "two on b"
    assert await reply(two, QUESTIONS[2]["question"]) == "two on c"
    assert (two.info.name, two.info.model) == ("anything", "two")


async def test_a_prompt_that_holds_the_question(make: Make) -> None:
    llm = make()
    assert await reply(llm, f"Example: none.\n\nQ: {QUESTIONS[2]['question']}\nAnswer:") == "one on c"  # not b
    assert await reply(llm, "  what?  You are given numbers. What is 2 + 2?\nA. 4   B. 5") == "one on b"


async def test_as_the_system_asks_it(make: Make) -> None:
    llm, question = make(), Question("What is 1 + 1?", system="Be brief.")
    for messages in (
        reference_messages(question),
        aggregation_messages(question, ["You are given numbers. What is 2 + 2?"]),
        reference_messages(question, history=[Message("user", QUESTIONS[1]["question"]), Message("assistant", "4")]),
    ):
        (made,) = await llm.complete(Request(messages), Progress())
        assert made.text == "one on a"


async def test_an_unknown_question_fails_by_its_name_and_is_not_tried_again(make: Make) -> None:
    pooled = PooledLLM(make(), settings())
    (failure,) = await pooled.complete(asked("What is the capital of France?"))
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.attempts) == ("bad_request", 1)
    assert "'What is the capital of France?'" in failure.message


async def test_a_question_that_this_llm_did_not_answer(make: Make) -> None:
    rows = [*ANSWERS, {"question_id": "b", "llm": "three", "response": None}, ANSWERS[0] | {"llm": "three"}]
    llm = make("three", answers=rows)
    assert await reply(llm, "What is 1 + 1?") == "one on a"
    with pytest.raises(BadRequestError, match="three was not recorded answering 'You are given"):
        await reply(llm, QUESTIONS[1]["question"])


async def test_the_same_whatever_the_sampling(make: Make) -> None:
    llm = make()
    seen = {
        (await llm.complete(asked("What is 1 + 1?", sampling=sampling, sample_index=i), Progress()))[0]
        for i, sampling in enumerate([Sampling(), Sampling(temperature=1.5, seed=4), Sampling(max_tokens=2)])
    }
    (made,) = seen
    assert (made.completion_tokens, made.finish_reason, made.token_logprobs) == (7, "stop", None)


async def test_samples_through_the_pool_cost_nothing(make: Make) -> None:
    pooled = PooledLLM(make(), settings())
    made = await pooled.complete(asked("What is 1 + 1?", n=3))
    assert [c.text for c in made if isinstance(c, Completion)] == ["one on a"] * 3
    assert [c.cost_usd for c in made if isinstance(c, Completion)] == [0.0] * 3


async def test_reasoning_and_finish_reason_where_they_are_recorded(make: Make) -> None:
    llm = make(answers=[ANSWERS[0] | {"reasoning": "hm", "finish_reason": "length"}])
    (made,) = await llm.complete(asked("What is 1 + 1?"), Progress())
    assert (made.reasoning, made.finish_reason) == ("hm", "length")


async def test_the_files_are_read_once_for_all(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[Path] = []
    real = _recording._table

    def counted(path: Path) -> Any:
        reads.append(path)
        return real(path)

    monkeypatch.setattr(_recording, "_table", counted)
    llms = [make(), make("two"), make("other", llm="one")]
    assert not reads  # building reads nothing
    for llm in llms:
        await llm.start()
        await llm.start()
    assert len(reads) == 1


async def test_several_files_in_one_recording(make: Make, tmp_path: Path) -> None:
    more = tmp_path / "more.jsonl"
    more.write_text(json.dumps({"id": "z", "question": "Which way?"}) + "\n")
    table = pa.table({"question_id": ["z"], "llm": ["one"], "response": pa.array(["left"], pa.large_string())})
    pq.write_table(table, tmp_path / "more.parquet")
    make()  # writes the first two
    both = settings(questions=["q.jsonl", "more.jsonl"], responses=["r.parquet", "more.parquet"])
    llm = create(both, BuildContext(tmp_path, base_dir=tmp_path))
    assert await reply(llm, "Which way?") == "left"
    assert await reply(llm, "What is 1 + 1?") == "one on a"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "oen"}, "r.parquet holds no answers of 'oen'; did you mean 'one'"),
        ({"questions": ["{"]}, r"q.jsonl:1: not a line of JSON"),
        ({"questions": [{"id": 1, "question": "x"}]}, "q.jsonl:1: not an object with the texts 'id' and 'question'"),
        ({"questions": [QUESTIONS[0], QUESTIONS[0]]}, "q.jsonl:2: the question id 'a' occurs twice"),
        ({"answers": [{"llm": "one", "response": "x"}]}, "r.parquet has no column question_id .it has: llm, response"),
        ({"answers": [{"question_id": 4, "llm": "one", "response": "x"}]}, "'question_id' must hold texts, not int64"),
        ({"answers": [ANSWERS[0], ANSWERS[0]]}, "r.parquet holds two answers of 'one' to one question"),
        ({"answers": None}, "cannot read the recorded answers in .*r.parquet: there is no such file"),
    ],
)
async def test_a_recording_that_cannot_be_used(make: Make, options: dict[str, Any], message: str) -> None:
    llm = make(**options)
    with pytest.raises(ConfigError, match=message):
        await llm.start()


async def test_a_file_of_questions_that_is_missing_or_no_zstd_file(make: Make, tmp_path: Path) -> None:
    make()
    here = BuildContext(tmp_path, base_dir=tmp_path)
    with pytest.raises(ConfigError, match=r"cannot read the recorded questions in .*none.jsonl: No such file"):
        await create(settings(questions="none.jsonl"), here).start()
    (tmp_path / "q.jsonl.zst").write_bytes(b"not compressed")
    with pytest.raises(ConfigError, match="is not a zstd file"):
        await create(settings(questions="q.jsonl.zst"), here).start()


def test_no_files_at_all() -> None:
    with pytest.raises(ConfigError, match="name at least one file"):
        settings(questions=[])
