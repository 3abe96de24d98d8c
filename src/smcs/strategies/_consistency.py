"""Universal self-consistency: an LLM picks the response that agrees best with the others (Chen et al., 2023)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from smcs import prompts
from smcs.errors import SmcsError
from smcs.pool.budget import most_tokens
from smcs.strategies._calls import Calls, call_seed
from smcs.strategies._fit import fit_references
from smcs.strategies._parts import Parts, Turn
from smcs.types import Completion, Message, Sampling

_PICKED = re.compile(r"most consistent\W+(?:is\W+)?(?:response\W+)?#?(\d+)", re.IGNORECASE)
_NUMBER = re.compile(r"\d+")
_ANSWER_TOKENS = 256


async def pick_most_consistent(
    calls: Calls, parts: Parts, turn: Turn, llm: str, texts: Sequence[str], *, after: float
) -> tuple[int | None, str]:
    """Have an LLM pick one of several responses.

    Args:
        llm: who picks.
        texts: the responses, at least two.
        after: when they were there.

    Returns:
        Index of the response, and what happened in words; None where the call failed or names no response.
    """
    seed = call_seed(turn.seed, "most consistent", llm)
    sampling = parts.method.sampling.to_sampling().overridden_by(Sampling(max_tokens=_ANSWER_TOKENS))
    sampling = replace(sampling, temperature=0.0, seed=seed)
    try:
        messages = await _fitting(parts, turn, llm, texts)
    except SmcsError as error:
        return None, f"{llm} could not pick the most consistent response: {error}"
    made = await calls.ask(llm, messages, sampling, keep_system=True, after=after)
    (result,) = made.results
    if not isinstance(result, Completion):
        return None, f"{llm} could not pick the most consistent response: {result.message}"
    number = picked_number(result.text, len(texts))
    if number is None:
        return None, f"{llm} was to pick the most consistent response and named none"
    return number - 1, f"{llm} finds response {number} of {len(texts)} the most consistent"


def picked_number(reply: str, n: int) -> int | None:
    """The number from 1 to n that a reply settles on; None where it settles on none."""
    stated = [int(number) for number in _PICKED.findall(reply)]
    valid = [number for number in stated if 1 <= number <= n]
    if valid:
        return valid[-1]
    mentioned = {int(number) for number in _NUMBER.findall(reply)}
    return mentioned.pop() if len(mentioned) == 1 and 1 <= min(mentioned) <= n else None


async def _fitting(parts: Parts, turn: Turn, llm: str, texts: Sequence[str]) -> tuple[Message, ...]:
    """The prompt, with responses shortened where they do not fit the context."""
    picker = parts.pool[llm]

    def messages(responses: Sequence[str]) -> tuple[Message, ...]:
        numbered = "\n\n".join(f"Response {i}:\n{text.strip()}" for i, text in enumerate(responses, 1))
        content = f"The question:\n\n{turn.question.text}\n\n{numbered}"
        return (Message("system", prompts.load("consistency_system.txt")), Message("user", content))

    async def count(responses: Sequence[str]) -> int:
        return await picker.count_tokens(messages(responses), keep_system=True)

    context = picker.info.context_length
    if context is None or most_tokens(messages(texts)) + _ANSWER_TOKENS <= context:
        return messages(texts)
    kept, _ = await fit_references(texts, context - _ANSWER_TOKENS, count)
    # A response that is left out keeps its number.
    return messages([text if text is not None else "(too long to be shown)" for text in kept])
