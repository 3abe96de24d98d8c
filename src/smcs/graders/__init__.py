"""From a response to a grade, one module each (see `smcs.protocols.Grader`).

A grader of your own is a Python function. Mark it, and name it in the questions file as ``module:function``::

    from smcs.graders import grader

    @grader
    def polite(response, question):
        return "please" in response.lower()        # True, False, None (cannot be graded) or a Grade
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, TypeVar

from smcs.types import Grade, Question

Judge: TypeAlias = Callable[[str, Question], "Grade | bool | None"]
_Function = TypeVar("_Function", bound=Judge)

__all__ = ["Judge", "grader"]


def grader(function: _Function) -> _Function:
    """Mark a function as a grader, so that a question may name it as ``module:function``.

    Without the mark a questions file could have any function of any installed package called with a response.
    """
    function.smcs_grader = True  # type: ignore[attr-defined]
    return function
