"""Feedback: taken at ``POST /v1/feedback``, kept with the traces, and turned into questions of a bank."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from smcs import registry
from smcs.errors import UnknownNameError
from smcs.graders._stated import statements
from smcs.protocols import Grader
from smcs.server.openai.errors import ApiError
from smcs.server.service import Service
from smcs.server.trace_record import Record
from smcs.server.traces import UnknownTraceError
from smcs.types import Question

_LETTER = re.compile(r"\(?([A-Za-z])[).]?")
_NUMBER = re.compile(r"[-+\u2212]?[$€£]?\s*\d[\d,._ ]*(?:/\s*\d+)?\s*%?")
_FORMULA = re.compile(r"[\\^_{}=]")
_OPTION = re.compile(r"^\s*\(?([A-J])[).:]\s+\S", re.MULTILINE)
_MOST_WORDS = 6


class FeedbackBody(BaseModel):
    """What somebody says of an answer.

    Attributes:
        id: of the answer: the completion's, which is also its trace's.
        verdict: whether it was right.
        answer: the right answer, as short as a label: where the verdict is ``wrong``, or to say which part of a long
            right answer counts.
        comment: anything else.
    """

    model_config = ConfigDict(extra="forbid")

    id: Annotated[str, Field(min_length=1, max_length=200)]
    verdict: Literal["right", "wrong"]
    answer: Annotated[str, Field(min_length=1, max_length=20_000)] | None = None
    comment: Annotated[str, Field(max_length=20_000)] | None = None


class FeedbackTaken(BaseModel):
    """What was kept of it: texts only where the server keeps the texts of its traces."""

    id: str
    verdict: Literal["right", "wrong"]
    texts_kept: bool


def router(service: Service) -> APIRouter:
    """``POST /v1/feedback``."""
    routes = APIRouter(tags=["feedback"])

    @routes.post("/v1/feedback", summary="Say whether an answer was right")
    async def feedback(body: FeedbackBody) -> FeedbackTaken:
        if service.traces is None:
            raise ApiError(409, "this server stores no traces, and so no feedback either", code="no_traces")
        try:
            kept = await service.traces.add_feedback(body.id, body.verdict, answer=body.answer, comment=body.comment)
        except UnknownTraceError as error:
            raise ApiError(404, str(error), "id", "unknown_trace") from None
        return FeedbackTaken(id=body.id, verdict=body.verdict, texts_kept=kept)

    return routes


@dataclass(frozen=True, slots=True)
class Turned:
    """What feedback came to.

    Attributes:
        questions: fit for a bank, in the order of the feedback.
        skipped: for each trace whose feedback gives no question, why.
    """

    questions: tuple[Question, ...]
    skipped: Mapping[str, str]


class _UnusableError(Exception):
    """Why a feedback gives no question."""


def turn_into_questions(
    feedback: Iterable[Record],
    record_of: Callable[[str], Record | None],
    *,
    present: Sequence[Question] = (),
    grader: str | None = None,
    benchmark: str = "feedback",
) -> Turned:
    """Make questions of a bank from feedback; the label is the corrected answer, or the confirmed one.

    Args:
        feedback: as `TraceFile.feedback` gives it; of several on one trace, the last counts.
        record_of: the trace with an id.
        present: the bank's questions: what is asked there already is passed over.
        grader: grades all of them; by default what graded most of the questions that were similar, if it can read the
            label, else one that the label's form suggests.
        benchmark: what they are grouped under.

    Raises:
        UnknownNameError: there is no such grader.
    """
    if grader is not None:
        registry.find("graders", grader)
    last = {row["trace"]: row for row in feedback}
    known = {_plain(question.text) for question in present}
    grader_of = {question.id: question.grader for question in present}
    questions: list[Question] = []
    skipped: dict[str, str] = {}
    for trace_id, row in last.items():
        try:
            question = _question(row, record_of(trace_id), grader, grader_of, benchmark)
            if _plain(question.text) in known:
                raise _UnusableError("the bank, or earlier feedback, has this question already")
        except _UnusableError as why:
            skipped[trace_id] = str(why)
        else:
            known.add(_plain(question.text))
            questions.append(question)
    return Turned(tuple(questions), skipped)


def as_line(question: Question) -> dict[str, Any]:
    """The question as a line of a questions file."""
    line = {
        "id": question.id,
        "question": question.text,
        "answer": question.answer,
        "grader": question.grader,
        "benchmark": question.benchmark,
        "system": question.system,
        "meta": dict(question.meta),
    }
    return {key: value for key, value in line.items() if value is not None}


def _question(
    row: Record, record: Record | None, grader: str | None, grader_of: Mapping[str, str], benchmark: str
) -> Question:
    if record is None:
        raise _UnusableError("its trace is no longer there")
    text = record.get("question")
    if not text:
        raise _UnusableError("its trace holds no texts; serve with --traces full to keep them")
    turns = [turn for turn in record.get("history") or [] if turn["role"] != "system"]
    if turns:
        raise _UnusableError("it belongs to a conversation, and cannot be asked without it")
    label, response = _label(row, record)
    system = [record["system"]] if record.get("system") else []
    system += [turn["content"] for turn in record.get("history") or []]
    question = Question(
        text=text,
        id=f"feedback-{hashlib.sha256(_plain(text).encode()).hexdigest()[:12]}",
        answer=label,
        benchmark=benchmark,
        system="\n\n".join(system) or None,
        meta={"trace": row["trace"], "verdict": row["verdict"]},
    )
    candidates = [grader] if grader else [*_of_similar(record, grader_of), *_by_form(label, text)]
    for name in candidates:
        graded = Question(**{**_fields(question), "grader": name})
        if _reads(name, graded, response):
            return graded
    raise _UnusableError(f"no grader reads {label!r} as the answer; give one (--grader), or a plainer answer")


def _label(row: Record, record: Record) -> tuple[str, str]:
    """The right answer in short, and a response that a grader has to find it in."""
    given = (row.get("answer") or "").strip()
    if given:
        return given, f"The answer is {given}."
    if row["verdict"] == "wrong":
        raise _UnusableError("the answer was wrong, and nobody said what is right")
    response = record.get("answer") or ""
    if not statements(response) and len(response.split()) > _MOST_WORDS:
        raise _UnusableError("the answer was right, but does not state in short what it is; give that as the answer")
    exact: Grader = registry.find("graders", "exact").create()
    label = exact.extract(response, Question("", answer="x", meta={"case_sensitive": True}))
    if not label:
        raise _UnusableError("no answer can be read from the response")
    return label, response


def _reads(name: str, question: Question, response: str) -> bool:
    """Whether this grader exists, reads the label, and finds it in the response."""
    try:
        grader: Grader = registry.find("graders", name).create()
    except UnknownNameError:
        return False
    return grader.check(question) is None and grader.grade(response, question).correct is True


def _of_similar(record: Record, grader_of: Mapping[str, str]) -> list[str]:
    """What grades most of the support set."""
    support = (record.get("trace") or {}).get("support") or []
    names = Counter(grader_of[item["id"]] for item in support if item["id"] in grader_of)
    return [name for name, _ in names.most_common(1)]


def _by_form(label: str, text: str) -> list[str]:
    """What the label looks like: a letter of several options, a number, a formula, or a text."""
    if _LETTER.fullmatch(label) and len(_OPTION.findall(text)) > 1:
        return ["choice", "exact"]
    if _NUMBER.fullmatch(label):
        return ["numeric", "exact"]
    if _FORMULA.search(label):
        return ["math", "exact"]
    return ["exact"]


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def _fields(question: Question) -> dict[str, Any]:
    return {name: getattr(question, name) for name in question.__slots__}
