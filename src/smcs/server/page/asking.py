"""From what the page sends to the one way of answering, and to the record that it shows afterwards."""

from __future__ import annotations

import dataclasses
import time
from typing import Any, Literal

from smcs.config import merge, parse_override
from smcs.errors import CallError, NoAnswerError, SmcsError
from smcs.server.openai.errors import of_smcs
from smcs.server.page.events import Mailbox
from smcs.server.page.schemas import AskBody
from smcs.server.page.showing import with_bank
from smcs.server.service import Ask, Service
from smcs.types import Answer, Limits, Message, Question, Trace, trace_to_dict


def ask_of(body: AskBody, source: Literal["page", "replay"] = "page") -> Ask:
    """The question as the service takes it.

    Raises:
        ConfigError: an override is not of the form key=value.
    """
    settings = dict(body.settings)
    for text in body.overrides:
        settings = merge(settings, parse_override(text))
    return Ask(
        question=Question(body.question),
        history=tuple(Message(turn.role, turn.content) for turn in body.history),
        seed=body.seed,
        strategy=body.strategy or None,
        settings=settings,
        limits=Limits(**body.limits.model_dump()),
        source=source,
    )


async def answered(service: Service, ask: Ask, mailbox: Mailbox) -> dict[str, Any]:
    """Answer, and give the last event: the record of the answer, or what went wrong with as much as there is."""
    begin, now = time.monotonic(), time.time()

    def record(**ending: Any) -> dict[str, Any]:
        return {
            "id": ask.id,
            "time": now,
            "source": ask.source,
            "strategy": ask.strategy_label or service.house.system.strategy.label,
            "settings": dict(ask.settings),
            "limits": dataclasses.asdict(ask.limits),
            "seed": ask.seed,
            "question": ask.question.text,
            "history": [{"role": turn.role, "content": turn.content} for turn in ask.history],
            "seconds": time.monotonic() - begin,
            **ending,
        }

    try:
        served = await service.answer(ask, mailbox.put)
    except SmcsError as error:
        told = of_smcs(error).body()["error"]
        trace = error.trace if isinstance(error, NoAnswerError) else None
        kept = record(status=told["code"], error={"kind": told["code"], "message": told["message"]}, answer=None)
        if trace is not None:
            kept |= {"trace": _trace(service, trace)}
        retry = isinstance(error, CallError | NoAnswerError)
        return {"event": "error", "kind": told["code"], "message": told["message"], "retry": retry, "record": kept}
    kept = record(status="ok", **_answer(service, served.answer))
    if served.replay is not None:
        kept["replay"] = {"of": ask.replay_of, **dataclasses.asdict(served.replay)}
    return {"event": "answer", "id": served.id, "record": kept}


def _answer(service: Service, answer: Answer) -> dict[str, Any]:
    usage = dataclasses.asdict(answer.usage)
    return {"answer": answer.text, "usage": usage, "trace": _trace(service, answer.trace)}


def _trace(service: Service, trace: Trace) -> dict[str, Any] | None:
    return with_bank(trace_to_dict(trace), service.house.system.bank)
