"""The values that travel through the system. All are frozen; none does I/O."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Literal, NamedTuple, TypeAlias

from smcs.errors import ConfigError

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """An LLM's call of a tool.

    Attributes:
        id: what the tool's answer refers to.
        arguments: JSON, as the LLM wrote it; it may be no valid JSON.
    """

    id: str
    name: str
    arguments: str

    def __str__(self) -> str:
        return f"{self.name}({self.arguments})"


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation.

    Attributes:
        tool_calls: that an assistant made in this turn.
        tool_call_id: the call that a tool answers.
    """

    role: Role
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """What the asker wants of the answer beyond its text. None: nothing in particular.

    It holds for the calls whose response may become the answer, and there it goes over all other settings.

    Attributes:
        max_tokens: most tokens to generate; fewer where an LLM's own settings in the pool allow fewer.
        tools: functions that may be called, as the OpenAI API writes them; so are the next four.
        tool_choice: whether a tool, or which, is to be called.
        parallel_tool_calls: whether several may be.
        response_format: that the answer is to be JSON, and of which schema.
        top_logprobs: give each token's text and log-probability, with this many alternatives.
    """

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    stop: tuple[str, ...] | None = None
    tools: tuple[Mapping[str, Any], ...] = ()
    tool_choice: str | Mapping[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    response_format: Mapping[str, Any] | None = None
    top_logprobs: int | None = None

    @property
    def features(self) -> tuple[str, ...]:
        """What not every backend can do, by the names of `LLMInfo.features`."""
        wanted = {
            "tools": bool(self.tools),
            "response_format": self.response_format is not None,
            "logprobs": self.top_logprobs is not None,
        }
        return tuple(name for name, is_wanted in wanted.items() if is_wanted)


@dataclass(frozen=True, slots=True)
class Question:
    """A question, with its label where it is known.

    Attributes:
        id: unique within a bank; empty for a question asked live.
        text: the full text as put to the LLM.
        answer: the label, in the form that the grader reads; None where the grader needs none.
        grader: name of the grader that judges a response to it.
        benchmark: where it comes from; what tables group by.
        system: system prompt to use instead of the default one.
        query: what similar questions are looked up by; empty means `text`, and is filled by what was asked before
            where the text alone would not do.
        after: turns that came after it: an assistant's calls of tools, and what these gave.
        output: what is wanted of the answer beyond its text.
        options: the options of a multiple-choice question, in the order of their letters.
        meta: anything else the grader or a report needs.
    """

    text: str
    id: str = ""
    answer: str | None = None
    grader: str = "exact"
    benchmark: str = "custom"
    system: str | None = None
    options: tuple[str, ...] | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)
    query: str = ""
    after: tuple[Message, ...] = ()
    output: Output | None = None


@dataclass(frozen=True, slots=True)
class Sampling:
    """How an LLM is to generate. None means: the backend's own default.

    Attributes:
        temperature: softmax temperature; 0 is greedy.
        top_p: nucleus sampling mass.
        top_k: sample among this many likeliest tokens.
        max_tokens: most tokens to generate, reasoning included.
        presence_penalty: as the OpenAI API defines it.
        frequency_penalty: as the OpenAI API defines it.
        seed: seed of the backend's generator.
        stop: texts at which generation ends.
        logprobs: whether to return the log-probability of each generated token.
        extra: settings that only some backends know, sent as they are.
        output: what is wanted of the answer, where this call's response may become it.
    """

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    max_tokens: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] | None = None
    logprobs: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)
    output: Output | None = None

    def overridden_by(self, other: Sampling) -> Sampling:
        """These settings, with whatever `other` sets put in their place."""
        there = ((name, getattr(other, name)) for name in _SAMPLING)
        set_there = {name: value for name, value in there if value is not None and value is not False}
        return dataclasses.replace(self, **set_there, extra={**self.extra, **other.extra})

    def wanting(self, output: Output | None) -> Sampling:
        """These settings for a call whose response may become the answer: its token limit is what the asker wants."""
        limit = output.max_tokens if output is not None else None
        return dataclasses.replace(self, output=output, max_tokens=self.max_tokens if limit is None else limit)

    def for_output(self) -> Sampling:
        """These settings, with those of `output` in their place."""
        if self.output is None:
            return self
        wanted = self.output
        names = ("temperature", "top_p", "presence_penalty", "frequency_penalty", "stop")
        set_there = {name: getattr(wanted, name) for name in names if getattr(wanted, name) is not None}
        limits = [limit for limit in (self.max_tokens, wanted.max_tokens) if limit is not None]
        return dataclasses.replace(
            self,
            **set_there,
            max_tokens=min(limits, default=None),
            logprobs=self.logprobs or wanted.top_logprobs is not None,
        )


_SAMPLING = tuple(f.name for f in dataclasses.fields(Sampling) if f.name != "extra")


@dataclass(frozen=True, slots=True)
class Request:
    """One call: the same messages, sampled `n` times.

    Attributes:
        sample_index: index of the first of the n samples. Part of what makes a call different from another, so that
            several samples of one prompt are several answers and not one.
    """

    messages: tuple[Message, ...]
    sampling: Sampling = Sampling()
    n: int = 1
    sample_index: int = 0


@dataclass(frozen=True, slots=True)
class Completion:
    """What an LLM generated for one sample of a request.

    Attributes:
        llm: the name of the LLM in the pool.
        text: the answer proper, without any reasoning block.
        reasoning: the reasoning block, where the LLM gives one.
        finish_reason: ``stop``, ``length`` (cut off by the token limit), or the backend's own word.
        token_logprobs: natural log-probability of each generated token under the LLM, untempered where the backend
            gives both; None where it gives none.
        tokens: the same with each token's text and its alternatives, as the OpenAI API writes them; only where asked
            for.
        tool_calls: tools that it calls; then the text may be empty.
        prompt_tokens: tokens of the prompt; of n samples of one request the first carries them, the others 0.
        completion_tokens: generated tokens of this sample, reasoning included.
        cost_usd: price of this sample; None where the price is not known.
        seconds: from the first attempt to the last token, waiting for a free place not included.
        attempts: how often the call was tried.
    """

    llm: str
    text: str
    reasoning: str | None = None
    finish_reason: str = "stop"
    token_logprobs: tuple[float, ...] | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float | None = None
    seconds: float = 0.0
    attempts: int = 1
    tokens: tuple[Mapping[str, Any], ...] | None = None
    tool_calls: tuple[ToolCall, ...] = ()

    @property
    def content(self) -> str:
        """The text, or its calls of tools in words where it has none: what it is compared by."""
        return self.text or "\n".join(map(str, self.tool_calls))


@dataclass(frozen=True, slots=True)
class Failure:
    """A call that failed for good. Never an answer, and never a wrong one.

    Attributes:
        kind: the error's short name, such as ``call_timeout`` or ``rate_limit``; ``deadline`` and ``budget`` where a
            limit ended or forbade the call, ``not_needed`` where the answer was there without it.
        charged: whether its last try may have generated tokens, which the endpoint may charge for.
    """

    llm: str
    kind: str
    message: str
    attempts: int = 1
    seconds: float = 0.0
    charged: bool = field(default=True, compare=False)


@dataclass(frozen=True, slots=True)
class LLMInfo:
    """What is known of an LLM before it is called.

    Attributes:
        logprobs: whether it returns token log-probabilities; None where only a call can tell.
        multiple_samples: whether n samples of one prompt can be one request.
        context_length: tokens of prompt and completion together; None where unknown.
        price_prompt: US dollars per million prompt tokens; None where unknown.
        price_completion: US dollars per million generated tokens; None where unknown.
        features: what it can do of ``tools``, ``response_format`` and ``logprobs`` (with the tokens' texts).
    """

    name: str
    backend: str
    model: str
    logprobs: bool | None = None
    multiple_samples: bool = False
    context_length: int | None = None
    price_prompt: float | None = None
    price_completion: float | None = None
    features: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EmbedderInfo:
    """What makes two embeddings comparable. Part of every bank.

    Attributes:
        name: backend and model.
        revision: what pins the model: a commit, a checksum, or empty where the endpoint does not say.
        dimension: length of a vector.
        query_instruction: put before a text that is searched for.
        document_instruction: put before a text that is searched in.
    """

    name: str
    revision: str
    dimension: int
    query_instruction: str = ""
    document_instruction: str = ""


@dataclass(frozen=True, slots=True)
class Grade:
    """A grader's judgement of one response.

    Attributes:
        correct: True, False, or None where the response cannot be graded.
        extracted: the answer found in the response, in normal form: equal text means equal answer.
        reason: why it could not be graded.
    """

    correct: bool | None
    extracted: str | None = None
    reason: str = ""


class SupportItem(NamedTuple):
    """One question of the support set. A tuple, since every answer makes hundreds of them."""

    id: str
    benchmark: str
    similarity: float
    text: str = ""


@dataclass(frozen=True, slots=True)
class Reference:
    """A referencer's part in a trace: its completion or its failure."""

    llm: str
    prior: float
    completion: Completion | None = None
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Aggregation:
    """One of the n aggregations: the subset it saw, and its completion with scores, or its failure.

    Attributes:
        subset: names of the referencers whose references it was to see, best prior first.
        seen: names of those whose references it did see: fewer where one failed or did not fit.
        similarity: mean cosine with all aggregations [Equation 7].
        perplexity: of its own tokens under the aggregator; None where it was not asked for.
        score: hybrid posterior score [Equation 7].
        sample_index: which sample of the prompt this is, where several subsets are equal.
    """

    subset: tuple[str, ...]
    seen: tuple[str, ...] = ()
    completion: Completion | None = None
    failure: Failure | None = None
    similarity: float | None = None
    perplexity: float | None = None
    score: float | None = None
    sample_index: int = 0


@dataclass(frozen=True, slots=True)
class TotalUsage:
    """What an answer took in all.

    Attributes:
        calls: requests that were answered or failed for good; samples of one request count once.
        cost_usd: None where the price of some LLM that was called is not known.
    """

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float | None = 0.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What one answer may take at most. None: no limit.

    Attributes:
        calls: requests to LLMs; samples of one request are one call where the LLM gives several, and a call that is
            tried again is still one.
        tokens: prompt and completion tokens over all calls.
        usd: US dollars over all calls.
        seconds: from the moment of asking until the answer.

    Raises:
        ConfigError: a limit that cannot be kept, such as no call or a negative time.
    """

    calls: int | None = None
    tokens: int | None = None
    usd: float | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        for name, least in (("calls", 1), ("tokens", 1), ("usd", 0)):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value >= least):
                raise ConfigError(f"a limit of {name} must be a number from {least} up, not {value}")
        if self.seconds is not None and not (math.isfinite(self.seconds) and self.seconds > 0):
            raise ConfigError(f"a limit of seconds must be a number above 0, not {self.seconds}")


NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Trace:
    """Everything that led to an answer.

    Attributes:
        prior: prior score of every LLM of the pool [Equation 4], in the pool's order.
        fallbacks: LLMs whose prior is not from the support set, with what stood in for it.
        notes: what differed from the plan, in words: a referencer that was replaced, a reference that was cut.
        cuts: what limits, LLMs known to be down, or adaptive effort left out, in words.
        winner: index in `aggregations`; None where there is none.
        seconds: what each step took: retrieve, collect and explore (together), exploit.
    """

    embedder: str
    aggregator: str
    support: tuple[SupportItem, ...] = ()
    prior: Mapping[str, float] = field(default_factory=dict)
    fallbacks: Mapping[str, str] = field(default_factory=dict)
    referencers: tuple[Reference, ...] = ()
    subsets: tuple[tuple[str, ...], ...] = ()
    drop_distribution: tuple[float, ...] = ()
    aggregations: tuple[Aggregation, ...] = ()
    winner: int | None = None
    notes: tuple[str, ...] = ()
    cuts: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the pool answers, and how it came to it.

    Attributes:
        choices: the responses that could be the answer, best first: the first is the answer, and where the strategy
            does not rank what it chooses from, the only one.
    """

    text: str
    seed: int
    seconds: float
    usage: TotalUsage
    trace: Trace
    choices: tuple[Completion, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The JSON form that ``smcs ask --json`` prints."""
        return {
            "answer": self.text,
            "seed": self.seed,
            "seconds": self.seconds,
            "usage": dataclasses.asdict(self.usage),
            "trace": trace_to_dict(self.trace),
        }


_BENCHMARK = attrgetter("benchmark")


def trace_to_dict(trace: Trace, *, most_support: int | None = None) -> dict[str, Any]:
    """The JSON form of a trace.

    Args:
        most_support: how many questions of the support set, the most similar ones; all by default. How large it is, and
            from which benchmarks, is told in any case.
    """
    return {
        "embedder": trace.embedder,
        "aggregator": trace.aggregator,
        "support": [
            {"id": s.id, "benchmark": s.benchmark, "similarity": s.similarity} for s in trace.support[:most_support]
        ],
        "support_size": len(trace.support),
        "support_benchmarks": Counter(map(_BENCHMARK, trace.support)),
        "prior": dict(trace.prior),
        "fallbacks": dict(trace.fallbacks),
        "referencers": [
            {"llm": r.llm, "prior": r.prior, **_completion_to_dict(r.completion, r.failure)} for r in trace.referencers
        ],
        "subsets": [list(subset) for subset in trace.subsets],
        "drop_distribution": list(trace.drop_distribution),
        "aggregations": [
            {
                "subset": list(a.subset),
                "seen": list(a.seen),
                "similarity": a.similarity,
                "perplexity": a.perplexity,
                "score": a.score,
                **_completion_to_dict(a.completion, a.failure),
            }
            for a in trace.aggregations
        ],
        "winner": trace.winner,
        "notes": list(trace.notes),
        "cuts": list(trace.cuts),
        "seconds": dict(trace.seconds),
    }


def _completion_to_dict(completion: Completion | None, failure: Failure | None) -> dict[str, Any]:
    return {
        "text": completion.text if completion else None,
        "reasoning": completion.reasoning if completion else None,
        "error": {"kind": failure.kind, "message": failure.message, "attempts": failure.attempts} if failure else None,
        "finish_reason": completion.finish_reason if completion else None,
        "prompt_tokens": completion.prompt_tokens if completion else 0,
        "completion_tokens": completion.completion_tokens if completion else 0,
        "cost_usd": completion.cost_usd if completion else None,
        "seconds": completion.seconds if completion else failure.seconds if failure else 0.0,
    }


# What a strategy reports while it works, for a terminal or a page to show.


@dataclass(frozen=True, slots=True)
class Retrieved:
    """The support set and the prior are known."""

    support: tuple[SupportItem, ...]
    prior: Mapping[str, float]
    seconds: float


@dataclass(frozen=True, slots=True)
class Planned:
    """The referencers are chosen and the subsets drawn."""

    referencers: tuple[str, ...]
    subsets: tuple[tuple[str, ...], ...]
    aggregator: str


CallState: TypeAlias = Literal["waiting", "loading", "running", "done", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class CallUpdate:
    """The state of one reference or one aggregation has changed.

    Attributes:
        index: position among the referencers, or among the aggregations.
        tokens: generated so far.
        seconds: since the call was made.
    """

    stage: Literal["reference", "aggregation"]
    index: int
    llm: str
    state: CallState
    tokens: int = 0
    seconds: float = 0.0
    message: str = ""


@dataclass(frozen=True, slots=True)
class Scored:
    """The posterior scores are known and the winner is chosen."""

    aggregations: tuple[Aggregation, ...]
    winner: int


@dataclass(frozen=True, slots=True)
class Fetching:
    """Weights are being fetched. `total` is None where the size is not known."""

    file: str
    source: str
    done: int
    total: int | None


Event: TypeAlias = Retrieved | Planned | CallUpdate | Scored | Fetching
