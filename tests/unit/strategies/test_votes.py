"""Votes on worked examples, and what votes at all."""

from __future__ import annotations

from typing import Any

from smcs.graders.choice import create as choice
from smcs.graders.exact import create as exact
from smcs.strategies._votes import elect, stated_answers
from smcs.types import Question


class TestElection:
    def test_the_most_votes_win_and_the_best_of_their_voters_speaks(self) -> None:
        held = elect(["7", "8", "7", "7"], [1, 1, 1, 1], priority=[0.1, 0.9, 0.3, 0.2])
        assert held.winner == 2
        assert held.totals == (("7", 3.0), ("8", 1.0))

    def test_a_tie_goes_to_the_answer_of_the_best_voter(self) -> None:
        assert elect(["7", "8", "8", "7"], [1, 1, 1, 1], priority=[0.1, 0.2, 0.9, 0.3]).winner == 2

    def test_a_full_tie_goes_to_the_first(self) -> None:
        assert elect(["7", "8"], [1, 1], priority=[0.5, 0.5]).winner == 0

    def test_sums_in_another_order_are_a_tie(self) -> None:
        a, b, c = 0.1, 0.2, 0.3
        held = elect(["x", "x", "x", "y", "y", "y"], [a, b, c, c, b, a], priority=[0, 0, 0, 0, 0, 1])
        assert held.winner == 5

    def test_who_states_nothing_does_not_vote(self) -> None:
        held = elect([None, "8", None], [1, 1, 1], priority=[1, 0, 1])
        assert held.winner == 1
        assert elect([None, None], [1, 1], [1, 1]).winner is None

    def test_voters_without_weight_count_alike(self) -> None:
        assert elect(["7", "8", "8", None], [0, 0, 0, 5], [0, 0, 0, 0]).winner == 1

    def test_weights_decide_against_numbers(self) -> None:
        assert elect(["7", "8", "8"], [3.0, 1.0, 1.5], [0, 0, 0]).winner == 0


class TestStated:
    async def test_a_question_asked_live(self) -> None:
        question = Question("what is it?")
        texts = ["So it is. The answer is 42.", "It is about many things and " + "so on " * 20, "Lisbon"]
        assert await stated_answers(lambda _: exact(), question, texts) == ["42", None, "lisbon"]

    async def test_the_grader_of_a_benchmark_question_reads_it(self) -> None:
        question = Question("which?", id="q", answer="B", grader="choice", options=("x", "y", "z"))
        assert await stated_answers(lambda _: choice(), question, ["I choose (C).", "hm"]) == ["C", None]

    async def test_the_label_is_kept_from_the_grader(self) -> None:
        seen: list[Any] = []

        class Curious:
            def extract(self, response: str, question: Question) -> str:
                seen.append(question.answer)
                return "x"

        await stated_answers(lambda _: Curious(), Question("q", id="q", answer="SECRET"), ["r"])  # type: ignore[arg-type, return-value]
        assert seen == [None]
