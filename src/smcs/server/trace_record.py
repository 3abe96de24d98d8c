"""What a stored trace holds, and what is taken out of it before it is stored.

A record is a JSON-able dict: ``id``, ``time`` (seconds since 1970), ``source``, ``strategy``, ``settings``, ``limits``,
``seed``, ``user``, ``question``, ``history``, ``answer``, ``status`` (``ok`` or the error's kind), ``error``,
``seconds``, ``usage``, ``trace`` (`smcs.types.trace_to_dict`) and ``timeline``. At level ``metadata`` only what is
named below is kept, so that a key which somebody adds later gives nothing away.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

from smcs.bank.records import storable
from smcs.config import SamplingSettings, SMCSSettings

Level: TypeAlias = Literal["off", "metadata", "full"]
Record: TypeAlias = dict[str, Any]

PREVIEW = 300
"""Characters of a question or an answer in a list of traces."""
_MOST_SEARCHED = 20_000
_LONGEST_NAME = 300
_SHORTEST_SECRET = 4

_PLAIN = ("id", "time", "source", "seed", "status", "queued", "seconds", "usage", "limits", "replay")
_LABEL = re.compile(r"[a-z][\w-]{0,40}(:[\w.-]{1,40}=[\w./+@-]{1,80}){0,8}")  # "moa:layers=2", and no prompt
_SETTINGS = frozenset({*SMCSSettings.model_fields, *SamplingSettings.model_fields, "lambda"})
_NAMES_IN_SETTINGS = {"prior", "drop", "posterior", "ppl_score", "aggregator"}
_IN_TRACE = (
    "embedder",
    "aggregator",
    "prior",
    "fallbacks",
    "support_size",
    "support_benchmarks",
    "subsets",
    "drop_distribution",
    "winner",
    "seconds",
)
_IN_CALL = (
    "llm",
    "prior",
    "subset",
    "seen",
    "similarity",
    "perplexity",
    "score",
    "finish_reason",
    "prompt_tokens",
    "completion_tokens",
    "cost_usd",
    "seconds",
)
_IN_SUPPORT = {"id": None, "benchmark": None, "similarity": None}.keys()
_IN_TIMELINE = ("stage", "index", "llm", "state", "at_s", "tokens")


def at_level(record: Mapping[str, Any], level: Level) -> Record:
    """The record as this level lets it be stored.

    ``metadata`` keeps names, numbers and times: no text of a question, a conversation, an answer or a reference, and no
    message, since an endpoint's message may quote what it was sent.
    """
    if level == "full":
        return {**record, "level": level}
    kept: Record = {**_only(record, _PLAIN), "level": level, "question": None, "answer": None, "history": []}
    label = str(record.get("strategy") or "")
    kept["strategy"] = label if _LABEL.fullmatch(label) else _name_of(label)
    kept["settings"] = _numbers(record.get("settings") or {})
    kept["timeline"] = [_only(step, _IN_TIMELINE) for step in record.get("timeline") or []]
    trace = record.get("trace")
    kept["trace"] = _trace_without_texts(trace) if trace else None
    error = record.get("error")
    kept["error"] = _only(error, ("kind",)) if error else None
    return kept


def clean(value: Any, redact: Callable[[str], str]) -> Any:
    """A JSON value that any reader can parse: no secret, no half of a character, and no number that JSON lacks."""
    if isinstance(value, str):
        return storable(redact(value))
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {storable(redact(str(key))): clean(item, redact) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [clean(item, redact) for item in value]
    return value if value is None or isinstance(value, int) else storable(redact(str(value)))


def as_json(record: Record) -> str:
    """A record that is clean, as it is stored."""
    return json.dumps(record, ensure_ascii=False)


def json_if_clean(record: Record, redact_json: Callable[[str], str]) -> str | None:
    """The record as it is stored, where `clean` would change nothing: almost always, and in a tenth of its time.

    Args:
        redact_json: replaces secrets as they stand in JSON (see `in_json`).

    Returns:
        None where it has to be cleaned.
    """
    try:
        text = json.dumps(record, ensure_ascii=False, allow_nan=False)
        text.encode()
    except (TypeError, ValueError):
        return None
    return text if "\\u0000" not in text and redact_json(text) == text else None


def in_json(secrets: Sequence[str]) -> list[str]:
    """Secrets as they stand in a text of JSON."""
    return [json.dumps(secret, ensure_ascii=False)[1:-1] for secret in secrets]


def redactor(secrets: Sequence[str]) -> Callable[[str], str]:
    """Replaces each of these secrets by ``***``; too short ones would eat ordinary words, and are none."""
    longest_first = sorted({s for s in secrets if len(s) >= _SHORTEST_SECRET}, key=len, reverse=True)

    def redact(text: str) -> str:
        for secret in longest_first:
            text = text.replace(secret, "***")
        return text

    return redact


def columns(record: Mapping[str, Any]) -> dict[str, Any]:
    """What lists and searches look at, beside the record itself."""
    usage = record.get("usage") or {}
    tokens = [usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0]
    question, answer = record.get("question"), record.get("answer")
    searched = "\n".join(text for text in (question, answer) if text)
    return {
        "id": record["id"],
        "time": float(record["time"]),
        "source": _name(record.get("source")),
        "strategy": _name(record.get("strategy")),
        "status": _name(record.get("status")),
        "seconds": float(record.get("seconds") or 0.0),
        "question": _preview(question),
        "answer": _preview(answer),
        "searched": searched.casefold()[:_MOST_SEARCHED],
        "calls": int(usage.get("calls") or 0),
        "tokens": sum(tokens),
        "cost_usd": usage.get("cost_usd"),
    }


def _trace_without_texts(trace: Mapping[str, Any]) -> Record:
    kept = _only(trace, _IN_TRACE)
    support = trace.get("support") or []
    kept["support"] = [item if item.keys() <= _IN_SUPPORT else _only(item, _IN_SUPPORT) for item in support]
    for stage in ("referencers", "aggregations"):
        kept[stage] = [_call_without_texts(call) for call in trace.get(stage) or []]
    return kept


def _call_without_texts(call: Mapping[str, Any]) -> Record:
    error = call.get("error")
    return {**_only(call, _IN_CALL), "error": _only(error, ("kind", "attempts")) if error else None}


def _name_of(label: str) -> str:
    """The strategy's name without its settings, which may hold prompts."""
    name = label.partition(":")[0]
    return name if _LABEL.fullmatch(name) else "other"


def _only(values: Mapping[str, Any], keys: Iterable[str]) -> Record:
    return {key: values[key] for key in keys if key in values}


def _numbers(settings: Mapping[str, Any]) -> Record:
    """Settings that are numbers, switches or known names: prompts and stop texts are texts."""
    kept: Record = {}
    for key, value in settings.items():
        if key not in _SETTINGS:
            continue
        if isinstance(value, Mapping):
            kept[key] = {name: one for name, one in value.items() if name in _SETTINGS and _is_number(one)}
        elif _is_number(value) or (key in _NAMES_IN_SETTINGS and isinstance(value, str)):
            kept[key] = value
    return kept


def _is_number(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float)


def _name(value: Any) -> str:
    return str(value or "")[:_LONGEST_NAME]


def _preview(text: str | None) -> str | None:
    if text is None:
        return None
    short = " ".join(text[: 2 * PREVIEW].split())
    return short if len(short) <= PREVIEW and len(text) <= 2 * PREVIEW else short[: PREVIEW - 1] + "…"
