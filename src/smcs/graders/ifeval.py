"""Instruction following: every instruction of the prompt is followed (IFEval, arXiv:2311.07911), judged by rule.

The question's ``meta`` names the instructions (``instruction_id_list``) and their arguments (``kwargs``, one mapping
each). ``ifeval`` judges the response as it stands (strict); ``ifeval-loose`` also without its first or last line and
without asterisks, and takes each instruction as followed if it is in one of these forms.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

from smcs.graders._ifeval_checks import CHECKS, arguments
from smcs.types import Grade, Question


class IfevalGrader:
    """The graders ``ifeval`` and ``ifeval-loose``, at prompt level.

    Args:
        loose: whether to forgive an introduction, a closing line and Markdown emphasis.
    """

    version = "1"

    def __init__(self, *, loose: bool = False) -> None:
        self._loose = loose

    @property
    def name(self) -> str:
        """What questions call it by."""
        return "ifeval-loose" if self._loose else "ifeval"

    def check(self, question: Question) -> str | None:
        """Why the instructions cannot be checked, or None."""
        ids, kwargs = question.meta.get("instruction_id_list"), question.meta.get("kwargs")
        if not isinstance(ids, list | tuple) or not ids:
            return "the question's meta has no instruction_id_list"
        if not isinstance(kwargs, list | tuple) or len(kwargs) != len(ids):
            return f"the question's meta needs kwargs with one mapping for each of its {len(ids)} instructions"
        for name, given in zip(ids, kwargs, strict=True):
            if name not in CHECKS:
                return f"unknown instruction {name!r}"
            if given is not None and not isinstance(given, Mapping):
                return f"the arguments of instruction {name!r} are not a mapping"
            if not _can_run(name, given or {}):
                return f"instruction {name!r} lacks an argument, or has one of the wrong type"
        return None

    def extract(self, response: str, question: Question) -> None:
        """Nothing: a free text has no answer to compare or vote on."""

    def grade(self, response: str, question: Question) -> Grade:
        """Whether all instructions are followed."""
        problem = self.check(question)
        if problem:
            return Grade(None, reason=problem)
        return Grade(all(self.followed(response, question)))

    def followed(self, response: str, question: Question) -> list[bool]:
        """For each instruction of a question that `check` finds nothing wrong with, whether it is followed."""
        forms = [form for form in (_loose_forms(response) if self._loose else [response]) if form.strip()]
        ids, kwargs = question.meta["instruction_id_list"], question.meta["kwargs"]
        return [_followed(forms, name, given or {}) for name, given in zip(ids, kwargs, strict=True)]


def _can_run(name: str, given: Mapping[str, Any]) -> bool:
    taken = arguments(CHECKS[name], given)
    if taken is None:
        return False
    try:
        CHECKS[name]("", **taken)
    except (TypeError, AttributeError):
        return False
    return True


def _followed(forms: list[str], name: str, given: Mapping[str, Any]) -> bool:
    check = CHECKS[name]
    taken = arguments(check, given) or {}
    return any(check(form, **taken) for form in forms)


def _loose_forms(response: str) -> list[str]:
    """The response with and without its first line, its last line, and all asterisks: eight forms."""
    lines = response.split("\n")
    cut = ["\n".join(lines[first : len(lines) - last]).strip() for first, last in product((0, 1), (0, 1))]
    cut[0] = response
    return [form for text in cut for form in (text, text.replace("*", ""))]


def create() -> IfevalGrader:
    """Build the strict grader."""
    return IfevalGrader()
