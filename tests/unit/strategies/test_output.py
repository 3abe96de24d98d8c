"""What is wanted of the answer beyond its text: it reaches the calls whose response may become it, and no others."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.strategies.conftest import Lab, is_aggregation

from smcs.config import SamplingSettings
from smcs.errors import UnsupportedError
from smcs.prompts import in_words, with_query
from smcs.system import System
from smcs.types import Completion, Message, Output, Question, ToolCall

WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
CALL = ToolCall("call_1", "weather", '{"city": "Oslo"}')


def able(lab: Lab, *features: str) -> None:
    """Let all LLMs do what is asked for."""
    for llm in lab.llms.values():
        llm._info = type(llm.info)(llm.info.name, "scripted", "x", True, True, features=features)


class TestWhoGetsIt:
    @pytest.mark.parametrize("spec", ["smcs", "moa", "moa:layers=2", "self-moa", "self-moa:aggregated_by=aggregator"])
    async def test_only_what_may_become_the_answer(self, lab: Any, spec: str) -> None:
        able(lab, "tools")
        output = Output(temperature=0.1, max_tokens=9, tools=(WEATHER,))
        question = Question("question fig", output=output)
        answer = await lab.build(spec).answer(question, seed=1)
        requests = [r for llm in lab.llms.values() for r in llm.requests]
        last = [r for r in requests if r.sampling.output is not None]
        assert last
        assert all(is_aggregation(r) and r.sampling.max_tokens == 9 and r.sampling.temperature == 0.1 for r in last)
        references = [r for r in requests if not is_aggregation(r)]
        assert references
        assert all(r.sampling.output is None and r.sampling.temperature is None for r in references)
        assert all("weather" in r.messages[0].content for r in references), "they see the tools as text"
        assert answer.choices[0].text == answer.text

    @pytest.mark.parametrize("spec", ["single", "majority", "best-of-n:n=2", "self-consistency:n=2", "router"])
    async def test_responses_that_are_chosen_among_get_it_themselves(self, lab: Any, spec: str) -> None:
        able(lab, "tools")
        question = Question("question fig", output=Output(stop=("X",), tools=(WEATHER,), tool_choice="required"))
        await lab.build(spec).answer(question, seed=1)
        requests = [r for llm in lab.llms.values() for r in llm.requests]
        assert requests
        assert all(r.sampling.output == question.output and r.sampling.stop == ("X",) for r in requests)

    async def test_it_goes_over_the_llm_s_own_settings_but_raises_no_limit(self, lab: Any) -> None:
        own = {"sampling": SamplingSettings(max_tokens=50, temperature=0.9, top_p=0.5)}
        lab.overrides = dict.fromkeys(lab.llms, own)
        question = Question("question fig", output=Output(max_tokens=100, temperature=0.0))
        await lab.build("single:llm=a").answer(question, seed=1)
        (request,) = lab.asked("a")
        assert (request.sampling.max_tokens, request.sampling.temperature, request.sampling.top_p) == (50, 0.0, 0.5)

    async def test_its_token_limit_takes_the_place_of_the_method_s(self, make_lab: Any) -> None:
        lab = make_lab(sampling={"max_tokens": 20}, aggregation_sampling={"max_tokens": 30})
        await lab.strategy().answer(Question("question fig", output=Output(max_tokens=100)), seed=1)
        requests = [r for llm in lab.llms.values() for r in llm.requests]
        assert {is_aggregation(r): r.sampling.max_tokens for r in requests} == {False: 20, True: 100}

    @pytest.mark.parametrize("spec", ["smcs", "moa", "self-moa"])
    async def test_an_aggregator_that_cannot_is_said_before_anything_is_paid_for(self, lab: Any, spec: str) -> None:
        question = Question("question fig", output=Output(response_format={"type": "json_object"}))
        with pytest.raises(UnsupportedError, match="cannot be held to a response format") as e:
            await lab.build(spec).answer(question, seed=1)
        assert e.value.feature == "response_format"
        assert not any(llm.requests for llm in lab.llms.values())


class TestChoices:
    async def test_aggregations_are_ranked_by_their_score(self, lab: Any) -> None:
        answer = await lab.strategy().answer(Question("question fig"), seed=1)
        scores = {id(a.completion): a.score for a in answer.trace.aggregations}
        ranked = [scores[id(c)] for c in answer.choices]
        assert len(ranked) == 4
        assert ranked == sorted(ranked, reverse=True)

    async def test_one_llm_gives_as_many_as_are_asked_for(self, lab: Any) -> None:
        answer = await lab.build("single:llm=a:n=3").answer(Question("question fig"), seed=1)
        assert [c.text for c in answer.choices] == ["a says 0", "a says 1", "a says 2"]

    async def test_calls_of_tools_are_compared_by_what_they_call(self, lab: Any) -> None:
        able(lab, "tools")
        for llm in lab.llms.values():
            llm._completion = lambda request, sample, name=llm.info.name: (
                Completion(name, "", finish_reason="tool_calls", tool_calls=(CALL,))
                if is_aggregation(request)
                else Completion(name, "It is cold.")
            )
        answer = await lab.strategy().answer(Question("weather?", output=Output(tools=(WEATHER,))), seed=1)
        assert answer.choices[0].tool_calls == (CALL,)
        assert answer.trace.aggregations[0].similarity == pytest.approx(1.0)
        assert any("no log-probabilities" in note for note in answer.trace.notes)


class TestToolsInWords:
    def test_calls_and_answers_become_turns_of_text(self) -> None:
        after = (
            Message("assistant", "", (CALL, ToolCall("call_2", "weather", '{"city": "Bergen"}'))),
            Message("tool", "-3", tool_call_id="call_1"),
            Message("tool", "7", tool_call_id="call_2"),
        )
        question, history = in_words(Question("Where is it colder?", after=after, output=Output(tools=(WEATHER,))), ())
        assert [m.role for m in question.after] == ["assistant", "user"]
        assert question.after[0].content == '[calls weather({"city": "Oslo"})]\n[calls weather({"city": "Bergen"})]'
        assert question.after[1].content == "[weather gave:]\n-3\n\n[weather gave:]\n7"
        assert question.output is None
        assert '"name": "weather"' in history[-1].content

    def test_nothing_changes_without_tools(self) -> None:
        question, turns = Question("Why?"), (Message("user", "a"), Message("assistant", "b"))
        assert in_words(question, turns) == (question, turns)

    def test_none_is_to_be_called(self) -> None:
        _, history = in_words(Question("Why?", output=Output(tools=(WEATHER,), tool_choice="none")), ())
        assert history == ()


class TestLookedUpBy:
    HISTORY = (
        Message("user", "How many moons does Jupiter have?"),
        Message("assistant", "It has 95 moons, as far as we know."),
    )

    def test_a_follow_up_takes_the_turns_before_it_along(self) -> None:
        asked = with_query(Question("And Saturn?"), self.HISTORY)
        assert asked.query == "How many moons does Jupiter have?\n\nAnd Saturn?"
        assert asked.text == "And Saturn?"

    def test_a_question_that_says_what_it_is_about_stands_alone(self) -> None:
        question = Question("Which of the planets of our solar system has the largest number of known moons?")
        assert with_query(question, self.HISTORY) is question

    async def test_it_is_what_similar_questions_are_found_by(self, lab: Any) -> None:
        system = System(lab.pool(), lab.bank(), lab.embedder, type(lab.strategy()._settings)(**lab.settings))
        history = (Message("user", "question banana"), Message("assistant", "yellow"))
        answer = await system.ask("and why?", history=history)
        assert answer.trace.support[0].id == "banana"
