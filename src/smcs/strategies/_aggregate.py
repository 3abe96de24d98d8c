"""Aggregating references: the prompt that fits the aggregator's context, and the call."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from smcs.config import SMCSSettings
from smcs.errors import SmcsError
from smcs.pool import Pool, PooledLLM, unsupported
from smcs.pool.budget import most_tokens
from smcs.prompts import aggregation_messages
from smcs.strategies._calls import LEAST_ANSWER_TOKENS, Calls, Made, Reporter, Stop, call_seed, fits
from smcs.strategies._fit import fit_references
from smcs.strategies._parts import Turn
from smcs.types import Aggregation, Completion, Failure, Message, Sampling

CUT_OFF = "\n[this response was cut off by the token limit]"


def require_output(pool: Pool, aggregator: str, turn: Turn) -> None:
    """Check that the aggregator can do what is wanted of the answer, before anything is paid for.

    Raises:
        UnsupportedError: it cannot.
    """
    refused = unsupported(pool[aggregator].info, turn.question.output)
    if refused is not None:
        raise refused


@dataclass(frozen=True, slots=True)
class _How:
    """How references are aggregated: see the arguments of `Aggregating.aggregate`."""

    subset: tuple[str, ...]
    after: float
    stop: Stop | None


class Aggregating:
    """Aggregates references of one answer.

    Args:
        calls: of this answer.
        turn: what is asked.
        settings: prompts and sampling.
        logprobs: whether log-probabilities of the aggregations are needed.

    Attributes:
        notes: what was shortened or left out, in words.
    """

    def __init__(self, calls: Calls, turn: Turn, settings: SMCSSettings, *, logprobs: bool) -> None:
        self._calls = calls
        self._turn = turn
        self._settings = settings
        self._logprobs = logprobs
        self.notes: list[str] = []

    async def aggregate(
        self,
        aggregator: str,
        subset: tuple[str, ...],
        present: Sequence[tuple[str, Completion]],
        indices: tuple[int, ...] = (0,),
        *,
        after: float = 0.0,
        stop: Stop | None = None,
    ) -> tuple[list[Aggregation], float]:
        """Aggregate some references, as often as there are indices.

        Args:
            aggregator: name.
            subset: names of those whose references it was to see.
            present: the references that are there, best prior first, with their LLMs' names.
            indices: positions among the aggregations of this answer.
            after: when the references were there.
            stop: ends the call before its time.

        Returns:
            The aggregations, or their failures, and when they were there.
        """
        reporter = Reporter(self._calls.observe, "aggregation", indices, aggregator, time.monotonic())
        seen: tuple[str, ...] = ()
        if present:
            seen, made = await self._ask(self._calls.pool[aggregator], present, reporter, _How(subset, after, stop))
        else:
            made = _failed(aggregator, "no_references", "every reference of this subset failed", indices, after)
        aggregations = [
            Aggregation(
                subset,
                seen,
                completion=result if isinstance(result, Completion) else None,
                failure=result if isinstance(result, Failure) else None,
                sample_index=sample,
            )
            for sample, result in enumerate(made.results)
        ]
        return aggregations, made.ends

    async def _ask(
        self, aggregator: PooledLLM, present: Sequence[tuple[str, Completion]], reporter: Reporter, how: _How
    ) -> tuple[tuple[str, ...], Made]:
        """Ask the aggregator; whose references it saw, and a result for each of the reporter's indices."""
        sampling = self._sampling(how.subset)
        try:
            seen, messages = await self._prompt(aggregator, present, sampling)
        except SmcsError as error:  # it could not be made ready to count its tokens
            return (), _failed(aggregator.name, "not_ready", str(error), reporter.indices, how.after)
        if not seen:
            reason = f"the question leaves no room for a reference in {aggregator.name}'s context"
            return (), _failed(aggregator.name, "context_length", reason, reporter.indices, how.after)
        return seen, await self._calls.ask(
            aggregator.name,
            messages,
            sampling,
            reporter,
            keep_system=True,
            after=how.after,
            stop=how.stop,
        )

    def _sampling(self, subset: tuple[str, ...]) -> Sampling:
        own = self._settings.aggregation_sampling.to_sampling()
        sampling = self._settings.sampling.to_sampling().overridden_by(own)
        seed = call_seed(self._turn.seed, "aggregation", *subset)
        return replace(sampling.wanting(self._turn.question.output), seed=seed, logprobs=self._logprobs)

    async def _prompt(
        self, aggregator: PooledLLM, present: Sequence[tuple[str, Completion]], sampling: Sampling
    ) -> tuple[tuple[str, ...], tuple[Message, ...]]:
        """The aggregation prompt with the references that fit, and whose they are: nobody's where none fits."""
        texts = [self._text(name, completion) for name, completion in present]

        def messages(references: Sequence[str]) -> tuple[Message, ...]:
            return aggregation_messages(
                self._turn.question, references, history=self._turn.history, system=self._settings.aggregator_prompt
            )

        async def count(references: Sequence[str]) -> int:
            return await aggregator.count_tokens(messages(references), keep_system=True)

        context = aggregator.info.context_length
        wanted = aggregator.settings.sampling.max_tokens or sampling.max_tokens or LEAST_ANSWER_TOKENS
        # References are cut before the answer is, but for an answer's share of at most half of the context.
        room = context - min(wanted, context // 2) if context is not None else None
        if room is None or most_tokens(messages(texts)) <= room:
            return tuple(name for name, _ in present), messages(texts)
        kept, tokens = await fit_references(texts, room, count)
        for (name, _), before, after in zip(present, texts, kept, strict=True):
            if after != before:
                how = "left out of" if after is None else "shortened in"
                self._note(
                    f"{name}'s reference is {how} an aggregation: {aggregator.name}'s context is {context} tokens"
                )
        if not fits(aggregator, tokens):
            return (), ()
        seen = tuple(name for (name, _), text in zip(present, kept, strict=True) if text is not None)
        return seen, messages([text for text in kept if text is not None])

    def _text(self, name: str, completion: Completion) -> str:
        text = completion.text
        if self._calls.pool[name].settings.include_reasoning and completion.reasoning:
            text = f"{completion.reasoning}\n\n{text}"
        return text + CUT_OFF if completion.finish_reason == "length" else text

    def _note(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)


def _failed(llm: str, kind: str, message: str, indices: tuple[int, ...], after: float) -> Made:
    return Made([Failure(llm, kind, message)] * len(indices), after)
