"""Symbolic-MoE (Chen et al., 2025): LLMs are recruited by the skills that a question asks for.

An LLM names the skills of each question. The bank gives each LLM a profile: for each skill, right answers less wrong
ones. An LLM's relevance to a question is its suitability (its profile on the question's skills) times its competency
(on all skills); k LLMs are drawn by it, answer, and one aggregates.

Variants: ``published`` finds the aggregator by a benchmark of its own (`_aggregator_trial`); ``compared`` is what the
SMCS paper compares with, where the pool's aggregator aggregates. Not carried over: the dropping of LLMs that few
questions of the whole test set recruit, which needs that set in advance. Suitability and competency are shares here,
not counts, and relevance is scaled to its largest value, so that the temperature means the same for banks of any size.

The bank's questions are annotated when the first question is asked: one short call each, not counted in an answer's
usage. Name a file (``skills``) to keep the annotations.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from smcs.config import Settings as BaseSettings
from smcs.errors import ConfigError
from smcs.pool.budget import Cost
from smcs.protocols import Observer
from smcs.registry import did_you_mean
from smcs.strategies._afford import Effort, Worst, lesser, within_limits
from smcs.strategies._aggregate import Aggregating, require_output
from smcs.strategies._aggregator import choose_aggregator
from smcs.strategies._aggregator_trial import best_aggregator
from smcs.strategies._answering import Story
from smcs.strategies._calls import Calls, call_seed
from smcs.strategies._collect import Ask, announce, collect
from smcs.strategies._parts import Parts, Turn
from smcs.strategies._skills import (
    Profile,
    annotate_bank,
    make_profile,
    matched,
    name_skills,
    read_skills,
    write_skills,
)
from smcs.types import NO_LIMITS, Answer, Failure, Limits, Message, Question


class Settings(BaseSettings):
    """Settings.

    Attributes:
        variant: ``published``, or ``compared`` as in the SMCS paper.
        recruits: how many LLMs are drawn, with repeats: an LLM drawn twice answers twice.
        temperature: of the draw; lower favours the most relevant.
        least_questions: a skill that fewer questions of the bank ask for is left out.
        annotator: the LLM that names skills; by default the pool's aggregator.
        trial_questions: questions of the benchmark of aggregators (variant ``published``).
        skills: file that keeps the annotations of the bank.
    """

    variant: Literal["published", "compared"] = "published"
    recruits: Annotated[int, Field(ge=1, le=100)] = 3
    temperature: Annotated[float, Field(gt=0)] = 0.5
    least_questions: Annotated[int, Field(ge=1)] = 2
    annotator: str | None = None
    trial_questions: Annotated[int, Field(ge=1)] = 20
    skills: Path | None = None


def create(parts: Parts, settings: Settings) -> SymbolicMoE:
    """Build the strategy.

    Raises:
        ConfigError: the pool has no such LLM.
    """
    return SymbolicMoE(parts, settings)


class SymbolicMoE:
    """Recruits LLMs by skill (see `smcs.protocols.Strategy`)."""

    def __init__(self, parts: Parts, settings: Settings) -> None:
        self._parts = parts
        self._settings = settings
        self._bank = parts.bank.select(parts.pool.names)
        self._shared = choose_aggregator(parts.pool, self._bank, parts.method, logprobs=False)
        self._annotator = settings.annotator or self._shared
        if self._annotator not in parts.pool:
            raise ConfigError(
                f"the pool has no LLM {self._annotator!r}{did_you_mean(self._annotator, parts.pool.names)}"
            )
        self._preparing = asyncio.Lock()
        self._named: dict[str, tuple[str, ...]] = {}
        self._prepared: tuple[Profile, str, str] | None = None

    async def answer(
        self,
        question: Question,
        *,
        seed: int,
        history: Sequence[Message] = (),
        observe: Observer = lambda _: None,
        limits: Limits = NO_LIMITS,
    ) -> Answer:
        """Answer one question.

        Raises:
            NoAnswerError: every LLM that was recruited failed, the aggregation did, or the bank's annotation.
            ConfigError: the bank gives no profiles.
            CallError: skills could not be embedded.
        """
        calls, turn = Calls(self._parts.pool, observe, limits), Turn(question, tuple(history), seed)
        profile, aggregator, note = await calls.in_time(self._prepare())
        require_output(calls.pool, aggregator, turn)
        story = Story(calls, seed, embedder=self._parts.bank.embedder.name, aggregator=aggregator, notes=[note])
        story.substitutes = not (question.output and question.output.features)
        named = await name_skills(calls, self._annotator, question.text, self._parts.method, seed)
        skills = () if isinstance(named, Failure) else named
        columns = await matched(profile, skills, self._parts.embedder)
        story.step("skills")
        chances = self._chances(profile, columns)
        story.prior = {name: float(chance) for name, chance in zip(self._bank.llms, chances, strict=True)}
        story.notes.append(_skills_note(skills, [profile.skills[i] for i in columns]))
        asks = self._recruit(chances, seed, calls)
        worst = Worst(calls, turn, self._parts.method)

        def aggregation(_: Effort, some: Sequence[Ask]) -> Cost:
            return worst.aggregation(aggregator, [ask.llm for ask in some for _ in range(ask.samples)])

        asks, aggregates = within_limits(worst, asks, lesser(sum(ask.samples for ask in asks), 1), aggregation)
        subset = tuple(ask.llm for ask in asks for _ in range(ask.samples))
        announce(calls, asks, aggregator, (subset,) if aggregates else ())
        asked, part = (turn.for_references, 0.5) if aggregates else (turn, 1.0)
        collected = await collect(calls, asked, self._parts.method, asks, after=calls.longest_chain, part=part)
        story.step("ask")
        story.require(collected)
        if not aggregates:
            return story.without_aggregation(collected.references, ())
        aggregating = Aggregating(calls, turn, self._parts.method, logprobs=False)
        done, _ = await aggregating.aggregate(aggregator, subset, collected.present, after=collected.ends)
        story.step("aggregate")
        story.notes += aggregating.notes
        return story.of_aggregation(collected.references, done)

    def _chances(self, profile: Profile, columns: Sequence[int]) -> NDArray[np.float64]:
        """With which probability each LLM is drawn, array of shape (R,). Without a known skill, by competency."""
        competency = np.clip(profile.competency(), 0, None)
        suitability = np.clip(profile.suitability(columns), 0, None) if columns else np.ones(len(competency))
        # An LLM that is more often wrong than right is not relevant: two negative factors must not make a positive one.
        relevance = suitability * competency
        largest = relevance.max(initial=0.0)
        scaled = relevance / largest if largest > 0 else relevance
        weights = np.exp((scaled - scaled.max(initial=0.0)) / self._settings.temperature)
        return np.asarray(weights / weights.sum())

    def _recruit(self, chances: NDArray[np.float64], seed: int, calls: Calls) -> list[Ask]:
        """Draw LLMs among those that may be asked; those drawn come in descending chance."""
        usable = set(calls.usable(self._bank.llms))
        chances = np.where([name in usable for name in self._bank.llms], chances, 0.0)
        chances /= chances.sum()
        rng = np.random.default_rng(call_seed(seed, "recruits"))
        drawn = rng.choice(len(chances), self._settings.recruits, p=chances)
        counts = np.bincount(drawn, minlength=len(chances))
        order = sorted(np.flatnonzero(counts), key=lambda i: (-chances[i], i))
        return [Ask(self._bank.llms[i], float(chances[i]), int(counts[i])) for i in order]

    async def _prepare(self) -> tuple[Profile, str, str]:
        """Profiles of the LLMs, the aggregator, and a note on both; made once, by whoever comes first."""
        async with self._preparing:
            if self._prepared is None:
                calls = Calls(self._parts.pool)
                profile = await self._profile(calls)
                if self._settings.variant == "compared":
                    aggregator, how = self._shared, "the pool's aggregator"
                else:
                    aggregator, shares = await best_aggregator(self._parts, calls, self._settings.trial_questions)
                    how = f"right in {shares.get(aggregator, 0.0):.0%} of the trials of aggregators"
                made = f"{len(profile.skills)} skills of {len(self._bank)} questions; {aggregator} aggregates: {how}"
                self._prepared = (profile, aggregator, made)
            return self._prepared

    async def _profile(self, calls: Calls) -> Profile:
        path = self._settings.skills
        if path is not None and not self._named:
            self._named.update(await read_skills(path))
        before = len(self._named)
        try:
            await annotate_bank(calls, self._annotator, self._bank, self._parts.method, self._named)
        finally:
            if path is not None and len(self._named) > before:
                await write_skills(path, self._named)
        return await make_profile(self._bank, self._named, self._parts.embedder, self._settings.least_questions)


def _skills_note(skills: Sequence[str], standing_for: Sequence[str]) -> str:
    if not skills:
        return "no skill was named, so LLMs are recruited by competency alone"
    return f"skills: {', '.join(skills)}; in the profiles: {', '.join(standing_for)}"
