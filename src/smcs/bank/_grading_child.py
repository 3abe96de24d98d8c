"""The process that grades: JSON lines in, JSON lines out, until its standard input ends."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from smcs.bank.grading import Graders, Reply
from smcs.errors import SmcsError, UnknownNameError
from smcs.programs import Sandbox, SandboxedGrader
from smcs.sandbox import choose, conduct_blocking
from smcs.types import Grade, Question


class GradingProcess:
    """Grades one response after the other.

    Args:
        sandbox: name of the sandbox for graders that run programs; it is set up when the first of them needs it.
    """

    def __init__(self, sandbox: str) -> None:
        self._graders = Graders()
        self._sandbox_name = sandbox
        self._sandbox: Sandbox | None = None
        self._no_sandbox = ""

    def grade(self, response: str, fields: dict[str, Any]) -> Reply:
        """Grade a response to a question; whatever happens, there is a reply."""
        options = fields.pop("options")
        question = Question(**fields, options=None if options is None else tuple(options))
        try:
            grader = self._graders.get(question.grader)
            if not isinstance(grader, SandboxedGrader):
                return Reply(grader.grade(response, question))
            sandbox = self._get_sandbox()
            if sandbox is None:
                return Reply(Grade(None, reason=self._no_sandbox), later=True)
            return Reply(conduct_blocking(sandbox, grader.trial(response, question)))
        except UnknownNameError as error:
            return Reply(Grade(None, reason=str(error)))
        except Exception as error:  # noqa: BLE001  (a grader may be anybody's; its fault must not stop the others)
            reason = f"the grader {question.grader!r} failed: {type(error).__name__}: {error}"
            return Reply(Grade(None, reason=reason[:500]))

    def _get_sandbox(self) -> Sandbox | None:
        if self._sandbox is None and not self._no_sandbox:
            try:
                self._sandbox = choose(self._sandbox_name)
            except SmcsError as error:
                self._no_sandbox = str(error)
        return self._sandbox


def main() -> None:
    """Grade what comes in."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a grader prints is no reply
    process = GradingProcess(sys.argv[1])
    replies.write(Reply(Grade(None, reason="ready")).to_json())
    replies.flush()
    for line in sys.stdin.buffer:
        item = json.loads(line)
        replies.write(process.grade(item["response"], item["question"]).to_json())
        replies.flush()


if __name__ == "__main__":
    main()
