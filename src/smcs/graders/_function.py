"""A grader that is a Python function of the user's own, named ``module:function`` (see `smcs.graders.grader`)."""

from __future__ import annotations

import hashlib
import importlib
import re
from pathlib import Path
from types import ModuleType
from typing import cast

from smcs.errors import UnknownNameError
from smcs.graders import Judge
from smcs.types import Grade, Question

_NAME = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


class FunctionGrader:
    """Judges by a function: it is given the response and the question, label and metadata included.

    Args:
        name: as questions call it.
        function: returns whether the response is correct, None where that cannot be said, or a `Grade`.
        version: changes with the file that the function is in.
    """

    def __init__(self, name: str, function: Judge, version: str) -> None:
        self.name = name
        self.version = version
        self._function = function

    def check(self, question: Question) -> str | None:
        """None: what the function needs only the function knows."""
        return None

    def extract(self, response: str, question: Question) -> str | None:
        """None: a function judges, and says of no two answers that they are the same."""
        return None

    def grade(self, response: str, question: Question) -> Grade:
        """Call the function."""
        result = self._function(response, question)
        if isinstance(result, Grade):
            return result
        if result is None:
            return Grade(None, reason=f"{self.name} cannot say")
        if isinstance(result, bool):
            return Grade(result)
        raise TypeError(f"a grader returns True, False, None or a Grade, not {result!r}")


def is_function(name: str) -> bool:
    """Whether a grader's name means a function."""
    return ":" in name


def load(name: str) -> FunctionGrader:
    """The grader of this name.

    Raises:
        UnknownNameError: the name is not of the form, the module cannot be imported, or has no function of that name
            that is marked as a grader.
    """
    if not _NAME.fullmatch(name):
        raise UnknownNameError(f"unknown grader {name!r}: a function of yours is named module:function")
    where, _, attribute = name.partition(":")
    try:
        module = importlib.import_module(where)
    except Exception as error:  # noqa: BLE001 - a module of the user's may fail in any way
        raise UnknownNameError(
            f"the grader {name!r} cannot be imported ({type(error).__name__}: {error}); is {where}.py in a folder of "
            f"PYTHONPATH?"
        ) from None
    function = getattr(module, attribute, None)
    if getattr(function, "smcs_grader", False) is not True or not callable(function):
        what = "is not marked as a grader: put @smcs.graders.grader before it" if function else "is not there"
        raise UnknownNameError(f"the grader {name!r} cannot be used: the function {attribute!r} of {where} {what}")
    return FunctionGrader(name, cast("Judge", function), _version(module))


def _version(module: ModuleType) -> str:
    file = module.__file__
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()[:12] if file else "0"
