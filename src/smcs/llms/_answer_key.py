"""What a simulated LLM knows: the right answers to questions, found by the question's text inside a prompt."""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from smcs.errors import QuestionError

AnswerKind: TypeAlias = Literal["choice", "number", "text"]

_ANCHOR = 24
_CACHED = 4096
_WORD_START = re.compile(r"\b\w")
_LETTER = re.compile(r"\(?([A-Z])\)?")
_STATEMENT = re.compile(r"[Tt]he (?:final |correct )?answer is:?\s+(.+?)\s*$", re.MULTILINE)
_PLACEHOLDER = re.compile(r"X|[A-Z]\)?, where .*|\\boxed\{\.\.\.\}")
"""What an instruction has where the answer is to stand, such as "The answer is (X), where X is the letter"."""
_AROUND = " \t.*`$\"'()[]"


@dataclass(frozen=True, slots=True)
class KnownAnswer:
    """The right answer to one question.

    Attributes:
        question: its text, white space squeezed.
        text: the answer.
        topic: what the question is about, in lower case, for skills by keyword.
        options: of a multiple-choice question, how many.
    """

    question: str
    text: str
    topic: str = ""
    options: int = 4

    @property
    def kind(self) -> AnswerKind:
        """What wrong answers to it look like."""
        if _LETTER.fullmatch(self.text):
            return "choice"
        return "text" if _number(self.text) is None else "number"


class AnswerKey:
    """Right answers by question.

    Args:
        answers: one for each question.
    """

    def __init__(self, answers: Iterable[KnownAnswer]) -> None:
        self._by_anchor: dict[str, list[KnownAnswer]] = {}
        texts: dict[str, None] = {}
        for answer in answers:
            start = _WORD_START.search(answer.question)
            if start is None:
                continue
            core = answer.question[start.start() :]
            self._by_anchor.setdefault(core[:_ANCHOR], []).append(answer)
            if answer.kind == "text":
                texts[answer.text] = None
        self._lengths = sorted({len(anchor) for anchor in self._by_anchor}, reverse=True)
        self._texts = list(texts)
        self._found: dict[str, KnownAnswer] = {}

    def find(self, prompt: str) -> KnownAnswer:
        """The answer to the question in a prompt: the longest known question that stands in it.

        A prompt without a known question is taken as a question itself. Its answer is a number that depends on its text
        alone, so that all simulated LLMs agree on what is right.
        """
        found = self._found.get(prompt)
        if found is None:
            squeezed = squeeze(prompt)
            found = self._search(squeezed) or KnownAnswer(squeezed, str(_hashed(squeezed) % 1000), squeezed.lower())
            if len(self._found) >= _CACHED:
                self._found.clear()
            self._found[prompt] = found
        return found

    def known(self, prompt: str) -> KnownAnswer | None:
        """The answer to the longest known question that stands in a prompt; None where none does."""
        return self._search(squeeze(prompt))

    def wrong(self, answer: KnownAnswer, rng: random.Random) -> str:
        """A wrong answer of the same kind. There are few for each question, so that wrong LLMs can agree, too."""
        pick = rng.randrange(3)
        if answer.kind == "choice":
            right = ord(answer.text.strip("()")) - ord("A")
            count = max(answer.options, right + 1, 2)
            return chr(ord("A") + (right + 1 + rng.randrange(count - 1)) % count)
        number = _number(answer.text)
        if number is not None:
            digits = len(answer.text.rpartition(".")[2]) if "." in answer.text else 0
            off = (1, -1, 10)[pick] * (1 if abs(number) < 1000 else 10 ** (len(str(int(abs(number)))) - 2))
            return f"{number + off:.{digits}f}"
        others = [text for text in self._texts if text != answer.text]
        start = _hashed(answer.question)
        return others[(start + pick) % len(others)] if others else f"{answer.text} {('not', 'or', 'else')[pick]}"

    def _search(self, text: str) -> KnownAnswer | None:
        best: KnownAnswer | None = None
        if not self._lengths:
            return None
        for word in _WORD_START.finditer(text):
            for length in self._lengths:
                for answer in self._by_anchor.get(text[word.start() : word.start() + length], ()):
                    longer = best is None or len(answer.question) > len(best.question)
                    if longer and answer.question in text:
                        best = answer
        return best


def squeeze(text: str) -> str:
    """The text with each run of white space as one space."""
    return " ".join(text.split())


def stated_answers(text: str) -> list[str]:
    """The answers that a text states, in order: what follows "the answer is" at the end of a line."""
    found = [match[1].strip(_AROUND) for match in _STATEMENT.finditer(text)]
    return [answer for answer in found if answer and not _PLACEHOLDER.fullmatch(answer)]


def same_answer(one: str, other: str) -> bool:
    """Whether two short answers are the same, but for case and what stands around them."""
    return one.strip(_AROUND).casefold() == other.strip(_AROUND).casefold()


def answers_of(questions: Mapping[str, str]) -> list[KnownAnswer]:
    """Known answers from a table of questions and answers."""
    return [KnownAnswer(squeeze(q), answer, squeeze(q).lower()) for q, answer in questions.items()]


def read_answers(path: Path) -> list[KnownAnswer]:
    """Known answers from a questions file: JSON Lines with ``question`` and ``answer``.

    Lines without an answer are left out. ``benchmark`` and ``options`` are used where they are there.

    Raises:
        QuestionError: the file cannot be read, or a line is not such an object; says which.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise QuestionError(f"cannot read the answers of a simulated LLM from {path}: {error}") from error
    answers = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row: Any = json.loads(line)
        except ValueError as error:
            raise QuestionError(f"{path}, line {number} is not JSON: {error}") from None
        if not isinstance(row, dict) or not isinstance(row.get("question"), str):
            raise QuestionError(f"{path}, line {number} has no text 'question'")
        if row.get("answer") is not None:
            question = squeeze(row["question"])
            topic = f"{row.get('benchmark', '')} {question}".lower()
            options = row.get("options")
            count = len(options) if isinstance(options, list) else 4
            answers.append(KnownAnswer(question, str(row["answer"]).strip(), topic, count))
    return answers


def _number(text: str) -> float | None:
    try:
        number = float(text.replace(",", ""))
    except ValueError:
        return None
    return number if abs(number) < 1e15 else None


def _hashed(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest())
