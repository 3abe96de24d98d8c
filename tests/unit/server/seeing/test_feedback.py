"""Feedback becomes questions of a bank: which label, which grader, what is left out."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from smcs.bank import open_bank
from smcs.cli import run
from smcs.errors import UnknownNameError
from smcs.server.feedback import turn_into_questions
from smcs.server.traces import open_traces
from smcs.types import Question

CHOICES = "Which planet has rings that one sees?\nA) Venus\nB) Saturn\nC) Mars"


def judged(
    question: str = "q",
    answer: str = "The answer is 7.",
    verdict: str = "right",
    corrected: str | None = None,
    **record: Any,
) -> Any:
    """The one question, or why there is none."""
    whole = {"question": question, "answer": answer, "history": [], "trace": None, **record}
    row = {"trace": "t", "verdict": verdict, "answer": corrected, "time": 0.0, "comment": None}
    bank = (Question("old?", id="old", grader="aime"),)
    turned = turn_into_questions([row], {"t": whole}.get, present=bank)
    return turned.questions[0] if turned.questions else turned.skipped["t"]


@pytest.mark.parametrize(
    ("given", "label", "grader"),
    [
        ({"answer": "6 + 1 = 7. The answer is 7."}, "7", "numeric"),
        ({"answer": "It has rings.\nThe answer is **Saturn**."}, "Saturn", "exact"),
        ({"question": CHOICES, "answer": "Clearly. The answer is (B)."}, "B", "choice"),
        ({"question": CHOICES, "verdict": "wrong", "corrected": "B"}, "B", "choice"),
        ({"verdict": "wrong", "corrected": "1,274"}, "1,274", "numeric"),
        ({"verdict": "wrong", "corrected": "\\frac{1}{2}"}, "\\frac{1}{2}", "math"),
        ({"verdict": "wrong", "corrected": "the Cassini division"}, "the Cassini division", "exact"),
        ({"answer": "Long talk about rings and much else besides.", "corrected": "Saturn"}, "Saturn", "exact"),
        ({"trace": {"support": [{"id": "old"}]}}, "7", "aime"),
        ({"trace": {"support": [{"id": "old"}]}, "verdict": "wrong", "corrected": "Mars"}, "Mars", "exact"),
    ],
)
def test_label_and_grader(given: dict[str, Any], label: str, grader: str) -> None:
    question = judged(**given)
    assert isinstance(question, Question), question
    assert (question.answer, question.grader) == (label, grader)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"verdict": "wrong"}, "nobody said what is right"),
        ({"answer": "Long talk about rings and much else, and no statement of what it comes to"}, "does not state"),
        ({"question": None}, "--traces full"),
        ({"history": [{"role": "user", "content": "hello"}]}, "conversation"),
        ({"question": "Old?", "answer": "The answer is 1."}, "already"),
    ],
)
def test_what_gives_no_question_says_why(given: dict[str, Any], why: str) -> None:
    assert why in judged(**given)


def test_a_system_prompt_stays_with_the_question() -> None:
    question = judged(system="Be brief.", history=[{"role": "system", "content": "You are a clerk."}])
    assert question.system == "Be brief.\n\nYou are a clerk."


def test_an_unknown_grader_is_named() -> None:
    with pytest.raises(UnknownNameError, match="numerik"):
        turn_into_questions([], lambda _: None, grader="numerik")


async def stored(world: Any) -> None:
    store = await open_traces(world.folder / "t.sqlite")
    assert store is not None
    for i, (question, answer) in enumerate(
        [("What is 70 plus 1?", "The answer is 71."), ("What is 80 plus 1?", "The answer is 18."), ("hm?", "Hm.")]
    ):
        when = {"time": time.time() - 2 * 86_400 + i, "seconds": 1.0, "source": "api", "strategy": "smcs"}
        await store.add({"id": f"t{i}", "question": question, "answer": answer, "status": "ok", **when})
    await store.add_feedback("t0", "right")
    await store.add_feedback("t1", "right")
    await store.add_feedback("t1", "wrong", answer="81", comment="typing error")
    await store.add_feedback("t2", "wrong")
    await store.aclose()


def test_the_command_adds_them_once_and_they_can_be_evaluated(world: Any, capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(stored(world))
    where = [str(world.bank), "--traces-file", str(world.folder / "t.sqlite")]
    add = ["bank", "add-feedback", *where, "--pool", str(world.pool), "-q"]

    def smcs(*arguments: str) -> tuple[str, str]:
        assert run(list(arguments)) == 0
        shown = capsys.readouterr()
        return shown.out, shown.err

    out, err = smcs(*add, "--dry-run")
    lines = [json.loads(line) for line in out.splitlines()]
    assert [(line["question"], line["answer"], line["grader"]) for line in lines] == [
        ("What is 70 plus 1?", "71", "numeric"),
        ("What is 80 plus 1?", "81", "numeric"),
    ]
    assert "left out: t2: the answer was wrong" in err
    assert _count(world) == 16
    reviewed = world.folder / "reviewed.jsonl"
    reviewed.write_text(out)
    assert "2 questions added, 1 left out" in smcs(*add)[0]
    assert _count(world) == 18
    assert "0 questions added, 3 left out" in smcs(*add)[0]
    out, _ = smcs("bank", "add", str(world.bank), "--from", str(reviewed), "--pool", str(world.pool), "-q")
    assert "0 questions added, 2 were there already" in out, "the same lines, by both ways"
    world.evaluate("one")
    with open_bank(world.bank) as store:
        bank = store.load()
    assert bank.select(["one"]).observed.all(), "graded like any other question"


def _count(world: Any) -> int:
    with open_bank(world.bank) as store:
        return len(store.questions())


def test_traces_on_the_command_line(world: Any, capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(stored(world))
    where = ["--traces-file", str(world.folder / "t.sqlite")]

    def smcs(*arguments: str, status: int = 0) -> str:
        assert run(["trace", *arguments, *where]) == status
        shown = capsys.readouterr()
        return shown.out + shown.err

    assert [one["id"] for one in json.loads(smcs("list", "plus", "--json"))] == ["t1", "t0"]
    assert "What is 80 plus 1?" in smcs("list", "--judged")
    assert "no traces" in smcs("list", "nothing of the kind")
    shown = smcs("show", "t1")
    assert "The answer is 18." in shown
    assert "wrong; answer: 81; comment: typing error" in shown
    assert json.loads(smcs("show", "t1", "--json"))["question"] == "What is 80 plus 1?"
    assert "there is no trace 'nothing'" in smcs("show", "nothing", status=2)
    assert "say which traces" in smcs("delete", status=2)
    assert "1 traces deleted" in smcs("delete", "t1")
    assert "2 traces deleted" in smcs("delete", "--older-than", "1")
    missing = ["trace", "list", "--traces-file", str(world.folder / "none.sqlite")]
    assert run(missing) == 1
    assert not (world.folder / "none.sqlite").exists()
