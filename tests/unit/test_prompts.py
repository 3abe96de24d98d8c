"""The messages that prompts make: what the user said stays, instructions can be replaced."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from smcs.prompts import aggregation_messages, load, one_system_message, reference_messages, version
from smcs.types import Message, Question

USER = Message("user", "why?")


def sent(question: Question, own: str | None = None, **options: object) -> str:
    """The system message that goes out, or nothing."""
    messages = one_system_message(reference_messages(question, **options), own)  # type: ignore[arg-type]
    assert messages[-1] == Message("user", question.text)
    assert [m.role for m in messages].count("system") <= 1
    return messages[0].content if messages[0].role == "system" else ""


def test_instructions_by_default() -> None:
    assert sent(Question("why?")) == load("reference_system.txt")
    assert sent(Question("why?"), system="Be brief.") == "Be brief."


def test_the_llms_own_instructions_replace_the_default_ones_only() -> None:
    assert sent(Question("why?"), own="Mine.") == "Mine."
    assert sent(Question("why?", system="As a pirate."), own="Mine.") == "As a pirate.\n\nMine."


def test_a_questions_own_system_prompt_stands_in_place_of_the_instructions() -> None:
    assert sent(Question("why?", system="As a pirate.")) == "As a pirate."
    assert sent(Question("why?", system="")) == ""


def test_earlier_turns_are_kept_in_order() -> None:
    history = (Message("system", "Rules."), Message("user", "hi"), Message("assistant", "hello"))
    messages = one_system_message(reference_messages(Question("why?"), history=history))
    assert [m.role for m in messages] == ["system", "user", "assistant", "user"]
    assert messages[0].content.startswith("Rules.\n\n")


@given(st.lists(st.text(min_size=1, max_size=5), max_size=4), st.none() | st.text(min_size=1, max_size=5))
def test_one_system_message_loses_nothing_but_what_is_replaced(system: list[str], own: str | None) -> None:
    messages = one_system_message([*(Message("system", s) for s in system), USER], own)
    expected = [*system[:-1], own] if own is not None else system
    assert messages == ((Message("system", "\n\n".join(expected)), USER) if expected else (USER,))


def test_references_are_numbered_in_the_order_given() -> None:
    messages = aggregation_messages(Question("why?", system="As a pirate."), ["first", "second"])
    assert [m.role for m in messages] == ["system", "user"]
    text = messages[0].content
    assert (
        text.index("As a pirate.")
        < text.index("Responses from models:")
        < text.index("1. first")
        < text.index("2. second")
    )


def test_the_prefix_up_to_the_first_difference_is_shared() -> None:
    one, other = (aggregation_messages(Question("why?"), texts)[0].content for texts in (["a", "b"], ["a", "c"]))
    assert one[: one.index("2. b")] == other[: other.index("2. c")]


def test_a_prompt_is_known_by_its_text() -> None:
    assert version("a") == version("a") != version("b")
