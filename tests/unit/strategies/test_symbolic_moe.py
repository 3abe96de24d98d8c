"""Symbolic-MoE: skills, profiles, recruits, aggregator."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smcs.errors import ConfigError, NoAnswerError, ServerError
from smcs.strategies._skills import Profile, make_profile, parse_skills
from smcs.types import Question

QUESTION = Question("question fig", id="q1", answer="SECRET", benchmark="other")


def is_annotation(request: Any) -> bool:
    return "Skills:" in request.messages[0].content


def is_aggregation(request: Any) -> bool:
    return "Responses from models:" in request.messages[0].content


def skilled(lab: Any, skills: dict[str, str], annotator: str = "a", answer: str = "The answer is fig.") -> None:
    """The annotator names skills by a word of the question; everybody answers the same."""
    for name, llm in lab.llms.items():

        def reply(request: Any, sample: int, name: str = name) -> str:
            if is_annotation(request):
                word = request.messages[-1].content.split()[-1]
                return f"Skills: {skills.get(word, 'botany')}"
            return f"aggregated by {name}" if is_aggregation(request) else f"{answer} ({name})"

        llm.reply = reply


@pytest.mark.parametrize(
    ("reply", "skills"),
    [
        ("Skills: Algebra, number theory.", ("algebra", "number theory")),
        ("I think.\nskills - none\nSkills: a, b, a, c, d, e, f", ("a", "b", "c", "d", "e")),
        ("**Skills:** C++; file I/O", ("c++", "file i/o")),
        ("algebra, logic", ("algebra", "logic")),
        ("", ()),
        ("Skills: " + "many words that are a sentence and no skill at all", ()),
    ],
)
def test_skills_of_a_reply(reply: str, skills: tuple[str, ...]) -> None:
    assert parse_skills(reply) == skills


async def test_profiles_count_right_less_wrong(lab: Any) -> None:
    skills = {"apple": ["trees"], "banana": ["trees", "herbs"], "cherry": ["trees"], "fig": ["rare"]}
    bank = lab.bank()
    profile = await make_profile(bank, skills, lab.embedder, least_questions=2)
    assert profile.skills == ("trees",)
    # a is right on all three, b on the last two, c on the last one, d on none.
    assert profile.score[:, 0].tolist() == [3, 1, -1, -3]
    assert profile.suitability([0]).tolist() == pytest.approx([1, 1 / 3, -1 / 3, -1])
    with pytest.raises(ConfigError, match="least_questions lower"):
        await make_profile(bank, skills, lab.embedder, least_questions=9)


def test_unobserved_questions_count_neither_way() -> None:
    profile = Profile(("s",), np.array([[0.0], [2.0]]), np.array([[0.0], [4.0]]), np.zeros((1, 2), np.float32))
    assert profile.competency().tolist() == [0, 0.5]


class TestCallGraph:
    async def test_compared_variant(self, lab: Any) -> None:
        skilled(lab, {})
        strategy = lab.build("symbolic-moe:variant=compared:aggregator=a:recruits=4")
        answer = await strategy.answer(QUESTION, seed=0)
        annotations = [r for r in lab.asked("a") if is_annotation(r)]
        assert len(annotations) == 7  # six of the bank, one of the question
        assert sum(r.n for llm in lab.llms.values() for r in llm.requests if not is_annotation(r)) == 4 + 1
        assert answer.text == "aggregated by a"
        assert "d" not in {r.llm for r in answer.trace.referencers} or len(answer.trace.referencers) == 4
        assert any("botany" in note for note in answer.trace.notes)
        before = len(lab.asked("a"))
        await strategy.answer(QUESTION, seed=1)
        assert len([r for r in lab.asked("a")[before:] if is_annotation(r)]) == 1, "the bank is annotated once"

    async def test_recruits_are_asked_together(self, lab: Any) -> None:
        skilled(lab, {})
        for name in "bcd":
            lab.llms[name].released.clear()
        strategy = lab.build("symbolic-moe:variant=compared:aggregator=a:recruits=100")
        task = asyncio.create_task(strategy.answer(QUESTION, seed=0))
        await asyncio.gather(*(lab.llms[name].asked.wait() for name in "bcd"))
        for name in "bcd":
            lab.llms[name].released.set()
        trace = (await task).trace
        assert sum(trace.prior.values()) == pytest.approx(1), "the chances with which LLMs are drawn"
        assert sorted(trace.prior, key=trace.prior.__getitem__, reverse=True) == ["a", "b", "c", "d"]

    async def test_the_bank_is_annotated_once_for_many_at_once(self, lab: Any) -> None:
        skilled(lab, {})
        strategy = lab.build("symbolic-moe:variant=compared:aggregator=a")
        await asyncio.gather(*(strategy.answer(QUESTION, seed=s) for s in range(3)))
        assert len([r for r in lab.asked("a") if is_annotation(r)]) == 6 + 3

    async def test_stronger_llms_are_drawn_more_often(self, lab: Any) -> None:
        skilled(lab, {})
        strategy = lab.build("symbolic-moe:variant=compared:aggregator=a:recruits=100")
        drawn = [r.llm for r in (await strategy.answer(QUESTION, seed=0)).trace.referencers]
        assert drawn.count("a") > drawn.count("b") > drawn.count("d") > 0

    async def test_the_published_variant_tries_every_llm_as_the_aggregator(self, lab: Any) -> None:
        skilled(lab, {})

        # Only c comes to the label of the bank's questions when it aggregates.
        def good(request: Any, sample: int) -> str:
            return "The answer is SECRET." if is_aggregation(request) else "The answer is no."

        lab.llms["c"].reply = good
        answer = await lab.build("symbolic-moe:trial_questions=2:annotator=a").answer(QUESTION, seed=0)
        assert answer.trace.aggregator == "c"
        assert answer.text == "The answer is SECRET."
        assert sum(is_aggregation(r) for r in lab.asked("d")) == 2

    async def test_a_failed_annotation_recruits_by_competency(self, lab: Any) -> None:
        skilled(lab, {})
        strategy = lab.build("symbolic-moe:variant=compared:aggregator=a:annotator=b")
        await strategy.answer(QUESTION, seed=0)
        lab.fail("b")
        answer = await strategy.answer(QUESTION, seed=1)
        assert any("recruited by competency alone" in note for note in answer.trace.notes)

    async def test_a_bank_that_could_not_be_annotated_is_no_answer_and_goes_on_where_it_was(self, lab: Any) -> None:
        skilled(lab, {})
        plain = lab.llms["b"].reply
        lab.llms["b"].reply = lambda request, sample: (
            ServerError("down") if "cherry" in request.messages[-1].content else plain(request, sample)
        )
        strategy = lab.build("symbolic-moe:variant=compared:aggregator=a:annotator=b")
        with pytest.raises(NoAnswerError, match=r"1 of the bank's 6 questions.*down"):
            await strategy.answer(QUESTION, seed=0)
        lab.llms["b"].reply = plain
        before = len(lab.asked("b"))
        await strategy.answer(QUESTION, seed=0)
        assert len([r for r in lab.asked("b")[before:] if is_annotation(r)]) == 2


class TestSkillsFile:
    async def test_is_written_and_read(self, lab: Any, tmp_path: Path) -> None:
        skilled(lab, {})
        spec = f"symbolic-moe:variant=compared:aggregator=a:skills={tmp_path / 'skills.json'}"
        await lab.build(spec).answer(QUESTION, seed=0)
        assert json.loads((tmp_path / "skills.json").read_text())["fig"] == ["botany"]
        before = len(lab.asked("a"))
        await lab.build(spec).answer(QUESTION, seed=0)
        assert sum(is_annotation(r) for r in lab.asked("a")[before:]) == 1

    async def test_that_is_none(self, lab: Any, tmp_path: Path) -> None:
        (tmp_path / "skills.json").write_text("[1]")
        with pytest.raises(ConfigError, match="no file of skills"):
            await lab.build(f"symbolic-moe:skills={tmp_path / 'skills.json'}").answer(QUESTION, seed=0)
