"""Comparing strategies on benchmarks: running them, sharing their calls, and reports.

::

    parts = Parts(pool, bank, embedder, method)
    comparison = prepare(parts, parse_specs("smcs,majority,single:llm=*"), questions, limit=100, seeds=3)
    async with open_results(Path("results.db")) as store:
        progress, report = await evaluate(store, comparison)
"""

from smcs.evaluation.evaluate import Comparison, evaluate, prepare
from smcs.evaluation.progress import EvaluationProgress
from smcs.evaluation.report import Report
from smcs.evaluation.store import ResultsError, ResultsStore, open_results

__all__ = [
    "Comparison",
    "EvaluationProgress",
    "Report",
    "ResultsError",
    "ResultsStore",
    "evaluate",
    "open_results",
    "prepare",
]
