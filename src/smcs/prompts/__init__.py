"""Prompt texts as data files, and the messages they make.

The texts are the package's ``.txt`` files; the settings `reference_prompt` and `aggregator_prompt` put others in their
place. A prompt's version is a hash of its text, so that a bank can tell answers to one prompt from those to another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from smcs.types import Message, Question


@cache
def load(name: str) -> str:
    """A prompt text of the package, such as ``reference_system.txt``, without surrounding white space."""
    return files(__name__).joinpath(name).read_text(encoding="utf-8").strip()


def version(text: str) -> str:
    """Short hash of a prompt text."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def reference_messages(
    question: Question, *, history: Sequence[Message] = (), system: str | None = None
) -> tuple[Message, ...]:
    """What a referencer is asked; the same for a question of the bank and for one asked live.

    Args:
        question: its own system prompt, if it has one, comes before `system`.
        history: earlier turns of the conversation; a system message among them is kept.
        system: system prompt instead of the package's.
    """
    prompt = question.system or system or load("reference_system.txt")
    earlier_system = [m.content for m in history if m.role == "system"]
    return (
        Message("system", "\n\n".join([*earlier_system, prompt])),
        *(m for m in history if m.role != "system"),
        Message("user", question.text),
    )


def aggregation_messages(
    question: Question, references: Sequence[str], *, history: Sequence[Message] = (), system: str | None = None
) -> tuple[Message, ...]:
    """What the aggregator is asked [paper, Figure 9]: the references in its system message, the question as the user's.

    Args:
        references: texts, best prior first, so that subsets share the longest possible prefix.
        system: instruction instead of the package's.
    """
    numbered = "\n\n".join(f"{i}. {text.strip()}" for i, text in enumerate(references, 1))
    parts = [system or load("aggregator_system.txt")]
    parts += [m.content for m in history if m.role == "system"]
    if question.system:
        parts.append(f"The question came with this instruction:\n{question.system}")
    parts.append(f"Responses from models:\n\n{numbered}")
    return (
        Message("system", "\n\n".join(parts)),
        *(m for m in history if m.role != "system"),
        Message("user", question.text),
    )
