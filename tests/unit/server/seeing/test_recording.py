"""A request is answered by the real service over simulated LLMs: its trace, its metrics and its spans tell of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from smcs.errors import NoAnswerError
from smcs.server.house import House
from smcs.server.metrics import Metrics
from smcs.server.recorder import Recorder
from smcs.server.service import Ask, Service
from smcs.server.settings import ServerSettings
from smcs.server.spans import Spans
from smcs.server.traces import TraceStore, open_traces
from smcs.system import System
from smcs.types import Question

QUESTION = "What is 2 plus 3?"


class Seen:
    """A service whose every request is recorded."""

    def __init__(self, service: Service, store: TraceStore, contents: bool) -> None:
        self.service, self.store = service, store
        self.metrics = Metrics(service)
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = provider.get_tracer("test")
        sinks = (self.metrics, Spans(contents=contents, provider=provider))
        service.watchers.append(Recorder(service.house, store, sinks))

    def value(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, labels)

    def spans(self, name: str) -> list[Any]:
        return [span for span in self.exporter.get_finished_spans() if span.name.startswith(name)]


@asynccontextmanager
async def seen(world: Any, level: Any = "full", *, contents: bool = False) -> AsyncIterator[Seen]:
    system = await System.open(world.pool, world.bank)
    store = await open_traces(world.folder / "traces" / "t.sqlite", level)
    assert store is not None
    async with system, store:
        service = Service(House(system), ServerSettings(), store)
        yield Seen(service, store, contents)
        await service.aclose()


async def test_a_known_request_in_numbers(world: Any) -> None:
    async with seen(world) as it:
        served = await it.service.answer(Ask(Question(QUESTION), seed=1))
        await it.service.aclose()
        record = await it.store.get(served.id)
        assert record is not None
        answer, trace = served.answer, served.answer.trace
        assert record["trace"] == json.loads(json.dumps(answer.to_dict()["trace"]))
        assert (record["question"], record["answer"], record["status"]) == (QUESTION, answer.text, "ok")
        assert record["usage"]["completion_tokens"] == answer.usage.completion_tokens
        calls = {(step["stage"], step["index"]) for step in record["timeline"] if step["state"] == "done"}
        assert calls == {*(("reference", i) for i in range(3)), *(("aggregation", i) for i in range(4))}
        times = [step["at_s"] for step in record["timeline"]]
        assert times == sorted(times)
        assert 0 <= times[0] <= times[-1] <= record["seconds"]

        assert it.value("smcs_requests_total", source="api", strategy="smcs", status="ok") == 1
        assert it.value("smcs_calls_total", strategy="smcs") == answer.usage.calls
        assert it.value("smcs_cost_usd_total", strategy="smcs") == pytest.approx(answer.usage.cost_usd)
        assert it.value("smcs_llm_samples_total", llm=trace.aggregator, stage="aggregation", outcome="ok") == 4
        tokens = [it.value("smcs_llm_tokens_total", llm=llm, type="completion") or 0.0 for llm in trace.prior]
        assert sum(tokens) == answer.usage.completion_tokens
        prompts = [it.value("smcs_llm_tokens_total", llm=llm, type="prompt") or 0.0 for llm in trace.prior]
        assert sum(prompts) == answer.usage.prompt_tokens
        assert it.value("smcs_stage_seconds_count", strategy="smcs", stage="explore") == 1
        assert it.value("smcs_pool_llms") == 3
        assert it.value("smcs_bank_questions") == 16
        assert it.value("smcs_running_requests") == 0


async def test_spans_by_the_conventions_and_no_text_in_them(world: Any) -> None:
    async with seen(world) as it:
        with it.tracer.start_as_current_span("POST /v1/chat/completions") as http:
            served = await it.service.answer(Ask(Question(QUESTION), seed=1))
        await it.service.aclose()
        (root,) = it.spans("invoke_workflow")
        assert root.name == "invoke_workflow smcs"
        assert root.parent.span_id == http.get_span_context().span_id
        assert root.attributes["gen_ai.operation.name"] == "invoke_workflow"
        assert root.attributes["gen_ai.usage.output_tokens"] == served.answer.usage.completion_tokens
        assert root.attributes["gen_ai.response.id"] == served.id
        chats = it.spans("chat")
        assert len(chats) == served.answer.usage.calls
        assert sum(c.attributes["gen_ai.usage.input_tokens"] for c in chats) == served.answer.usage.prompt_tokens
        assert sum(c.attributes["gen_ai.usage.output_tokens"] for c in chats) == served.answer.usage.completion_tokens
        samples = [
            i for c in chats if c.attributes["smcs.stage"] == "aggregation" for i in c.attributes["smcs.indices"]
        ]
        assert sorted(samples) == [0, 1, 2, 3]
        for chat in chats:
            assert chat.parent.span_id == root.context.span_id
            assert root.start_time <= chat.start_time <= chat.end_time <= root.end_time
            assert chat.attributes["gen_ai.provider.name"] == "simulated"
            assert chat.attributes["gen_ai.request.model"] == "simulated (skill 0.8)"
            assert set(chat.attributes["gen_ai.response.finish_reasons"]) == {"stop"}
            assert chat.kind == SpanKind.INTERNAL
        (retrieval,) = it.spans("retrieval")
        assert root.start_time <= retrieval.start_time <= retrieval.end_time
        written = json.dumps([json.loads(span.to_json()) for span in it.exporter.get_finished_spans()])
        assert "2 plus 3" not in written
        assert "answer is" not in written


async def test_contents_are_in_spans_when_asked_for(world: Any) -> None:
    async with seen(world, contents=True) as it:
        served = await it.service.answer(Ask(Question(QUESTION), seed=1))
        await it.service.aclose()
        (root,) = it.spans("invoke_workflow")
        said = json.loads(root.attributes["gen_ai.input.messages"])
        assert said == [{"role": "user", "parts": [{"type": "text", "content": QUESTION}]}]
        (answered,) = json.loads(root.attributes["gen_ai.output.messages"])
        assert answered["parts"][0]["content"] == served.answer.text
        outputs = [o for c in it.spans("chat") for o in json.loads(c.attributes["gen_ai.output.messages"])]
        assert len(outputs) == 7


async def test_a_request_that_fails_and_one_that_is_given_up(world: Any) -> None:
    bad_text = "faults = { server_error = 1.0 }\nmax_retries = 1\nmax_backoff_s = 0.01\n"
    world.write_pool(*(world.llm(name) + bad_text for name in ("one", "two", "three")))
    async with seen(world) as it:
        with pytest.raises(NoAnswerError):
            await it.service.answer(Ask(Question(QUESTION), id="smcs-failed"))
        await it.service.aclose()
        record = await it.store.get("smcs-failed")
        assert record is not None
        assert (record["status"], record["answer"], record["usage"]["prompt_tokens"]) == ("no_answer", None, 0)
        assert "every referencer failed" in record["error"]["message"]
        assert it.value("smcs_requests_total", source="api", strategy="smcs", status="no_answer") == 1
        failures = [it.value("smcs_llm_failures_total", llm=n, kind="server") for n in ("one", "two", "three")]
        assert failures == [1, 1, 1]
        assert it.value("smcs_llm_retries_total", llm="one") == 1
        (root,) = it.spans("invoke_workflow")
        assert root.status.status_code == StatusCode.ERROR
        assert root.attributes["error.type"] == "no_answer"
        assert {c.attributes["error.type"] for c in it.spans("chat")} == {"server"}

    world.write_pool(*(world.llm(name, latency_s=60) for name in ("one", "two", "three")))
    async with seen(world) as it:
        began = asyncio.Event()
        asking = asyncio.create_task(it.service.answer(Ask(Question(QUESTION), id="smcs-gone"), lambda _: began.set()))
        await began.wait()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await it.service.aclose()
        record = await it.store.get("smcs-gone")
        assert record is not None
        assert record["status"] == "cancelled"
        assert it.value("smcs_requests_total", source="api", strategy="smcs", status="cancelled") == 1


async def test_labels_are_bounded_whatever_clients_send(world: Any) -> None:
    async with seen(world) as it:
        for i in range(3):
            await it.service.answer(Ask(Question(QUESTION), strategy=f"majority:k=3:n_drop={i}", user=f"user {i}"))
        with pytest.raises(Exception, match="unknown strategy"):
            await it.service.answer(Ask(Question(QUESTION), strategy="secret words"))
        await it.service.aclose()
        strategies = {
            sample.labels["strategy"]
            for family in it.metrics.registry.collect()
            for sample in family.samples
            if "strategy" in sample.labels
        }
        assert strategies == {"majority", "other"}


async def test_the_level_metadata_holds_for_real_requests(world: Any) -> None:
    async with seen(world, "metadata") as it:
        served = await it.service.answer(Ask(Question(QUESTION), settings={"reference_prompt": "HUSH"}, user="HUSH"))
        await it.service.aclose()
        record = await it.store.get(served.id)
        assert record is not None
        written = json.dumps(record)
        assert all(text not in written for text in ("2 plus 3", "answer is", "HUSH"))
        assert record["usage"]["calls"] == served.answer.usage.calls
        assert record["trace"]["aggregations"][0]["score"] is not None
