"""Table 8: what each component is worth, added one after the other.

RPS: retrieval-based prior selection. MPS: choosing by mean pairwise similarity. PPL: perplexity in the posterior score.
Prior drop: subsets drawn by the prior. Without any of them it is MoA.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from smcs.experiments.called import Arm, Made, Setting, columns_of
from smcs.experiments.exhibit import Contrast, Exhibit, Row
from smcs.experiments.printed import printed

BENCHMARKS = ("mmlu_pro", "medmcqa", "math500", "mbpp")
_NOTHING = "moa"
_STEPS: Mapping[tuple[str, ...], str] = {
    (): _NOTHING,
    ("MPS",): "smcs:k={all}:prior=global:drop=none:posterior=similarity",
    ("RPS",): "smcs:drop=none:posterior=first:n_aggregations=1",
    ("RPS", "MPS"): "smcs:drop=none:posterior=similarity",
    ("RPS", "MPS", "PPL"): "smcs:drop=none",
    ("RPS", "MPS", "prior_drop"): "smcs:posterior=similarity",
    ("RPS", "MPS", "PPL", "prior_drop"): "smcs",
}
_COMPONENTS = ("RPS", "MPS", "PPL", "prior_drop")


def _steps(setting: Setting) -> dict[tuple[str, ...], str]:
    return {components: spec.format(all=len(setting.llms)) for components, spec in _STEPS.items()}


def arms(setting: Setting) -> list[Arm]:
    """All settings on one pool and bank."""
    return [Arm(tuple(_steps(setting).values()))]


async def from_calls(made: Sequence[Made], setting: Setting) -> Exhibit:
    """A row for each set of components."""
    one, steps = made[0], _steps(setting)
    rows = [Row(_label(parts), one.cells(spec), _printed(parts)) for parts, spec in steps.items()]
    names = {spec: _label(parts) for parts, spec in steps.items()}
    full = steps[_COMPONENTS]
    contrasts = [
        Contrast(names[c.one], names[c.other], c.column, c.mean, c.low, c.high, c.n)
        for c in one.contrasts(full, [spec for spec in steps.values() if spec != full])
    ]
    return Exhibit(
        "Table 8", "accuracy with components added, per cent", setting.source, setting.described(one.comparison),
        columns_of(one, BENCHMARKS), rows, contrasts=contrasts,
        notes=[
            "RPS: retrieval-based prior selection; MPS: mean pairwise similarity; PPL: perplexity. Without any it is "
            "MoA; MPS alone is all LLMs as referencers and n aggregations of all. The paper has no row of prior drop "
            "without PPL.",
            *(f"{_label(parts)}: {spec}" for parts, spec in steps.items()),
            *one.report.notes,
        ],
    )  # fmt: skip


def _label(components: Sequence[str]) -> str:
    return " + ".join(name.replace("_", " ") for name in components) or "none of them"


def _printed(components: Sequence[str]) -> Mapping[str, float]:
    # The first of the four columns of yes and no is what a printed row goes by, and so its label.
    for row in printed(8):
        marks = {"RPS": row.label, **row.texts}
        if all((marks[name] == "yes") == (name in components) for name in _COMPONENTS):
            return row.values
    return {}
