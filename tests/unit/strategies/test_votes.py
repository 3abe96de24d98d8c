"""Votes on worked examples, and what votes at all."""

from __future__ import annotations

import math
from typing import Any

import pytest

from smcs.graders.choice import create as choice
from smcs.graders.exact import create as exact
from smcs.strategies._votes import elect, log_odds_weight, stated_answers
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

    def test_weights_decide_against_numbers(self) -> None:
        assert elect(["7", "8", "8"], [3.0, 1.0, 1.5], [0, 0, 0]).winner == 0


class TestWeights:
    def test_worked_examples(self) -> None:
        assert log_odds_weight(0.8, 2) == pytest.approx(math.log(4))
        assert log_odds_weight(0.5, 4) == pytest.approx(math.log(3))

    def test_guessing_has_no_weight(self) -> None:
        assert log_odds_weight(0.25, 4) == pytest.approx(0, abs=1e-12)
        assert log_odds_weight(0.1, 4) == 0

    def test_the_extremes_are_finite(self) -> None:
        assert log_odds_weight(1.0, 4) == pytest.approx(math.log(3 * 99))
        assert log_odds_weight(0.0, 2) == 0

    def test_sharpness_favours_the_strongest(self) -> None:
        def share(sharpness: float) -> float:
            strong, weak = (log_odds_weight(p, 4, sharpness=sharpness) for p in (0.9, 0.6))
            return strong / (strong + weak)

        assert share(0) == pytest.approx(0.5)
        assert share(1) < share(3)

    def test_three_good_llms_outvote_one_better_one(self) -> None:
        # Independent LLMs right in 0.9 and 0.8, two options: 0.9 / 0.1 = 9 < (0.8 / 0.2)^2 = 16.
        assert log_odds_weight(0.9, 2) < 2 * log_odds_weight(0.8, 2)
        assert log_odds_weight(0.9, 2) > log_odds_weight(0.8, 2)


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
