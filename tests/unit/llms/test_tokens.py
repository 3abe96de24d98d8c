"""The estimate of tokens is on the high side, and not absurdly so."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smcs.llms._tokens import estimate_prompt_tokens, estimate_tokens
from smcs.types import Message


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        # Tokens of the Qwen2.5 tokenizer, which splits every digit.
        ("The quick brown fox jumps over the lazy dog.", 10),
        ("In 2024, 1234567 people voted.", 18),
        ("def f(x):\n    return [i ** 2 for i in range(x)]\n", 17),
        ("\\frac{a}{b} + \\sqrt{x^2}", 14),
        ("机器学习很有趣", 4),
        ("", 0),
    ],
)
def test_it_is_not_below_a_real_tokenizer(text: str, tokens: int) -> None:
    assert tokens <= estimate_tokens(text) <= 3 * tokens


@given(st.text(max_size=200))
def test_it_is_never_above_the_number_of_bytes(text: str) -> None:
    assert 0 <= estimate_tokens(text) <= len(text.encode()) + 2


@given(st.text(max_size=50), st.text(max_size=50))
def test_a_longer_text_has_no_fewer(one: str, other: str) -> None:
    assert estimate_tokens(one + other) >= estimate_tokens(one)


def test_messages_count_their_frame() -> None:
    assert estimate_prompt_tokens([Message("user", "hi")]) > estimate_tokens("hi")
    assert estimate_prompt_tokens([Message("user", "\ud800")]) > 0
