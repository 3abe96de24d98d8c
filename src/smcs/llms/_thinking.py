"""Telling an LLM's reasoning from its answer where both come as one text."""

from __future__ import annotations

OPENING = "<think>"
CLOSING = "</think>"


def split_thinking(text: str, opening: str = OPENING, closing: str = CLOSING) -> tuple[str | None, str]:
    """Split a text into its reasoning block and the answer proper.

    The block is ``<think>...</think>`` at the very beginning. The opening tag may be missing, since some chat templates
    put it into the prompt; then the first closing tag ends the block. A block that is never closed was cut off: all of
    it is reasoning, and there is no answer. Tags further on belong to the answer.

    Returns:
        The reasoning, None where there is no block, and the answer. White space around both is left out where there is
        a block; otherwise the text is returned as it is.
    """
    begin = text.lstrip()
    if begin.startswith(opening):
        reasoning, _, answer = begin[len(opening) :].partition(closing)
        return reasoning.strip(), answer.strip()
    before, found, after = text.partition(closing)
    if found and opening not in before:
        return before.strip(), after.strip()
    return None, text
