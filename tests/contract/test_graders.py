"""What holds for every grader, whatever it grades.

A grader that the registry finds and that has no specimen here fails: a new one comes with its specimen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

import pytest

from smcs import registry
from smcs.programs import Sandbox, SandboxedGrader
from smcs.protocols import Grader
from smcs.sandbox import choose, conduct_blocking
from smcs.types import Grade, Question

HOSTILE = [
    "",
    " \n\t",
    "\0",
    "\ud83d",
    "\\boxed{",
    "\\boxed{}" * 50,
    "The answer is",
    "Answer:" * 200,
    "(" * 500,
    "{" * 500 + "}" * 500,
    "A" * 5000,
    "1" * 5000,
    "1/0",
    "$$$ \\frac{\\frac{1}{2}}{0} $$$",
    "the answer is " * 300,
    "**" * 500,
    "```python\n" * 50,
    '{"answer": ' * 200,
]


@dataclass(frozen=True)
class Specimen:
    """A question with a response that is right, one that is wrong, and a question whose label cannot be read.

    `votes` is whether responses have an answer that two of them can have in common.
    """

    question: Question
    right: str
    wrong: str
    bad_label: Question
    votes: bool = True


DOUBLE = Question("?", meta={"tests": ["assert double(2) == 4", "assert double(-1) == -2"]})
BANANA = Question("?", meta={"instruction_id_list": ["keywords:existence"], "kwargs": [{"keywords": ["banana"]}]})
SPECIMENS: Mapping[str, Specimen] = {
    "aime": Specimen(Question("?", answer="42"), "So \\boxed{42}.", "So \\boxed{43}.", Question("?", answer="1000")),
    "choice": Specimen(
        Question("?", answer="B", options=("one", "two")),
        "The answer is (B).",
        "The answer is (A).",
        Question("?", answer="C", options=("one", "two")),
    ),
    "code": Specimen(
        DOUBLE,
        "```python\ndef double(x):\n    return 2 * x\n```",
        "```python\ndef double(x):\n    return x * x\n```",
        Question("?", meta={"tests": ["assert double(2 =="]}),
        votes=False,
    ),
    "cruxeval": Specimen(
        Question("?", answer="['a', 1]"), '{"answer": "[\'a\', 1]"}', '{"answer": "[\'a\', 2]"}', Question("?")
    ),
    "gsm8k": Specimen(
        Question("?", answer="1200"), '{"answer": "1,200"}', '{"answer": "1,300"}', Question("?", answer="many")
    ),
    "ifeval": Specimen(BANANA, "I like a banana.", "I like an apple.", Question("?"), votes=False),
    "ifeval-loose": Specimen(BANANA, "I like a banana.", "I like an apple.", Question("?"), votes=False),
    "exact": Specimen(Question("?", answer="Paris"), "The answer is Paris.", "The answer is Rome.", Question("?")),
    "math": Specimen(
        Question("?", answer="\\frac{1}{2}"), "The answer is $\\frac{2}{4}$.", "The answer is 2.", Question("?")
    ),
    "numeric": Specimen(Question("?", answer="7"), "The answer is 7.", "The answer is 8.", Question("?", answer="x")),
    "regex": Specimen(Question("?", answer="a+b"), "aaab", "b", Question("?", answer="(")),
}


Judge: TypeAlias = Callable[[str, Question], Grade]


def of(name: str) -> Specimen:
    assert name in SPECIMENS, f"a new grader comes with its specimen here: {name!r} has none"
    return SPECIMENS[name]


@pytest.fixture(params=registry.names("graders"))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@cache
def built(name: str) -> Grader:
    """One of each for all tests: some load an algebra system first."""
    found: Grader = registry.find("graders", name).create()
    return found


@pytest.fixture
def grader(name: str) -> Grader:
    return built(name)


@pytest.fixture(scope="module")
def sandbox() -> Sandbox:
    """The weak one, which every system has: nothing here is out to do harm."""
    return choose("rlimits")


@pytest.fixture
def judge(grader: Grader, sandbox: Sandbox) -> Judge:
    """Grades a response as an evaluation does: through the sandbox where the grader runs programs."""

    def judged(response: str, question: Question) -> Grade:
        if isinstance(grader, SandboxedGrader):
            return conduct_blocking(sandbox, grader.trial(response, question))
        return grader.grade(response, question)

    return judged


def test_it_is_a_grader_with_its_name_and_a_version(name: str, grader: Grader) -> None:
    assert isinstance(grader, Grader)
    assert grader.name == name
    assert grader.version


def test_right_is_right_and_wrong_is_wrong(name: str, grader: Grader, judge: Judge) -> None:
    specimen = of(name)
    assert grader.check(specimen.question) is None
    assert judge(specimen.right, specimen.question).correct is True
    assert judge(specimen.wrong, specimen.question).correct is False


def test_grades_are_the_same_again(name: str, judge: Judge) -> None:
    specimen = of(name)
    for response in (specimen.right, specimen.wrong):
        assert judge(response, specimen.question) == judge(response, specimen.question)


def test_another_grader_of_the_name_judges_alike(name: str, grader: Grader) -> None:
    specimen = of(name)
    for response in (specimen.right, specimen.wrong):
        again: Grade = registry.find("graders", name).create().grade(response, specimen.question)
        assert grader.grade(response, specimen.question) == again


def test_without_a_sandbox_nothing_that_needs_one_is_wrong(name: str, grader: Grader) -> None:
    specimen = of(name)
    if isinstance(grader, SandboxedGrader):
        for response in (specimen.right, specimen.wrong):
            grade = grader.grade(response, specimen.question)
            assert grade.correct is None
            assert grade.reason


def test_a_label_that_cannot_be_read_is_named_and_grades_nothing(name: str, grader: Grader, judge: Judge) -> None:
    specimen = of(name)
    assert grader.check(specimen.bad_label)
    assert judge(specimen.right, specimen.bad_label).correct is None


@pytest.mark.parametrize("response", HOSTILE, ids=range(len(HOSTILE)))
def test_no_response_is_an_error_or_right_by_accident(name: str, judge: Judge, response: str) -> None:
    assert judge(response, of(name).question).correct in (False, None)


def test_what_is_extracted_does_not_depend_on_the_label(name: str, grader: Grader) -> None:
    specimen = of(name)
    live = Question("?", options=specimen.question.options, meta=specimen.question.meta)
    assert grader.extract(specimen.right, live) == grader.extract(specimen.right, specimen.question)


def test_equal_answers_are_extracted_as_equal_and_others_as_others(name: str, grader: Grader, judge: Judge) -> None:
    specimen = of(name)
    right = grader.extract(specimen.right, specimen.question)
    assert right == judge(specimen.right, specimen.question).extracted
    wrong = grader.extract(specimen.wrong, specimen.question)
    if specimen.votes:
        assert right is not None
        assert right != wrong
    else:
        assert (right, wrong) == (None, None)
