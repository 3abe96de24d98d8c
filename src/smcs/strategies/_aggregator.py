"""Which LLM aggregates."""

from __future__ import annotations

import numpy as np

from smcs.bank import QuestionBank
from smcs.config import SMCSSettings
from smcs.core import prior as priors
from smcs.errors import ConfigError
from smcs.pool import Pool
from smcs.registry import did_you_mean

INSTRUCTION_BENCHMARKS = ("ifeval", "instructions")
"""Benchmarks whose accuracy chooses the aggregator where none is named."""


def choose_aggregator(pool: Pool, bank: QuestionBank, settings: SMCSSettings, *, logprobs: bool) -> str:
    """The first of `rank_aggregators`."""
    return rank_aggregators(pool, bank, settings, logprobs=logprobs)[0]


def rank_aggregators(pool: Pool, bank: QuestionBank, settings: SMCSSettings, *, logprobs: bool) -> list[str]:
    """The aggregator that is named, then LLMs by their instruction-following accuracy in the bank, best first.

    Args:
        bank: with the pool's LLMs as rows.
        logprobs: whether it has to give log-probabilities.

    Raises:
        ConfigError: the one named is not in the pool, or none gives log-probabilities.
    """
    if settings.aggregator is not None:
        check_aggregator(pool, settings.aggregator, logprobs=logprobs)
    usable = [i for i, llm in enumerate(pool) if not logprobs or llm.info.logprobs is not False]
    if not usable:
        check_aggregator(pool, pool.names[0], logprobs=logprobs)
    of_kind = np.array([q.benchmark in INSTRUCTION_BENCHMARKS for q in bank.questions], dtype=bool)
    following = priors.whole_bank_accuracy(bank.capability[:, of_kind], bank.observed[:, of_kind])
    overall = priors.whole_bank_accuracy(bank.capability, bank.observed)
    rank = np.nan_to_num(np.stack([following, overall]), nan=-1.0)
    ranked = [pool.names[i] for i in sorted(usable, key=lambda i: (-rank[0, i], -rank[1, i], i))]
    return list(dict.fromkeys([settings.aggregator, *ranked] if settings.aggregator else ranked))


def check_aggregator(pool: Pool, name: str, *, logprobs: bool) -> None:
    """Check that an LLM can aggregate.

    Raises:
        ConfigError: it is not in the pool, or gives no log-probabilities though they are needed.
    """
    if name not in pool.names:
        raise ConfigError(f"the aggregator {name!r} is not in the pool{did_you_mean(name, pool.names)}")
    info = pool[name].info
    if logprobs and info.logprobs is False:
        raise ConfigError(
            f"the aggregator {name!r} (backend {info.backend!r}) gives no token log-probabilities, which the "
            f"perplexity score needs; set lambda = 0, or another aggregator"
        )
