"""The paper's own setting: its fifteen LLMs behind endpoints of yours, its token limits, its aggregators."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from smcs import registry
from smcs.bank import QuestionBank
from smcs.benchmarks._base import Hub, LocalFolder
from smcs.errors import ConfigError
from smcs.evaluation.dry_run import estimated_tokens
from smcs.experiments.main_table import BENCHMARKS
from smcs.prompts import reference_messages
from smcs.types import EmbedderInfo, Question

POOL = Path("pools") / "paper15.toml"
LONG_TOKENS = 32_768
CODE_AGGREGATOR = "QwQ-32B"
_CODE = ("mbpp", "livecodebench")
_DIMENSION = 16


def pool_file(named: Path | None) -> Path:
    """The pool file of the paper's LLMs.

    Raises:
        ConfigError: none is named, and there is none where it usually is.
    """
    if named is not None:
        return named
    if not POOL.is_file():
        raise ConfigError(
            f"the paper's setting needs its pool file, and there is no {POOL} here: take it from the repository, set "
            f"each base_url to an endpoint of yours, and name it with --pool"
        )
    return POOL


def overrides(max_tokens: int | None, llms: Sequence[str]) -> dict[str, Any]:
    """Settings of the method: at 32,768 tokens and more another LLM aggregates code."""
    if max_tokens is None or max_tokens < LONG_TOKENS or CODE_AGGREGATOR not in llms:
        return {}
    return {"aggregators": dict.fromkeys(_CODE, CODE_AGGREGATOR)}


def require_bank(named: str | None) -> str:
    """The question bank's name.

    Raises:
        ConfigError: none is named; says how to make one.
    """
    if named is None:
        raise ConfigError(
            "the paper's setting needs a question bank with its LLMs' answers (--bank): make it with "
            f"'smcs bank create paper.bank {' '.join(f'--from {name}' for name in BENCHMARKS)} --pool POOL' and "
            "'smcs bank evaluate paper.bank --pool POOL'; --dry-run says what that takes, and needs none"
        )
    return named


def planned_bank(llms: Sequence[str], data: Path | None) -> QuestionBank:
    """The bank that is still to be evaluated: the benchmarks' validation questions, no answers, made-up embeddings.

    For planning alone.

    Raises:
        QuestionError: a benchmark cannot be had.
    """
    source = Hub() if data is None else LocalFolder(data)
    questions: list[Question] = []
    for name in BENCHMARKS:
        questions += registry.find("benchmarks", name).create().load("validation", source)
    shape = (len(llms), len(questions))
    seeds = [int.from_bytes(hashlib.sha256(q.text.encode()).digest()[:8]) for q in questions]
    vectors = np.stack([np.random.default_rng(seed).normal(size=_DIMENSION) for seed in seeds]).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return QuestionBank(
        tuple(questions), vectors, EmbedderInfo("planned", "", _DIMENSION), tuple(llms),
        np.zeros(shape, np.uint8), np.zeros(shape, np.bool_),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class BankCost:
    """What evaluating the bank would take, over all LLMs.

    Attributes:
        cost_usd: None where a price is not known.
    """

    calls: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float | None


def bank_cost(bank: QuestionBank, prices: Mapping[str, tuple[float | None, float | None]], tokens: float) -> BankCost:
    """Every LLM of the bank answers every question once.

    Args:
        prices: US dollars per million tokens of prompt and of answer, by LLM.
        tokens: how long an answer is taken to be.
    """
    prompt = sum(estimated_tokens(reference_messages(question)) for question in bank.questions)
    answers = round(tokens * len(bank))
    each = [
        None if a is None or b is None else (prompt * a + answers * b) / 1e6 for a, b in (prices[n] for n in bank.llms)
    ]
    known = [cost for cost in each if cost is not None]
    total = sum(known) if len(known) == len(each) else None
    return BankCost(len(bank) * len(bank.llms), prompt * len(bank.llms), answers * len(bank.llms), total)
