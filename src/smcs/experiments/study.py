"""The study of recorded answers as one JSON value: what ``smcs experiment recorded`` computes and writes.

Its layout, which programs may rely on::

    {"study": "recorded",
     "settings": {"k": 7, "seed": 0, ...},
     "embedder": {"name": ..., "revision": ..., ...},
     "benchmarks": {
       "gsm": {
         "llms": [...], "k": 7, "bank": {"crux": 400, "gsm": 660}, "test_questions": 659, ...,
         "best_single_on_bank": "...",
         "strategies": {"majority": {"accuracy": 0.95, "standard_error": 0.008, "n": 659}, ...},
         "differences": [{"one": ..., "other": ..., "mean": ..., "low": ..., "high": ..., "p_value": ..., "n": ...}],
         "priors": {"equation4": {"pairwise_ranking_score": 0.73, "low": ..., "high": ..., "pairs": ...}, ...},
         "outside_references": {"...": {"accuracy": ..., "standard_error": ..., "n": ...}}}},
     "parts": {"leave-out": [...], "k": [...], "pool-size": [...], "bank-size": [...], "transfer": [...]}}

Accuracies, standard errors and ranking scores are fractions, not per cent; intervals are 95%. Rows of ``parts`` say
which ``benchmark`` they are of and have ``strategies`` (and mostly ``priors``) of the same form.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from smcs.core.estimation import PRIORS
from smcs.experiments.figures import Json
from smcs.experiments.groups import Group, Splits
from smcs.experiments.recorded import PARTS, Plan, main_table
from smcs.experiments.replay import BY_PRIOR, RECOMMENDED, STRATEGIES, require_known
from smcs.types import EmbedderInfo

_SPLITS = Splits()
ALL_PARTS = ("main", *PARTS)
"""The main table, and what can be had beside it."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which strategies are wanted, as a user names them.

    Attributes:
        strategies: those to replay, without a prior's name.
        priors: priors to replay them by; the first is the one that is not named.
        only: the labels to report; None for all.
    """

    strategies: tuple[str, ...] = STRATEGIES
    priors: tuple[str, ...] = (RECOMMENDED, "equation4")
    only: frozenset[str] | None = None

    def reports(self, label: str) -> bool:
        """Whether a label is wanted; ``single`` wants every LLM's, ``NAME`` that strategy by every prior."""
        return self.only is None or label in self.only or label.split(":", 1)[0] in self.only


def choose(names: Sequence[str], priors: Sequence[str] = (), llms: Sequence[str] = ()) -> Choice:
    """What a user's names of strategies and priors mean.

    Args:
        names: from `STRATEGIES`, or ``single:LLM``, or ``STRATEGY:PRIOR``; all where there are none.
        priors: from `PRIORS`; the recommended one and Equation 4 where there are none.
        llms: the LLMs that may be named.

    Raises:
        ConfigError: an unknown name, with the closest known one.
    """
    require_known(priors, list(PRIORS), "prior")
    bases, by = [], list(priors)
    for name in names:
        base, _, detail = name.partition(":")
        require_known([base], STRATEGIES, "strategy")
        bases.append(base)
        if detail:
            known = llms if base == "single" else list(PRIORS) if base in BY_PRIOR else []
            require_known([detail], known, f"{'LLM' if base == 'single' else 'prior'} in the strategy {name!r}:")
            by += [detail] if base in BY_PRIOR else []
    chosen = tuple(dict.fromkeys(by if priors else [RECOMMENDED, "equation4", *by]))
    if not names:
        return Choice(priors=chosen)
    # By the first prior a strategy goes without the prior's name.
    only = frozenset(name.removesuffix(f":{chosen[0]}") for name in names)
    return Choice(tuple(dict.fromkeys(bases)), chosen, only)


def run_study(
    groups: Sequence[Group],
    embedder: EmbedderInfo,
    plan: Plan,
    *,
    parts: Sequence[str] = ("main",),
    splits: Splits = _SPLITS,
    choice: Choice | None = None,
    report: Callable[[str, str], None] = lambda part, group: None,
) -> Json:
    """Compute parts of the study on groups of benchmarks.

    Args:
        groups: from `groups_of`.
        embedder: what embedded their questions.
        plan: K, seed, strategies and so on.
        parts: names from `ALL_PARTS`.
        splits: for the record.
        choice: what is reported of each part's strategies; all where None.
        report: told each part and group as it begins.

    Returns:
        The study in the layout above.

    Raises:
        ConfigError: an unknown part.
    """
    require_known(parts, ALL_PARTS, "part")
    keep = choice or Choice()
    study: Json = {
        "study": "recorded",
        "settings": {**asdict(plan), "bank_split": splits.bank, "test_split": splits.test, "parts": list(parts)},
        "embedder": asdict(embedder),
        "benchmarks": {},
        "parts": {},
    }
    for group in groups:
        if "main" in parts:
            report("main", group.name)
            study["benchmarks"] |= {name: _reported(row, keep) for name, row in main_table(group, plan).items()}
        for part in (name for name in PARTS if name in parts):
            report(part, group.name)
            rows = [_reported(row, keep) for row in PARTS[part](group, plan)]
            study["parts"].setdefault(part, []).extend(rows)
    return study


def _reported(row: Json, choice: Choice) -> Json:
    if choice.only is None:
        return row
    made: dict[str, Any] = {**row}
    made["strategies"] = {name: value for name, value in row["strategies"].items() if choice.reports(name)}
    if "differences" in row:
        made["differences"] = [d for d in row["differences"] if choice.reports(d["one"]) and choice.reports(d["other"])]
    return made
