"""The process that grades: JSON lines in, JSON lines out, until its standard input ends."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from typing import Any, TextIO

from smcs.bank.grading import Graders
from smcs.errors import UnknownNameError
from smcs.types import Grade, Question


def main() -> None:
    """Grade what comes in."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a grader prints is no reply
    graders = Graders()
    _send(replies, Grade(None, reason="ready"))
    for line in sys.stdin.buffer:
        item = json.loads(line)
        _send(replies, _grade(graders, item["response"], item["question"]))


def _send(replies: TextIO, grade: Grade) -> None:
    replies.write(json.dumps(asdict(grade)) + "\n")
    replies.flush()


def _grade(graders: Graders, response: str, fields: dict[str, Any]) -> Grade:
    options = fields.pop("options")
    question = Question(**fields, options=None if options is None else tuple(options))
    try:
        return graders.get(question.grader).grade(response, question)
    except UnknownNameError as error:
        return Grade(None, reason=str(error))
    except Exception as error:  # noqa: BLE001  (a grader may be anybody's; its fault must not stop the others)
        return Grade(None, reason=f"the grader {question.grader!r} failed: {type(error).__name__}: {error}"[:500])


if __name__ == "__main__":
    main()
