from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from smcs.bank import keys
from smcs.types import Message, Sampling

TEXT = st.text()
MESSAGES = st.lists(st.builds(Message, st.sampled_from(["system", "user", "assistant"]), TEXT), max_size=3)


@given(MESSAGES, MESSAGES)
def test_conversations_have_one_address_exactly_if_they_are_equal(one: list[Message], other: list[Message]) -> None:
    assert (keys.messages_digest(one) == keys.messages_digest(other)) == (one == other)


def test_half_a_surrogate_pair_has_an_address() -> None:
    assert keys.messages_digest([Message("user", "\ud83d")]) != keys.messages_digest([Message("user", "?")])


def test_each_part_of_a_call_changes_its_address() -> None:
    messages = keys.messages_digest([Message("user", "x")])
    sampling = keys.sampling_digest(Sampling(temperature=0.0))
    other = keys.sampling_digest(Sampling(temperature=0.1))
    addresses = {
        keys.call_key("a", messages, sampling),
        keys.call_key("b", messages, sampling),
        keys.call_key("a", keys.messages_digest([]), sampling),
        keys.call_key("a", messages, other),
        keys.call_key("a", messages, sampling, 1),
    }
    assert len(addresses) == 5
    assert all(len(address) == 32 for address in addresses)


def test_a_setting_that_is_not_set_is_not_part_of_the_address() -> None:
    # So that a setting added to Sampling some day leaves the addresses of all stored calls as they are.
    assert keys.sampling_dict(Sampling(temperature=0.0, max_tokens=5)) == {"temperature": 0.0, "max_tokens": 5}


def test_the_address_of_a_call_does_not_change_between_versions() -> None:
    messages = keys.messages_digest([Message("system", "s"), Message("user", "ü")])
    key = keys.call_key("uid", messages, keys.sampling_digest(Sampling(temperature=0.0, stop=("a",))))
    assert key.hex() == "1218e391a1c71d647128b961286ee7af9823de64cfd7051cb0eff6a7cdb64a3a"
