"""What decides a strategy's answers, in one hash: strategy, settings, pool, bank and embedder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

from smcs.bank import QuestionBank
from smcs.bank.keys import sampling_dict
from smcs.evaluation.shared import llm_identity
from smcs.pool import Pool
from smcs.protocols import Strategy
from smcs.strategies import Parts, StrategySpec, build, settings_of
from smcs.types import Question


@dataclass(frozen=True, slots=True)
class Setup:
    """A strategy that is ready to be evaluated.

    Attributes:
        digest: hash of all that decides its answers.
        label: what tables call it.
        description: what the hash is of, as JSON.
    """

    digest: str
    label: str
    description: str
    strategy: Strategy


def make_setups(specs: Sequence[StrategySpec], parts: Parts) -> list[Setup]:
    """Build the strategies.

    Raises:
        ConfigError: settings that the pool or the bank cannot meet.
        UnknownNameError: there is no such strategy.
    """
    shared = {
        "version": version("smcs"),
        "pool": [_llm_description(parts.pool, name) for name in parts.pool.names],
        "bank": bank_digest(parts.bank),
        "embedder": asdict(parts.bank.embedder),
    }
    setups: list[Setup] = []
    for spec in specs:
        method, own = settings_of(spec, parts.method)
        described = {
            "strategy": spec.name,
            "settings": own.model_dump(mode="json"),
            "method": method.model_dump(mode="json"),
            **shared,
        }
        text = json.dumps(described, sort_keys=True, default=str)
        setups.append(Setup(_hash(text), spec.label, text, build(spec, parts)))
    return setups


def bank_digest(bank: QuestionBank) -> str:
    """Hash of a bank's questions, embeddings and grades."""
    parts = hashlib.sha256()
    parts.update(json.dumps([[q.id, q.text, q.benchmark] for q in bank.questions]).encode())
    parts.update(json.dumps(bank.llms).encode())
    for array in (bank.embeddings, bank.capability, bank.observed):
        parts.update(array.tobytes())
    return parts.hexdigest()[:16]


def question_content(question: Question) -> str:
    """A question as JSON."""
    return json.dumps(
        {
            "id": question.id,
            "question": question.text,
            "answer": question.answer,
            "grader": question.grader,
            "benchmark": question.benchmark,
            "system": question.system,
            "options": question.options,
            "meta": dict(question.meta),
        },
        sort_keys=True,
        ensure_ascii=False,
        default=str,
    )


def question_digest(question: Question) -> str:
    """Hash of all that a question is."""
    return _hash(question_content(question))


def _llm_description(pool: Pool, name: str) -> dict[str, Any]:
    settings = pool[name].settings
    return {
        "identity": llm_identity(pool[name].info),
        "sampling": sampling_dict(settings.sampling.to_sampling()),
        "system": settings.system,
        "include_reasoning": settings.include_reasoning,
    }


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
