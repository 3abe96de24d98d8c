"""Figure 6: how often at least one (OCA) and at least two (MCA) of the n aggregations are correct, by how it drops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from smcs.bank.grading import GradingPool, ToGrade
from smcs.evaluation.colours import colour_of
from smcs.evaluation.run import Tested
from smcs.evaluation.statistics import FloatArray, over_seeds
from smcs.experiments.called import Arm, Made, Setting
from smcs.experiments.charts import Bars, Chart, Series
from smcs.experiments.exhibit import Contrast, Exhibit, Measured, Row
from smcs.experiments.replayed import contrast, percent
from smcs.types import Grade, Question

BENCHMARKS = ("aime", "mbpp", "gpqa_diamond", "mmlu_pro", "medmcqa")
PAPER_SHOWS = (
    "The paper's Figure 6 is a plot without numbers: of no drop, random drop and prior drop, prior drop is highest in "
    "OCA and in MCA."
)
_DROPS = {"smcs:drop=none": "no drop", "smcs:drop=random": "random drop", "smcs": "prior drop"}
_MEASURES = {"OCA": 1, "MCA": 2}


def arms(setting: Setting) -> list[Arm]:
    """SMCS with each way to drop; the references are the same."""
    return [Arm(tuple(_DROPS))]


async def from_calls(made: Sequence[Made], setting: Setting) -> Exhibit:
    """Grade the aggregations of every stored answer, and count."""
    one = made[0]
    right: dict[str, dict[str, FloatArray]] = {}
    missing = 0
    for spec in _DROPS:
        right[spec], ungraded = await _graded_aggregations(one, spec, setting.sandbox)
        missing += ungraded
    names = list(one.report.benchmarks)
    columns = {f"{name} {measure}": f"{measure} {name}" for measure in _MEASURES for name in names}
    rows = [Row(label, _cells(right[spec], names)) for spec, label in _DROPS.items()]
    notes = [PAPER_SHOWS, "An aggregation that failed, or has no grade, is not counted as a wrong one."]
    if missing:
        notes.append(f"{missing} aggregations could not be graded.")
    return Exhibit(
        "Figure 6", "oracle accuracy of the aggregations by how references are dropped, per cent", setting.source,
        setting.described(one.comparison), columns, rows, contrasts=_contrasts(right, names, setting.seed),
        notes=[*notes, *one.report.notes], chart=_chart(right, names),
    )  # fmt: skip


async def _graded_aggregations(made: Made, spec: str, sandbox: str) -> tuple[dict[str, FloatArray], int]:
    """By benchmark, array of shape (Q, S, n): 1 correct, 0 wrong, nan failed, not there, or without a grade."""
    places: dict[str, dict[str, int]] = {}
    for one in made.comparison.tested:
        part = places.setdefault(one.question.benchmark, {})
        part[one.digest] = len(part)
    traces = await made.traces(spec)
    n = max((len(trace["aggregations"]) for *_, trace in traces), default=1)
    grades = {name: np.full((len(part), made.comparison.seeds, n), np.nan) for name, part in places.items()}
    items: list[ToGrade] = []
    for tested, seed, trace in traces:
        items += _to_grade(tested, (places[tested.question.benchmark][tested.digest], seed), trace)
    ungraded = await _grade(items, grades, sandbox)
    return grades, ungraded


def _to_grade(tested: Tested, at: tuple[int, int], trace: dict[str, Any]) -> list[ToGrade]:
    name, question = tested.question.benchmark, tested.question
    texts = [aggregation["text"] for aggregation in trace["aggregations"]]
    return [ToGrade((name, (*at, i)), text, question) for i, text in enumerate(texts) if text is not None]


async def _grade(items: Sequence[ToGrade], grades: dict[str, FloatArray], sandbox: str) -> int:
    """Grade each text of a question once; how many could not be graded."""
    same: dict[tuple[str, str], list[ToGrade]] = {}
    for item in items:
        same.setdefault((_key(item.question), item.text), []).append(item)

    def graded(item: ToGrade, grade: Grade) -> None:
        for twin in same[_key(item.question), item.text]:
            name, at = twin.tag
            grades[name][at] = np.nan if grade.correct is None else float(grade.correct)

    async with GradingPool(graded, postponed=lambda item, reason: None, sandbox=sandbox) as pool:
        for twins in same.values():
            pool.put(twins[0])
        await pool.join()
    return sum(bool(np.isnan(grades[name][at])) for name, at in (item.tag for item in items))


def _key(question: Question) -> str:
    return f"{question.benchmark}\x1f{question.id}\x1f{question.text}"


def _at_least(grades: FloatArray, count: int) -> FloatArray:
    """By question, the share of seeds with so many correct aggregations: shape (Q,); nan where none is graded."""
    known = ~np.isnan(grades).all(axis=2)
    enough = (np.nan_to_num(grades) > 0).sum(axis=2) >= count
    return over_seeds(np.where(known, enough, np.nan))


def _cells(grades: dict[str, FloatArray], names: Sequence[str]) -> dict[str, Measured]:
    return {
        f"{name} {measure}": percent(shares[~np.isnan(shares)])
        for measure, count in _MEASURES.items()
        for name in names
        for shares in [_at_least(grades[name], count)]
    }


def _contrasts(right: dict[str, dict[str, FloatArray]], names: Sequence[str], seed: int) -> list[Contrast]:
    made = []
    for other in ("smcs:drop=none", "smcs:drop=random"):
        for measure, count in _MEASURES.items():
            for name in names:
                one, two = (_at_least(right[spec][name], count) for spec in ("smcs", other))
                both = ~np.isnan(one) & ~np.isnan(two)
                if both.any():
                    found = [one[both], two[both]]
                    made.append(contrast("prior drop", _DROPS[other], f"{name} {measure}", found, seed))
    return made


def _chart(right: dict[str, dict[str, FloatArray]], names: Sequence[str]) -> Chart:
    panels = []
    for measure in _MEASURES:
        series = []
        for spec, label in _DROPS.items():
            cells = _cells(right[spec], names)
            found = [cells[f"{name} {measure}"] for name in names]
            values, errors = [cell.value for cell in found], [1.96 * cell.error for cell in found]
            bars = (np.nan_to_num(values).tolist(), np.nan_to_num(errors).tolist())
            series.append(Series(label, colour_of(spec), list(names), *bars))
        said = "at least one" if measure == "OCA" else "at least two"
        panels.append(Bars(f"{measure}: {said} correct", series, "questions, per cent"))
    return Chart("Correct aggregations by how references are dropped", panels, "Bars: 95% interval over questions.")
