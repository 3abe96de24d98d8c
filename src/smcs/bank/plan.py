"""What is left to evaluate, and what it would take. Reads the bank; writes and calls nothing."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import func, select

from smcs import prompts
from smcs.bank import keys, schema
from smcs.bank.records import Reused, Setting
from smcs.bank.store import BankStore, StoredLLM, StoredQuestion
from smcs.config import LLMSettings
from smcs.errors import ConfigError
from smcs.pool.budget import price
from smcs.protocols import Progress
from smcs.registry import did_you_mean
from smcs.types import Completion, Failure, LLMInfo, Message, Question, Request, Sampling

DEFAULT_SAMPLING = Sampling(temperature=0.0, max_tokens=512)
_NOTHING_SET = Sampling()
_CHARACTERS_PER_TOKEN = 3.5
_TOKENS_PER_MESSAGE = 8


class LLMCaller(Protocol):
    """An LLM of a pool, as the evaluation needs it: `complete` returns failures and does not raise them."""

    @property
    def info(self) -> LLMInfo:
        """What is known of it."""
        ...

    @property
    def settings(self) -> LLMSettings:
        """Its part of the pool file."""
        ...

    async def complete(self, request: Request, progress: Progress) -> Sequence[Completion | Failure]:
        """Ask it."""
        ...


@dataclass(frozen=True, slots=True)
class Conditions:
    """Under what a bank's LLMs are evaluated.

    A bank keeps those of its first evaluation, so that its LLMs stay comparable.

    Attributes:
        sampling: an LLM's own settings in the pool file come before these.
        system: system prompt of questions that bring none; an LLM's own in the pool file comes before it.
    """

    sampling: Sampling = DEFAULT_SAMPLING
    system: str = ""

    def to_json(self) -> str:
        """As the bank stores it."""
        return json.dumps({"sampling": keys.sampling_dict(self.sampling), "system": self.system}, default=list)

    @classmethod
    def from_json(cls, text: str) -> Conditions:
        """The reverse."""
        values = json.loads(text)
        sampling = values["sampling"]
        if "stop" in sampling:
            sampling["stop"] = tuple(sampling["stop"])
        return cls(Sampling(**sampling), values["system"])


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """One call to make, and the questions that its answer is stored for."""

    key: bytes
    questions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LLMPlan:
    """What is left to do for one LLM.

    Attributes:
        stored: its entry in the bank; None where it is new there.
        sampling: the settings in force for it.
        asked: questions that the plan covers, answered or not.
        answered: those that have a response already.
        other_settings: how many of these responses were made under other settings than those now in force.
        reused: questions that a stored call answers at no cost.
        calls: what is to be called, in order.
        prompt_tokens: estimate over all calls.
        completion_tokens: the same; where nothing is known of the LLM, the most that it may generate.
        known: whether the estimate rests on earlier answers.
    """

    caller: LLMCaller
    stored: StoredLLM | None
    setting: Setting
    sampling: Sampling
    asked: int
    answered: int
    other_settings: int
    reused: tuple[Reused, ...]
    calls: tuple[PlannedCall, ...]
    prompt_tokens: int
    completion_tokens: int
    known: bool

    @property
    def name(self) -> str:
        """The LLM's name."""
        return self.caller.info.name

    @property
    def most_completion_tokens(self) -> int | None:
        """What all calls may generate at most; None where nothing limits it."""
        return None if self.sampling.max_tokens is None else self.sampling.max_tokens * len(self.calls)

    def cost_usd(self, completion_tokens: int) -> float | None:
        """Price of all calls if they generate so much; None where the price is not known."""
        return price(self.caller.info, self.prompt_tokens, completion_tokens)


@dataclass(frozen=True, slots=True)
class EvaluationPlan:
    """What an evaluation would do.

    Attributes:
        questions: all questions of the bank by their place in it.
    """

    conditions: Conditions
    llms: tuple[LLMPlan, ...]
    questions: Mapping[int, StoredQuestion]


def conditions_of(store: BankStore, sampling: Sampling = _NOTHING_SET, *, afresh: bool = False) -> Conditions:
    """The conditions of a run: the bank's own where it has any, else the defaults; with `sampling` over them.

    Args:
        afresh: whether the bank's own are to be left behind.
    """
    kept = store.properties.get("conditions")
    if kept and not afresh:
        base = Conditions.from_json(kept)
    else:
        base = Conditions(DEFAULT_SAMPLING, prompts.load("reference_system.txt"))
    return dataclasses.replace(base, sampling=base.sampling.overridden_by(sampling))


def choose_questions(
    questions: Sequence[StoredQuestion], limit: int | None = None, seed: int = 0
) -> list[StoredQuestion]:
    """The questions to evaluate: at most so many of each benchmark, in a random order fixed by the seed.

    A larger limit keeps the questions of a smaller one, and an evaluation that is stopped early has seen the same share
    of each benchmark.
    """

    def place(question: StoredQuestion) -> bytes:
        return hashlib.sha256(f"{seed}\x1f{question.question.id}".encode()).digest()

    parts: dict[str, list[StoredQuestion]] = {}
    for question in sorted(questions, key=place):
        parts.setdefault(question.question.benchmark, []).append(question)
    chosen = [part[:limit] for part in parts.values()]
    ranked = [((i + 0.5) / len(part), question) for part in chosen for i, question in enumerate(part)]
    return [question for _, question in sorted(ranked, key=lambda item: item[0])]


def make_plan(
    store: BankStore,
    callers: Iterable[LLMCaller],
    conditions: Conditions,
    *,
    llms: Sequence[str] = (),
    limit: int | None = None,
    seed: int = 0,
    redo: bool = False,
) -> EvaluationPlan:
    """Find out what is left to do.

    Args:
        callers: the pool.
        llms: names of the LLMs to evaluate; all by default.
        limit: most questions of each benchmark; the same ones for every LLM.
        seed: chooses and orders the questions; also the seed of calls that sample.
        redo: ask again what has a response already, if that was made under other settings.

    Raises:
        ConfigError: the pool has no LLM of such a name.
        BankError: the bank has another LLM by the name of one of these.
    """
    questions = store.questions()
    chosen = choose_questions(questions, limit, seed)
    planner = _Planner(store, conditions, chosen, seed=seed, redo=redo)
    plans = tuple(planner.plan(caller) for caller in _named(list(callers), llms))
    return EvaluationPlan(conditions, plans, {q.seq: q for q in questions})


def messages_of(question: Question, system: str, own: str | None = None) -> tuple[Message, ...]:
    """What an LLM is asked: the same that a referencer is asked live.

    Args:
        system: of questions that bring none.
        own: the LLM's own system prompt, which the pool puts in the place of the instructions.
    """
    return prompts.one_system_message(prompts.reference_messages(question, system=system), own)


def _named(callers: list[LLMCaller], names: Sequence[str]) -> list[LLMCaller]:
    by_name = {caller.info.name: caller for caller in callers}
    for name in names:
        if name not in by_name:
            raise ConfigError(f"the pool has no LLM {name!r}{did_you_mean(name, list(by_name))}")
    return [by_name[name] for name in dict.fromkeys(names)] if names else callers


class _Planner:
    def __init__(
        self, store: BankStore, conditions: Conditions, chosen: Sequence[StoredQuestion], *, seed: int, redo: bool
    ) -> None:
        self._store = store
        self._conditions = conditions
        self._chosen = chosen
        self._seed = seed
        self._redo = redo
        self._digests: dict[str | None, list[bytes]] = {}
        self._averages = _averages(store)

    def plan(self, caller: LLMCaller) -> LLMPlan:
        info = caller.info
        stored = self._store.find_llm(info)
        uid = stored.uid if stored else self._store.new_uid(info)
        own, system = caller.settings.system, self._conditions.system
        sampling = self._conditions.sampling.overridden_by(caller.settings.sampling.to_sampling())
        if sampling.temperature != 0 and sampling.seed is None:
            sampling = dataclasses.replace(sampling, seed=self._seed)
        sampled = keys.sampling_digest(sampling)
        responses, paid_for = self._stored_calls(stored)
        answered = other_settings = 0
        todo: dict[bytes, list[int]] = {}
        for question, digest in zip(self._chosen, self._message_digests(own), strict=True):
            key = keys.call_key(uid, digest, sampled)
            response = responses.get(question.seq)
            if response is not None:
                other_settings += response != key
            if response is not None and (response == key or not self._redo):
                answered += 1
            else:
                todo.setdefault(key, []).append(question.seq)
        seq = stored.seq if stored else 0
        calls = tuple(PlannedCall(key, tuple(seqs)) for key, seqs in todo.items() if key not in paid_for)
        prompt, completion, known = self._estimate(stored, own, sampling, calls)
        return LLMPlan(
            caller=caller,
            stored=stored,
            setting=Setting(keys.settings_digest(sampling, own or system), sampling, own or system),
            sampling=sampling,
            asked=len(self._chosen),
            answered=answered,
            other_settings=other_settings,
            reused=tuple(Reused(key, seq, tuple(seqs)) for key, seqs in todo.items() if key in paid_for),
            calls=calls,
            prompt_tokens=prompt,
            completion_tokens=completion,
            known=known,
        )

    def _message_digests(self, own: str | None) -> list[bytes]:
        if own not in self._digests:
            self._digests[own] = [keys.messages_digest(self._messages(q.question, own)) for q in self._chosen]
        return self._digests[own]

    def _messages(self, question: Question, own: str | None) -> tuple[Message, ...]:
        return messages_of(question, self._conditions.system, own)

    def _stored_calls(self, llm: StoredLLM | None) -> tuple[dict[int, bytes], set[bytes]]:
        """The LLM's responses by question, and the addresses of all its calls."""
        if llm is None:
            return {}, set()
        responses, calls = schema.responses, schema.calls
        with self._store.reading() as connection:
            rows = connection.execute(select(responses.c.question, responses.c.call).where(responses.c.llm == llm.seq))
            by_question: dict[int, bytes] = {question: bytes(call) for question, call in rows}
            addresses = connection.scalars(select(calls.c.key).where(calls.c.llm == llm.seq))
            return by_question, {bytes(key) for key in addresses}

    def _estimate(
        self, llm: StoredLLM | None, own: str | None, sampling: Sampling, calls: Sequence[PlannedCall]
    ) -> tuple[int, int, bool]:
        """Tokens of the prompts and of the answers, and whether earlier answers say so."""
        by_seq = {q.seq: q.question for q in self._chosen}
        asked = (self._messages(by_seq[call.questions[0]], own) for call in calls)
        characters = sum(len(m.content) for messages in asked for m in messages)
        prompt = round(characters / _CHARACTERS_PER_TOKEN) + 2 * _TOKENS_PER_MESSAGE * len(calls)
        most = sampling.max_tokens
        average = self._averages.get(llm.seq if llm else None) or self._averages.get(None)
        if average is None:
            return prompt, (most or DEFAULT_SAMPLING.max_tokens or 0) * len(calls), False
        return prompt, round(min(average, most or average) * len(calls)), True


def _averages(store: BankStore) -> dict[int | None, float]:
    """Average tokens of an answer by LLM; under None over all LLMs. What is not known is not in it."""
    calls = schema.calls
    query: Any = select(calls.c.llm, func.count(), func.sum(calls.c.completion_tokens)).group_by(calls.c.llm)
    with store.reading() as connection:
        rows = [(llm, count, int(tokens)) for llm, count, tokens in connection.execute(query)]
    averages: dict[int | None, float] = {llm: tokens / count for llm, count, tokens in rows}
    if rows:
        averages[None] = sum(tokens for *_, tokens in rows) / sum(count for _, count, _ in rows)
    return averages
