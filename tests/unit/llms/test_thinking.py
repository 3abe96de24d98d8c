"""Reasoning and answer are told apart, and nothing of either is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smcs.llms._thinking import split_thinking

# Texts with and without tags, and with pieces of tags.
pieces = st.sampled_from(["<think>", "</think>", "<", "think>", "</", "a", "b\n", " ", "<b>", "é"])
texts = st.lists(pieces, max_size=12).map("".join)
plain = texts.filter(lambda t: "<think>" not in t and "</think>" not in t)


@pytest.mark.parametrize(
    ("text", "reasoning", "answer"),
    [
        ("plain", None, "plain"),
        ("", None, ""),
        ("  spaced  ", None, "  spaced  "),
        ("<think>why</think>so", "why", "so"),
        ("\n<think>\nwhy\n</think>\n\nso\n", "why", "so"),
        ("<think></think>so", "", "so"),
        ("why\n</think>\n\nso", "why", "so"),
        ("</think>so", "", "so"),
        ("<think>cut off in the midst", "cut off in the midst", ""),
        ("<think>a</think>b</think>c", "a", "b</think>c"),
        ("The tag <think> begins and </think> ends it.", None, "The tag <think> begins and </think> ends it."),
    ],
)
def test_split(text: str, reasoning: str | None, answer: str) -> None:
    assert split_thinking(text) == (reasoning, answer)


@given(plain, plain)
def test_a_block_comes_apart_as_it_was_put_together(reasoning: str, answer: str) -> None:
    expected = (reasoning.strip(), answer.strip())
    assert split_thinking(f"<think>{reasoning}</think>{answer}") == expected
    if "<think>" not in f"{reasoning}</think>{answer}":  # the opening tag stood in the prompt
        assert split_thinking(f"{reasoning}</think>{answer}") == expected


@given(plain)
def test_a_text_without_tags_is_left_as_it_is(text: str) -> None:
    assert split_thinking(text) == (None, text)


@given(texts)
def test_nothing_is_lost_or_made_up(text: str) -> None:
    def letters(part: str) -> str:
        return "".join(letter for letter in part if letter in "abé")

    reasoning, answer = split_thinking(text)
    assert letters((reasoning or "") + answer) == letters(text)


@given(texts)
def test_the_answer_never_begins_inside_the_block(text: str) -> None:
    reasoning, _ = split_thinking(text)
    if reasoning is not None:
        assert "</think>" not in reasoning
