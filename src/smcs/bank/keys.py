"""Content addresses of calls: the hash of all that decides what an LLM answers."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from typing import Any

from smcs.types import Message, Output, Sampling

_DEFAULTS = Sampling()


def messages_digest(messages: Sequence[Message]) -> bytes:
    """Hash of a conversation; made once for all LLMs that are asked the same."""
    return hashlib.sha256(_canonical([_turn(m) for m in messages])).digest()


def sampling_dict(sampling: Sampling) -> dict[str, Any]:
    """The sampling settings that are not defaults: a setting added to a later version changes no earlier address."""
    values = _changed(sampling, _DEFAULTS)
    if sampling.output is not None:
        values["output"] = _changed(sampling.output, Output())
    return values


def sampling_digest(sampling: Sampling) -> bytes:
    """Hash of the sampling settings."""
    return hashlib.sha256(_canonical(sampling_dict(sampling))).digest()


def call_key(llm_uid: str, messages: bytes, sampling: bytes, sample: int = 0) -> bytes:
    """The address of one sample of one call.

    Args:
        llm_uid: the LLM's lasting identity in the bank.
        messages: from `messages_digest`.
        sampling: from `sampling_digest`, of the settings in force, the LLM's own included.
        sample: index of the sample.

    Returns:
        32 bytes.
    """
    return hashlib.sha256(_canonical([llm_uid, messages.hex(), sampling.hex(), sample])).digest()


def recorded_key(llm_uid: str, question_id: str, text: str) -> bytes:
    """The address of an answer that was recorded elsewhere: nothing is known of how it was asked for."""
    return hashlib.sha256(_canonical(["recorded", llm_uid, question_id, text])).digest()


def settings_digest(sampling: Sampling, system: str) -> str:
    """Names a combination of sampling settings and system prompt."""
    return hashlib.sha256(_canonical([sampling_dict(sampling), system])).hexdigest()[:16]


def llm_uid(name: str, backend: str, model: str) -> str:
    """The identity of an LLM that a bank sees for the first time."""
    return hashlib.sha256(_canonical([name, backend, model])).hexdigest()[:16]


def _turn(message: Message) -> list[Any]:
    """A turn; without calls of tools, as it was written before there were any."""
    calls = [[call.id, call.name, call.arguments] for call in message.tool_calls]
    tools = [calls, message.tool_call_id] if calls or message.tool_call_id is not None else []
    return [message.role, message.content, *tools]


def _changed(value: Sampling | Output, defaults: object) -> dict[str, Any]:
    values = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    return {name: given for name, given in values.items() if given != getattr(defaults, name)}


def _canonical(value: object) -> bytes:
    # Escaped ASCII, so that a text that is no valid Unicode has an address too.
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=list).encode()
