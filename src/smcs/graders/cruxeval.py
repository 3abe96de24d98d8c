"""CRUXEval, output prediction: a Python literal equal to the label's.

Read from the "answer" field where the response is JSON, else from ``[ANSWER]…[/ANSWER]``, the completed assertion, the
last "the answer is …", or the last code. Values are compared, not texts: ``["a"]`` equals ``['a']``. What is no literal
is a string without its quotes: ``abc`` equals ``'abc'``.
"""

from __future__ import annotations

import ast
import re
import warnings
from typing import Any

from smcs.graders._json_answer import json_answer
from smcs.types import Grade, Question

_TAGGED = re.compile(r"\[ANSWER\](.*?)(?:\[/ANSWER\]|$)", re.DOTALL | re.IGNORECASE)
_ASSERTED = re.compile(r"assert\s+f\(.*\)\s*==\s*(?!\?\?)(.+?)\s*(?:#.*)?$", re.MULTILINE)
_SAID = re.compile(
    r"\b(?:answer|output|result)\b[^:\n]{0,40}?(?:\bis\b\s*:?|:)\s*(.+?)\s*\.?\s*$", re.MULTILINE | re.IGNORECASE
)
_CODE = re.compile(r"```(?:\w*\n)?(.+?)```|`([^`\n]+)`", re.DOTALL)
_LONGEST = 20_000  # characters: a longer literal is no answer to any of the questions, and parsing it costs memory


_NO_LITERAL = object()


def normal_form(text: str) -> str:
    """The literal as Python prints it; what is no literal, as the string of its characters."""
    value = _literal(text.strip())
    if value is _NO_LITERAL:
        text = _inside_quotes(text)
        value = _literal(text.strip())  # '{'a': 1}' is a literal in quotes too many
    return repr(text) if value is _NO_LITERAL else _printed(value, text)


def same(gold: str, answer: str) -> bool:
    """Whether the two are equal literals, or `gold` is a string whose characters, quotes left off, `answer` is.

    The quotes of a JSON string and of a Python string are easily taken for each other, so ``123`` is also ``'123'``
    where the label is that string; with escapes written as in either language.
    """
    if normal_form(gold) == normal_form(answer):
        return True
    value = _literal(gold.strip())
    if not isinstance(value, str):
        return False
    bare = _inside_quotes(answer)
    readings = [bare, *(_literal(f"{q}{bare}{q}") for q in ("'", '"'))]
    if bare == answer:  # without quotes, spaces around the text may be layout
        readings.append(bare.strip())
    return value in readings


def _inside_quotes(text: str) -> str:
    stripped = text.strip()
    quoted = len(stripped) > 1 and stripped[0] == stripped[-1] and stripped[0] in "'\""
    return stripped[1:-1] if quoted else text


def _literal(text: str) -> Any:
    if len(text) > _LONGEST:
        return _NO_LITERAL
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an LLM's "\d" is not our syntax warning
            return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return _NO_LITERAL


def _printed(value: Any, text: str) -> str:
    """The value as text, sets and dictionaries in an order of their own, so that equal values are equal texts."""
    try:
        return _in_order(value)
    except (ValueError, RecursionError):  # an integer of more digits than Python prints
        return text


def _in_order(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(sorted(f"{_in_order(k)}: {_in_order(v)}" for k, v in value.items())) + "}"
    if isinstance(value, set):
        return "{" + ", ".join(sorted(_in_order(v) for v in value)) + "}" if value else "set()"
    if isinstance(value, list):
        return "[" + ", ".join(_in_order(v) for v in value) + "]"
    if isinstance(value, tuple):
        return "(" + ", ".join(_in_order(v) for v in value) + ("," if len(value) == 1 else "") + ")"
    return repr(value)


class CruxevalGrader:
    """The grader ``cruxeval``."""

    name = "cruxeval"
    version = "1"

    def check(self, question: Question) -> str | None:
        """Why the label cannot be used, or None."""
        if question.answer is None or not question.answer.strip():
            return "a CRUXEval question needs the literal that the function returns, and this one has none"
        return None

    def extract(self, response: str, question: Question) -> str | None:
        """The literal as Python prints it, or None where there is none."""
        found = _find(response)
        return None if found is None else normal_form(found)

    def grade(self, response: str, question: Question) -> Grade:
        """Compare the literal with the label."""
        problem = self.check(question)
        if problem:
            return Grade(None, reason=problem)
        found = _find(response)
        if found is None:
            return Grade(False)
        return Grade(same(question.answer or "", found), normal_form(found))


def _find(response: str) -> str | None:
    field = json_answer(response)
    if field is not None:
        return field
    for pattern in (_TAGGED, _ASSERTED, _SAID, _CODE):
        for match in reversed(list(pattern.finditer(response))):
            found = _unquoted(next(g for g in match.groups() if g is not None))
            if found:
                return found
    return None


def _unquoted(text: str) -> str:
    """Without Markdown's code marks, and without the assertion around the literal."""
    text = text.strip()
    text = re.sub(r"^```\w*\n?|```$", "", text).strip().strip("`$").strip()
    text = re.sub(r"^\\boxed\{(.*)\}$", r"\1", text)
    asserted = _ASSERTED.search(text)
    return asserted.group(1) if asserted else text.removeprefix("**").removesuffix("**").strip()


def create() -> CruxevalGrader:
    """Build the grader."""
    return CruxevalGrader()
