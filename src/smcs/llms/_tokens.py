"""How many tokens a text makes, without its tokenizer."""

from __future__ import annotations

from collections.abc import Sequence

from smcs.types import Message

_LETTERS = bytes(range(ord("a"), ord("z") + 1)) + bytes(range(ord("A"), ord("Z") + 1)) + b" "
_NOT_ASCII = bytes(range(128, 256))
_PER_MESSAGE = 8
_PER_PROMPT = 32  # some chat templates put in a system prompt of their own


def estimate_tokens(text: str) -> int:
    """Tokens of a text, on the high side: for English and code some 1.5 times what today's tokenizers make.

    A token for every 3 letters or spaces (English has 4 to 5), for every digit (some tokenizers split numbers so), for
    every punctuation mark and line break, and for every 2 bytes of other scripts (a Chinese character has 3). Short of
    it are only strings of letters that are no words, and tokenizers made for English alone in other scripts.
    """
    data = text.encode("utf-8", "replace")
    other = data.translate(None, _LETTERS)
    marks = len(other.translate(None, _NOT_ASCII))
    return -(-(len(data) - len(other)) // 3) + marks + -(-(len(other) - marks) // 2)


def estimate_prompt_tokens(messages: Sequence[Message]) -> int:
    """Tokens of the prompt that messages make, with what a chat template puts around them; on the high side."""
    return _PER_PROMPT + sum(_message_tokens(m) for m in messages)


def _message_tokens(message: Message) -> int:
    calls = sum(_PER_MESSAGE + estimate_tokens(str(call)) for call in message.tool_calls)
    return _PER_MESSAGE + estimate_tokens(message.content) + calls
