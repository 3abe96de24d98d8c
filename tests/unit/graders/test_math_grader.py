"""Mathematics and AIME: finding the answer, judging it, and surviving what never ends."""

from __future__ import annotations

import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smcs.graders import aime
from smcs.graders._math_process import MathProcess, RanAwayError
from smcs.graders._math_text import as_number, find_answer, last_boxed
from smcs.graders.math import MathGrader
from smcs.types import Question


@pytest.fixture(scope="module")
def grader() -> MathGrader:
    return MathGrader()


def question(answer: str | None) -> Question:
    return Question(text="?", answer=answer, grader="math")


@pytest.mark.parametrize(
    ("response", "found"),
    [
        (r"First \boxed{2}. No: it is \boxed{3}", "3"),
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"The answer is 7, I said; but in the box \boxed{8}.", "8"),
        (r"$x = \boxed{2}$ or $x=\boxed{-2}$", "2, -2"),
        (r"so \boxed 5 it is", "5"),
        (r"\boxed{\boxed{4}}", "4"),
        (r"\boxed{a\}b}", r"a\}b"),
        ("The answer is 42.", "42"),
        ("The answer is 3.5.", "3.5"),
        ("**Final Answer:** $x=3$ holds", "x=3"),
        ("The answer is:\n\n\\[ \\sqrt{2} \\]", r"\sqrt{2}"),
        ("The answer is 5 apples.", "5"),
        ("The answer is Evelyn.", "Evelyn"),
        ("The answer is 12. I mean, the answer is 13.", "13"),
        (r"Hence $2x+3$ and then $2x+5$.", "2x+5"),
        ("Thus 5 + 6 = 11", "11"),
        (r"it is \boxed{}", None),
        ("nothing", None),
        ("", None),
    ],
)
def test_finds_the_answer(response: str, found: str | None) -> None:
    assert find_answer(response) == found


def test_a_box_that_is_cut_off_is_no_box() -> None:
    assert last_boxed(r"done: \boxed{\frac{1}{2") is None


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("10,080", "10080"),
        (r"\frac{1}{2}", "0.5"),
        (r"\frac{1}{2}", r"\dfrac12"),
        (r"3\sqrt{13}", r"\sqrt{117}"),
        (r"\frac{\sqrt{2}}{2}", r"\frac{1}{\sqrt{2}}"),
        ("(3,4)", r"\left( 3, 4 \right)"),
        ("1,-2", "-2, 1"),
        (r"x \in [-2,7]", "[-2,7]"),
        (r"\text{C}", "(C)"),
        (r"\text{Navin}", "Navin"),
        ("x=5", "5"),
        (r"90^\circ", "90"),
        (r"\$32,348", "32348"),
        (r"5.4 \text{ cents}", "5.4"),
        (r"6 - 5i", r"-5i+6"),
        (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", r"\begin{bmatrix} 1 \\ 2 \end{bmatrix}"),
        ("(x+1)^2", "x^2+2x+1"),
        (r"11\frac{1}{2}", "11.5"),
    ],
)
def test_same_value(grader: MathGrader, gold: str, answer: str) -> None:
    assert grader.grade(rf"So \boxed{{{answer}}}", question(gold)).correct is True


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("12", "13"),
        (r"\frac{1}{3}", "0.333"),
        ("(3,4)", "(4,3)"),
        ("[1,2]", "[1,2)"),
        (r"\text{even}", "odd"),
        (r"\sqrt{2}", "2"),
        ("x^2", "x^3"),
        ("5", r"\text{five}"),
    ],
)
def test_other_value(grader: MathGrader, gold: str, answer: str) -> None:
    assert grader.grade(rf"So \boxed{{{answer}}}", question(gold)).correct is False


@pytest.mark.parametrize(
    "ways",
    [
        ("0.5", r"\frac12", "1/2", r"\frac{2}{4}", ".5", r"\dfrac{1}{2}", "0.50"),
        ("10080", "10,080", r"10{,}080", r"10,\!080"),
        (r"2\sqrt{2}", r"\sqrt{8}", r"\frac{4}{\sqrt{2}}"),
        ("x^2+2x+1", "(x+1)^2", "1 + 2x + x^2"),
        ("3,4", "4, 3", r"\{3,4\}"),
        (r"\text{even}", "even", r"\mathrm{even}"),
        ("C", "(C)", r"\text{C}"),
        ("90", r"90^\circ", r"90^{\circ}"),
        ("5", "x = 5", r"\$5", "5.0"),
    ],
)
def test_one_normal_form_for_all_ways_to_write_it(grader: MathGrader, ways: tuple[str, ...]) -> None:
    assert len({grader.extract(rf"\boxed{{{way}}}", question("1")) for way in ways}) == 1


def test_no_answer_is_wrong(grader: MathGrader) -> None:
    grade = grader.grade("I do not know.", question("1"))
    assert (grade.correct, grade.extracted) == (False, None)


@pytest.mark.parametrize("answer", [None, " "])
def test_no_label_is_not_graded(grader: MathGrader, answer: str | None) -> None:
    grade = grader.grade("1", question(answer))
    assert grade.correct is None
    assert "none" in grade.reason


def test_what_never_ends_is_not_graded_and_the_next_one_is() -> None:
    grader = MathGrader()
    grader._algebra = MathProcess(cpu_seconds=0.5)
    grade = grader.grade(r"\boxed{9^{9^{9^{9^{9}}}}}", question("5"))
    assert grade.correct is None
    assert "comparison" in grade.reason
    assert grader.grade(r"\boxed{\sqrt{4}}", question("2")).correct is True  # by another process
    grader._algebra.close()


def test_works_in_a_thread(grader: MathGrader) -> None:
    grades: list[bool | None] = []
    threads = [
        threading.Thread(
            target=lambda: grades.append(grader.grade(r"\boxed{\sqrt{8}}", question(r"2\sqrt{2}")).correct)
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert grades == [True] * 4


def test_works_in_a_pool_process_even_when_it_was_used_before(grader: MathGrader) -> None:
    assert grader.equal("2", r"\sqrt{4}")
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        future = pool.submit(grader.grade, r"\boxed{\sqrt{8}}", question(r"2\sqrt{2}"))
        assert future.result().correct is True


def test_a_process_that_cannot_start_is_not_graded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(RanAwayError, match="did not start"):
        MathProcess().equal("1", "x")


@given(st.integers(-(10**12), 10**12), st.integers(1, 10**6))
def test_fractions_are_read_exactly(top: int, bottom: int) -> None:
    plain, tex = as_number(f"{top}/{bottom}"), as_number(rf"{'-' if top < 0 else ''}\frac{{{abs(top)}}}{{{bottom}}}")
    assert plain == tex
    assert plain is not None
    assert plain * bottom == top


@settings(deadline=None)
@given(st.text(st.sampled_from("\\boxed{}$answer is 12,./^frac()[]*\n=-"), max_size=80))
def test_finding_never_raises(response: str) -> None:
    found = find_answer(response)
    assert found is None or found
    as_number(found or "")


class TestAime:
    @pytest.mark.parametrize(
        ("answer", "response", "correct", "extracted"),
        [
            ("25", r"\boxed{025}", True, "25"),
            ("25", r"\boxed{25}", True, "25"),
            ("025", "The answer is 25.", True, "25"),
            ("25", r"\boxed{m+n = 25}", True, "25"),
            ("0", r"\boxed{0}", True, "0"),
            ("25", r"\boxed{\frac{50}{2}}", True, "25"),
            ("25", r"\boxed{250}", False, "250"),
            ("25", r"\boxed{25.5}", False, "51/2"),
            ("25", "no idea", False, None),
        ],
    )
    def test_grades(self, answer: str, response: str, correct: bool, extracted: str | None) -> None:
        grade = aime.create().grade(response, Question(text="?", answer=answer))
        assert (grade.correct, grade.extracted) == (correct, extracted)

    @pytest.mark.parametrize("answer", [None, "", "1000", "-1", "2.5", "x"])
    def test_refuses_other_labels(self, answer: str | None) -> None:
        grade = aime.create().grade("1", Question(text="?", answer=answer))
        assert grade.correct is None
        assert "0 to 999" in grade.reason
