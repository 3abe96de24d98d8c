"""Prompt texts as data files, and the messages they make.

The texts are the package's ``.txt`` files; the settings `reference_prompt` and `aggregator_prompt` put others in their
place. A prompt's version is a hash of its text, so that a bank can tell answers to one prompt from those to another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from smcs.prompts._query import with_query
from smcs.prompts._tools import in_words
from smcs.types import Message, Question

__all__ = [
    "aggregation_messages",
    "in_words",
    "load",
    "one_system_message",
    "reference_messages",
    "version",
    "with_query",
]


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

    The last system message holds the instructions, which an LLM's own may replace; those before it were given with the
    question and stay (see `one_system_message`).

    Args:
        question: its own system prompt, if it has one, stands in place of the instructions; an empty one means none.
        history: earlier turns of the conversation; a system message among them is kept.
        system: instructions instead of the package's.
    """
    given = [m for m in history if m.role == "system"]
    if question.system:
        given.append(Message("system", question.system))
    instructions = "" if question.system is not None else system or load("reference_system.txt")
    return (
        *given,
        Message("system", instructions),
        *(m for m in history if m.role != "system"),
        Message("user", question.text),
        *question.after,
    )


def one_system_message(messages: Sequence[Message], own: str | None = None) -> tuple[Message, ...]:
    """The same messages with at most one system message, at the beginning: chat templates take no more.

    Args:
        own: instructions of the LLM that is asked; they take the place of the last system message.
    """
    system = [m.content for m in messages if m.role == "system"]
    if own is not None:
        system[-1:] = [own]
    text = "\n\n".join(part for part in system if part)
    others = tuple(m for m in messages if m.role != "system")
    return (Message("system", text), *others) if text else others


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
        *question.after,
    )
