"""Which stored responses wait for a grade, and their texts. A grader's new version needs no call.

Grades that were recorded elsewhere (see `smcs.bank.importing`) are no grader's here; they stay as they are until one
asks for others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from sqlalchemy import Connection, exists, select

from smcs.bank import schema
from smcs.bank.grading import Graders
from smcs.bank.store import BankStore

Waiting = tuple[int, int, bytes]
"""LLM, question, and the address of the call that holds the text."""
RECORDED = "recorded"
"""What stands in the place of the grader's name with such a grade."""
_CHUNK = 400


def waiting_for_grades(store: BankStore, graders: Graders, *, again: bool = False) -> list[Waiting]:
    """Responses without a grade, or with one by another version of their grader only.

    Args:
        again: those too that the grader could not grade, and those with a recorded grade.
    """
    with store.reading() as connection:
        names = connection.scalars(select(schema.questions.c.grader).distinct()).all()
        versions = {name: graders.version(name) for name in names}
        return [row for name, version in versions.items() for row in _waiting(connection, name, version, again=again)]


def texts(store: BankStore, waiting: Sequence[Waiting]) -> Iterator[tuple[Waiting, str]]:
    """The responses' texts, read a few hundred at a time."""
    calls = schema.calls
    rest = iter(waiting)
    while chunk := list(islice(rest, _CHUNK)):
        with store.reading() as connection:
            query = select(calls.c.key, calls.c.text).where(calls.c.key.in_([key for *_, key in chunk]))
            by_key: Mapping[bytes, str] = {bytes(key): text for key, text in connection.execute(query)}
        yield from ((item, by_key[item[2]]) for item in chunk)


def _waiting(connection: Connection, grader: str, version: str | None, *, again: bool) -> Iterator[Waiting]:
    if version is None:  # the grader is not installed here: the grades stay as they are
        return
    responses, questions, grades = schema.responses, schema.questions, schema.grades
    current = exists().where(
        grades.c.call == responses.c.call,
        grades.c.question == responses.c.question,
        grades.c.grader == grader,
        grades.c.version == version,
    )
    recorded = exists().where(
        grades.c.call == responses.c.call, grades.c.question == responses.c.question, grades.c.grader == RECORDED
    )
    lacking = (responses.c.graded == 0) | (~current if again else ~current & ~recorded)
    if again:
        lacking |= responses.c.correct.is_(None)
    query = (
        select(responses.c.llm, responses.c.question, responses.c.call)
        .join(questions, questions.c.seq == responses.c.question)
        .where(questions.c.grader == grader, lacking)
    )
    for llm, question, call in connection.execute(query):
        yield llm, question, bytes(call)
