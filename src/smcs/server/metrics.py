"""Prometheus metrics of the server, at ``/metrics``. Each app has a registry of its own.

Labels are names of LLMs of the pool, of strategies, of stages and of kinds of errors: no text that a client sends ever
becomes one, so that their number stays bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib.metadata import version
from typing import TypeVar, cast

from fastapi import APIRouter, Request, Response
from prometheus_client import CollectorRegistry, Counter, Histogram, Info
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from smcs import registry
from smcs.server.recorder import Finished
from smcs.server.service import Ask, Service
from smcs.types import Aggregation, Reference, TotalUsage, Trace

_MOST_NAMES = 300
"""Names of LLMs that metrics tell apart; a configuration that changes all day could bring any number."""
_OTHER = "other"
_STAGES = frozenset(
    {"retrieve", "explore", "exploit", "ask", "aggregate", "vote", "choose", "skills", "longest chain of calls"}
)
_NOT_MADE = frozenset({"cancelled", "no_references", "budget", "deadline", "not_needed"})
"""Kinds of failures that are nobody's: the call was not made, or was given up for another reason."""
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500)

M = TypeVar("M", Counter, Histogram)


class Metrics:
    """Counts requests and their calls (see `smcs.server.recorder.Sink`)."""

    def __init__(self, service: Service) -> None:
        self.registry = CollectorRegistry()
        self._strategies = frozenset(registry.names("strategies"))
        self._names: set[str] = set()
        self._children: dict[tuple[Counter | Histogram, tuple[str, ...]], Counter | Histogram] = {}
        Info("smcs", "The program.", registry=self.registry).info({"version": version("smcs")})
        self._requests = self._counter("requests", "Requests that are over.", "source", "strategy", "status")
        self._request_seconds = self._histogram("request_seconds", "From asking to the answer.", "strategy")
        self._queue_seconds = self._histogram("queue_seconds", "Waiting for a turn.")
        self._stage_seconds = self._histogram("stage_seconds", "Steps of a strategy.", "strategy", "stage")
        self._calls = self._counter("calls", "Requests to LLMs; samples of one request are one.", "strategy")
        self._cost = self._counter("cost_usd", "Of answers all of whose prices are known.", "strategy")
        self._unpriced = self._counter("unpriced_requests", "Requests that called an LLM without a price.", "strategy")
        self._samples = self._counter("llm_samples", "References and aggregations.", "llm", "stage", "outcome")
        self._failures = self._counter("llm_failures", "Samples that failed for good.", "llm", "kind")
        self._retries = self._counter("llm_retries", "Tries beyond the first.", "llm")
        self._tokens = self._counter("llm_tokens", "Prompt and generated tokens.", "llm", "type")
        self._llm_cost = self._counter("llm_cost_usd", "Of calls whose price is known.", "llm")
        self._llm_seconds = self._histogram("llm_seconds", "Calls that were answered.", "llm", "stage")
        self._cuts = self._counter(
            "cut_requests", "Answers that limits or dead LLMs left something out of.", "strategy"
        )
        self._reloads = self._counter("reloads", "Changes of pool file or bank.", "outcome")
        self._replayed = self._counter("replayed_samples", "Samples of replays.", "source")
        self._lost = self._counter("lost_traces", "Traces that could not be stored.")
        self.registry.register(_State(service))

    def began(self, ask: Ask) -> None:
        """A request has come in; the queue says how many there are."""

    def finished(self, finished: Finished) -> None:
        """A request is over."""
        strategy = finished.kind if finished.kind in self._strategies else _OTHER
        self._requests.labels(finished.ask.source, strategy, finished.status).inc()
        self._request_seconds.labels(strategy).observe(finished.outcome.seconds)
        self._queue_seconds.observe(finished.outcome.queued)
        replay, trace = finished.outcome.replay, finished.trace
        if replay is not None:  # its usage is what it would have taken without the cache, which nobody has paid
            self._replayed.labels("cache").inc(replay.reused)
            self._replayed.labels("llm").inc(replay.made)
            self._cost.labels(strategy).inc(replay.cost_usd)
        else:
            self._count_usage(finished.usage, strategy)
            self._count_samples(trace)
        if trace is not None:
            self._count_trace(trace, strategy)

    def _count_usage(self, usage: TotalUsage, strategy: str) -> None:
        self._calls.labels(strategy).inc(usage.calls)
        if usage.cost_usd is None:
            self._unpriced.labels(strategy).inc()
        else:
            self._cost.labels(strategy).inc(usage.cost_usd)

    def _count_trace(self, trace: Trace, strategy: str) -> None:
        for stage, seconds in trace.seconds.items():
            name = stage if stage in _STAGES else _OTHER
            self._stage_seconds.labels(strategy, name.replace(" ", "_")).observe(seconds)
        if trace.cuts:
            self._cuts.labels(strategy).inc()

    def _count_samples(self, trace: Trace | None) -> None:
        if trace is None:
            return
        for reference in trace.referencers:
            self._sample("reference", reference.llm, reference)
        for aggregation in trace.aggregations:
            self._sample("aggregation", trace.aggregator, aggregation)

    def reloaded(self, succeeded: bool) -> None:
        """A change of the configuration was taken up, or could not be."""
        self._reloads.labels("ok" if succeeded else "failed").inc()

    def lost(self) -> None:
        """A trace could not be stored."""
        self._lost.inc()

    def _sample(self, stage: str, llm: str, sample: Reference | Aggregation) -> None:
        done, failed = sample.completion, sample.failure
        if done is not None:
            name = self._name(done.llm)
            self._of(self._samples, name, stage, "ok").inc()
            self._of(self._retries, name).inc(done.attempts - 1)
            self._of(self._tokens, name, "prompt").inc(done.prompt_tokens)
            self._of(self._tokens, name, "completion").inc(done.completion_tokens)
            self._of(self._llm_cost, name).inc(done.cost_usd or 0.0)
            self._of(self._llm_seconds, name, stage).observe(done.seconds)
        elif failed is not None:
            name = self._name(failed.llm or llm)
            outcome = "given_up" if failed.kind in _NOT_MADE else "failed"
            self._of(self._samples, name, stage, outcome).inc()
            self._of(self._retries, name).inc(failed.attempts - 1)
            if outcome == "failed":
                self._of(self._failures, name, failed.kind).inc()

    def _of(self, metric: M, *labels: str) -> M:
        """The metric with these labels; looked up here, since the library's way checks them anew each time."""
        key = (metric, labels)
        found = self._children.get(key)
        if found is None:
            found = self._children[key] = metric.labels(*labels)
        return cast("M", found)

    def _name(self, llm: str) -> str:
        if llm not in self._names and len(self._names) >= _MOST_NAMES:
            return _OTHER
        self._names.add(llm)
        return llm

    def _counter(self, name: str, documentation: str, *labels: str) -> Counter:
        return Counter(f"smcs_{name}", documentation, labels, registry=self.registry)

    def _histogram(self, name: str, documentation: str, *labels: str) -> Histogram:
        return Histogram(f"smcs_{name}", documentation, labels, buckets=_SECONDS, registry=self.registry)


class _State(Collector):
    """What is looked up when it is asked for: the queue, the pool and the bank as they are."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def collect(self) -> Iterable[Metric]:
        service = self._service
        system = service.house.system
        yield _gauge("running_requests", "Requests that are being answered.", service.queue.running)
        yield _gauge("waiting_requests", "Requests that wait for their turn.", service.queue.waiting)
        yield _gauge("pool_llms", "LLMs of the pool.", len(system.pool))
        yield _gauge("bank_questions", "Questions of the bank that the prior looks at.", len(system.bank))
        states = GaugeMetricFamily(
            "smcs_llm_state", "Of the circuit breaker, 1 for the one it is in.", None, ["llm", "state"]
        )
        for llm, health in system.pool.health.items():
            for state in ("closed", "trial", "open"):
                states.add_metric([llm, state], float(health.state == state))
        yield states
        current = float(service.house.problem is None)
        yield _gauge("configuration_current", "1 where pool file and bank are in use as they are now.", current)


def _gauge(name: str, documentation: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"smcs_{name}", documentation, value)


def router(metrics: Metrics) -> APIRouter:
    """``/metrics``, in Prometheus' text format or OpenMetrics, as the client prefers."""
    routes = APIRouter(tags=["health"])

    @routes.get("/metrics", summary="Prometheus metrics", response_class=Response)
    async def show(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        encoder: Callable[[Collector], bytes] = encode
        return Response(encoder(metrics.registry), media_type=content_type)

    return routes
