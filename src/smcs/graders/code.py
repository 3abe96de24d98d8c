"""Code: the program in the response must pass the question's tests.

``meta["tests"]`` is a list of

* Python statements, usually ``assert f(1) == 2`` (MBPP), after the optional ``meta["test_setup_code"]``; or
* ``{"input": …, "output": …, "testtype": "stdin"}``: what is printed must be the output (see
  `smcs.graders._code.output` for the exact rule); or
* ``{"input": …, "output": …, "testtype": "functional"}``: one JSON value per line are the arguments of
  ``meta["func_name"]`` (a method of ``Solution`` where the program has that class), the output is what it returns.

The last two are LiveCodeBench's. Programs run in a sandbox that the caller has (see `smcs.programs.SandboxedGrader`).
What is expected never enters the process of the tested program, if the test allows that.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from smcs.graders._code.asserts import Test, called_names, judging_program, take_apart
from smcs.graders._code.output import same_output
from smcs.graders._code.prelude import with_prelude
from smcs.graders._code.response import defined_names, find_program, parse
from smcs.graders._code.values import Answer, as_source, contains_other, read_answers, shown
from smcs.programs import Limits, Outcome, Program, Trial
from smcs.types import Grade, Question

LIMITS = Limits(seconds=60, cpu_seconds=10, memory_mb=1024, processes=16, output_bytes=8 << 20)
"""For a program with all its assertions. Processor time decides, so that a busy machine makes nothing wrong."""
LIMITS_PER_TEST = Limits(seconds=36, cpu_seconds=6, memory_mb=1024, processes=16, output_bytes=8 << 20)
"""For one test of LiveCodeBench, whose own evaluation allows six seconds."""
_KINDS = ("stdin", "functional")


class CodeGrader:
    """The grader ``code``. A `smcs.programs.SandboxedGrader`."""

    name = "code"
    version = "1"
    time_limit_s = 1200.0
    """Longest that one grade may take on a machine that is busy with other things."""

    def check(self, question: Question) -> str | None:
        """Why the tests cannot be used, or None."""
        tests = question.meta.get("tests")
        if not isinstance(tests, Sequence) or isinstance(tests, str) or not tests:
            return "the question has no tests (a list in its metadata)"
        if all(isinstance(test, str) for test in tests):
            broken = [test for test in (*tests, _setup(question)) if parse(test) is None]
            return f"a test is not Python: {broken[0]!r}" if broken else None
        if not all(isinstance(test, Mapping) and test.get("testtype") in _KINDS for test in tests):
            return "a test must be Python statements, or have an input, an output and a testtype (stdin, functional)"
        if len({test["testtype"] for test in tests}) > 1:
            return "the tests of one question must be of one type"
        return _check_pairs(tests, question)

    def extract(self, response: str, question: Question) -> str | None:
        """None: two programs that do the same have no normal form in common, so code cannot be voted on."""
        return None

    def grade(self, response: str, question: Question) -> Grade:
        """Not graded: a program has to be run for that (see `trial`)."""
        return Grade(None, reason="code is graded by running it, and no sandbox was given")

    def trial(self, response: str, question: Question) -> Trial:
        """Judge a response: yields programs to run, is sent what they did, returns the grade."""
        problem = self.check(question)
        if problem:
            return Grade(None, reason=problem)
        tests = question.meta["tests"]
        source = find_program(response, _names(question))
        if source is None:
            return Grade(False, reason="no program in the response")
        if isinstance(tests[0], str):
            return (yield from _by_assertions(source, tests, _setup(question)))
        if tests[0]["testtype"] == "stdin":
            return (yield from _by_output(source, tests))
        return (yield from _by_calls(source, tests, question.meta["func_name"]))


def create() -> CodeGrader:
    """Build the grader."""
    return CodeGrader()


def _by_assertions(source: str, texts: Sequence[str], setup: str) -> Trial:
    tests = [take_apart(text, defined_names(source), setup) for text in texts]
    together = [test for test in tests if not test.expressions]
    apart: list[tuple[Test, list[str]]] = []
    asked = [expression for test in tests for expression in test.expressions]
    if asked:
        outcome = yield Program(_inside(source, setup, asked), limits=LIMITS)
        answers = iter(read_answers(outcome.stdout, len(asked)))
        for number, test in enumerate(tests, 1):
            given = [next(answers, None) for _ in test.expressions]
            failure = _failure(given, outcome) or _difference(test, given)
            if failure:
                return _wrong(failure, outcome, number, len(tests))
            values = [answer.content for answer in given if answer]
            if len(values) > 1 and any(map(contains_other, values)):
                together.append(test)  # two such values may well be equal, but only there
            elif test.rest is not None:
                apart.append((test, [as_source(value) for value in values]))
    return (yield from _the_rest(source, setup, apart, together))


def _the_rest(source: str, setup: str, apart: Sequence[tuple[Test, Sequence[str]]], together: Sequence[Test]) -> Trial:
    """What cannot be judged here: without the program where possible, else beside it."""
    token = secrets.token_hex(16)
    if apart:
        outcome = yield Program(judging_program(apart, token), limits=LIMITS)
        if outcome.stdout != f"{token}\n":
            return _wrong(_last_line(outcome), outcome)
    if together:
        text = "\n".join(test.text for test in together)
        outcome = yield Program(_inside(source, setup, [], text, token), limits=LIMITS)
        answers = read_answers(outcome.stdout, 2)
        if answers != [Answer("passed", token)]:
            return _wrong(_failure([*answers, None], outcome), outcome)
    return Grade(True)


def _by_output(source: str, tests: Sequence[Mapping[str, str]]) -> Trial:
    program = with_prelude(source)
    for number, test in enumerate(tests, 1):
        outcome = yield Program(program, test["input"], limits=LIMITS_PER_TEST)
        # Leaving with any exit status is no error in that evaluation either; an exception is.
        left = outcome.status == "nonzero" and "Traceback (most recent call last)" not in outcome.stderr
        if outcome.status != "ok" and not left:
            return _wrong(_last_line(outcome), outcome, number, len(tests))
        if not same_output(outcome.stdout, test["output"]):
            failure = f"printed {shown(outcome.stdout)}, expected {shown(test['output'])}"
            return _wrong(failure, outcome, number, len(tests))
    return Grade(True)


def _by_calls(source: str, tests: Sequence[Mapping[str, str]], function: str) -> Trial:
    in_class = "class Solution" in source
    setup = "_solution = Solution()" if in_class else ""
    called = f"_solution.{function}" if in_class else function
    for number, test in enumerate(tests, 1):
        arguments = ", ".join(as_source(json.loads(line)) for line in test["input"].split("\n"))
        program = _inside(with_prelude(source), setup, [f"{called}({arguments})"])
        outcome = yield Program(program, limits=LIMITS_PER_TEST)
        answer = next(iter(read_answers(outcome.stdout)), None)
        failure = _failure([answer], outcome)
        if not failure and answer:
            value = list(answer.content) if isinstance(answer.content, tuple) else answer.content
            failure = _difference(Test("", expected=json.loads(test["output"])), [Answer("value", value)])
        if failure:
            return _wrong(failure, outcome, number, len(tests))
    return Grade(True)


def _inside(source: str, setup: str, expressions: Sequence[str], test: str = "", token: str = "") -> str:
    return f"{_harness()}\n\nmain({source!r}, {setup!r}, {list(expressions)!r}, {test!r}, {token!r})\n"


@cache
def _harness() -> str:
    return files("smcs.graders._code").joinpath("inside.py").read_text(encoding="utf-8")


def _failure(answers: Sequence[Answer | None], outcome: Outcome) -> str:
    """Why the program gave no value; empty where it did."""
    for answer in answers:
        if answer is None:
            return outcome.detail or _last_line(outcome) or "the program ended before its time"
        if answer.kind != "value":
            return str(answer.content)
    return ""


def _difference(test: Test, answers: Sequence[Answer | None]) -> str:
    if test.rest is not None or not answers or answers[0] is None:
        return ""
    value = answers[0].content
    try:
        same = bool(value == test.expected)
    except (RecursionError, ArithmeticError):  # a decimal that refuses to be compared
        same = False
    return "" if same else f"gave {shown(value)}, expected {shown(test.expected)}"


def _wrong(why: str, outcome: Outcome, number: int = 0, tests: int = 0) -> Grade:
    if outcome.status == "sandbox_error" or outcome.detail == "the run was cancelled":
        return Grade(None, reason=outcome.detail)
    where = f"test {number} of {tests}: " if tests else ""
    return Grade(False, reason=f"{where}{why}")


def _last_line(outcome: Outcome) -> str:
    return outcome.detail or outcome.stderr.strip().rpartition("\n")[2][:200] or f"exit status {outcome.exit_code}"


def _setup(question: Question) -> str:
    return str(question.meta.get("test_setup_code") or "")


def _names(question: Question) -> set[str]:
    tests = question.meta["tests"]
    if isinstance(tests[0], str):
        return called_names(tests)
    return {"Solution", question.meta["func_name"]} if tests[0]["testtype"] == "functional" else set()


def _check_pairs(tests: Sequence[Mapping[str, Any]], question: Question) -> str | None:
    for test in tests:
        if not isinstance(test.get("input"), str) or not isinstance(test.get("output"), str):
            return "input and output of a test must be text"
    if tests[0]["testtype"] == "stdin":
        return None
    name = question.meta.get("func_name")
    if not isinstance(name, str) or not name.isidentifier():
        return f"functional tests need the name of the function in func_name, not {name!r}"
    lines = [line for test in tests for line in (*test["input"].split("\n"), test["output"])]
    broken = [line for line in lines if not _is_json(line)]
    return (
        f"input and output of a functional test must be JSON, one value a line, not {broken[0]!r}" if broken else None
    )


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
