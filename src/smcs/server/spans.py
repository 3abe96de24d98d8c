"""OpenTelemetry spans of each request, by the semantic conventions for generative AI.

A request is an ``invoke_workflow`` span; under it are a ``retrieval``, one ``chat`` for each request to an LLM, and the
scoring. Only OpenTelemetry's API is used: where no SDK is set up, all this costs next to nothing. Texts are put into
spans only if asked for; nothing else in a span is a text of anybody's.

The conventions are those of https://opentelemetry.io/docs/specs/semconv/gen-ai/ (status: development).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from opentelemetry import trace as otel
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, TracerProvider
from opentelemetry.util.types import AttributeValue

from smcs.server.recorder import Finished, Step
from smcs.server.service import Ask
from smcs.types import Aggregation, Completion, Failure, Reference

_IN_PROCESS = frozenset({"llama-cpp", "simulated", "recorded"})
_ENDS = frozenset({"done", "failed", "cancelled"})


@dataclass(frozen=True, slots=True)
class _Call:
    """One request to an LLM: when, and what each of its samples came to."""

    stage: str
    llm: str
    indices: tuple[int, ...]
    start_s: float
    end_s: float
    samples: tuple[Reference | Aggregation, ...]


class Spans:
    """Makes spans of requests (see `smcs.server.recorder.Sink`).

    Args:
        contents: whether questions, references and answers are put into the spans; by default what the environment
            variable ``OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT`` says.
        provider: by default the process' own.
    """

    def __init__(self, *, contents: bool | None = None, provider: TracerProvider | None = None) -> None:
        asked = os.environ.get("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "")
        self._contents = asked.strip().lower() in {"true", "1", "span_only"} if contents is None else contents
        self._tracer = otel.get_tracer("smcs", tracer_provider=provider)
        self._open: dict[str, Span] = {}

    def began(self, ask: Ask) -> None:
        """A request has come in. Its span's parent is the current one, such as the HTTP server's."""
        attributes: dict[str, AttributeValue] = {"gen_ai.operation.name": "invoke_workflow", "smcs.source": ask.source}
        self._open[ask.id] = self._tracer.start_span("invoke_workflow", kind=SpanKind.INTERNAL, attributes=attributes)

    def finished(self, finished: Finished) -> None:
        """A request is over."""
        span = self._open.pop(finished.ask.id)
        if span.is_recording():
            self._describe(span, finished)
            parent = otel.set_span_in_context(span)
            self._retrieval(finished, parent)
            for call in _calls(finished):
                self._chat(call, finished, parent)
            self._scoring(finished, parent)
        span.end(_ns(finished.began + finished.outcome.seconds))

    def _describe(self, span: Span, finished: Finished) -> None:
        usage, ask = finished.usage, finished.ask
        span.update_name(f"invoke_workflow {finished.kind}")
        span.set_attributes(
            {
                "gen_ai.agent.name": finished.kind,
                "gen_ai.request.seed": ask.seed,
                "gen_ai.response.id": ask.id,
                "gen_ai.usage.input_tokens": usage.prompt_tokens,
                "gen_ai.usage.output_tokens": usage.completion_tokens,
                "smcs.calls": usage.calls,
                "smcs.queue_seconds": finished.outcome.queued,
            }
        )
        if usage.cost_usd is not None:
            span.set_attribute("smcs.cost_usd", usage.cost_usd)
        if finished.status != "ok":
            span.set_attribute("error.type", finished.status)
            span.set_status(Status(StatusCode.ERROR))
        if self._contents:
            turns = [*((m.role, m.content) for m in ask.history), ("user", ask.question.text)]
            span.set_attribute("gen_ai.input.messages", _messages(turns))
            if finished.outcome.answer:
                answer = [("assistant", finished.outcome.answer.text)]
                span.set_attribute("gen_ai.output.messages", _messages(answer, "stop"))

    def _retrieval(self, finished: Finished, parent: Context) -> None:
        trace = finished.trace
        if trace is None or "retrieve" not in trace.seconds:
            return
        begin = finished.began + finished.outcome.queued
        attributes: dict[str, AttributeValue] = {
            "gen_ai.operation.name": "retrieval",
            "gen_ai.request.model": trace.embedder,
            "smcs.support": len(trace.support),
        }
        span = self._tracer.start_span("retrieval", parent, SpanKind.INTERNAL, attributes, start_time=_ns(begin))
        span.end(_ns(begin + trace.seconds["retrieve"]))

    def _chat(self, call: _Call, finished: Finished, parent: Context) -> None:
        info = finished.llms.get(call.llm)
        model, backend = (info.model, info.backend) if info else (call.llm, "unknown")
        attributes: dict[str, AttributeValue] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": backend,
            "gen_ai.request.model": model,
            "smcs.llm": call.llm,
            "smcs.stage": call.stage,
            "smcs.indices": list(call.indices),
        }
        if len(call.indices) > 1:
            attributes["gen_ai.request.choice.count"] = len(call.indices)
        kind = SpanKind.INTERNAL if backend in _IN_PROCESS else SpanKind.CLIENT
        start = _ns(finished.began + call.start_s)
        span = self._tracer.start_span(f"chat {model}", parent, kind, attributes, start_time=start)
        done = [sample.completion for sample in call.samples if sample.completion]
        failed = [sample.failure for sample in call.samples if sample.failure]
        _describe_results(span, done, failed)
        if self._contents and done:
            span.set_attribute("gen_ai.output.messages", _outputs(done))
        span.end(_ns(finished.began + call.end_s))

    def _scoring(self, finished: Finished, parent: Context) -> None:
        trace = finished.trace
        if trace is None or "exploit" not in trace.seconds:
            return
        end = finished.began + finished.outcome.seconds
        attributes: dict[str, AttributeValue] = {"smcs.aggregations": len(trace.aggregations)}
        begin = _ns(end - trace.seconds["exploit"])
        span = self._tracer.start_span("smcs score", parent, SpanKind.INTERNAL, attributes, start_time=begin)
        span.end(_ns(end))


def _describe_results(span: Span, done: Sequence[Completion], failed: Sequence[Failure]) -> None:
    if done:
        span.set_attribute("gen_ai.usage.input_tokens", sum(completion.prompt_tokens for completion in done))
        span.set_attribute("gen_ai.usage.output_tokens", sum(completion.completion_tokens for completion in done))
        span.set_attribute("gen_ai.response.finish_reasons", [completion.finish_reason for completion in done])
        costs = [completion.cost_usd for completion in done if completion.cost_usd is not None]
        if len(costs) == len(done):
            span.set_attribute("smcs.cost_usd", sum(costs))
    results: list[Completion | Failure] = [*done, *failed]
    attempts = max((result.attempts for result in results), default=1)
    if attempts > 1:
        span.set_attribute("smcs.attempts", attempts)
    if failed:
        # Its message may quote what it was sent: the kind is all that a span is told.
        span.set_attribute("error.type", failed[0].kind)
        span.set_status(Status(StatusCode.ERROR))


def _calls(finished: Finished) -> list[_Call]:
    """The requests to LLMs, with the samples that they came to; without a trace none is known."""
    trace = finished.trace
    if trace is None:
        return []
    samples: dict[str, Sequence[Reference | Aggregation]] = {
        "reference": trace.referencers,
        "aggregation": trace.aggregations,
    }
    calls: list[_Call] = []
    for steps in _by_request(finished.steps):
        stage, llm = steps[0].stage, steps[0].llm
        indices = tuple(sorted({step.index for step in steps}))
        ends = [step.at_s for step in steps if step.state in _ENDS] or [finished.outcome.seconds]
        # A strategy may put its calls into the trace in another order than it made them in.
        results = tuple(
            samples[stage][i] for i in indices if i < len(samples[stage]) and _is_of(llm, samples[stage][i])
        )
        calls.append(_Call(stage, llm, indices, min(step.at_s for step in steps), max(ends), results))
    return calls


def _is_of(llm: str, sample: Reference | Aggregation) -> bool:
    result = sample.completion or sample.failure
    return result is not None and result.llm == llm


def _by_request(steps: Iterable[Step]) -> list[list[Step]]:
    requests: dict[tuple[str, tuple[float, str]], list[Step]] = {}
    for step in steps:
        requests.setdefault((step.stage, step.request), []).append(step)
    return list(requests.values())


def _messages(turns: Iterable[tuple[str, str]], finish_reason: str | None = None) -> str:
    ending = {} if finish_reason is None else {"finish_reason": finish_reason}
    return json.dumps(
        [{"role": role, "parts": [{"type": "text", "content": text}], **ending} for role, text in turns],
        ensure_ascii=False,
    )


def _outputs(done: Sequence[Completion]) -> str:
    parts = [
        {
            "role": "assistant",
            "parts": [{"type": "text", "content": completion.text}],
            "finish_reason": completion.finish_reason,
        }
        for completion in done
    ]
    return json.dumps(parts, ensure_ascii=False)


def _ns(seconds: float) -> int:
    return int(seconds * 1e9)
