"""Reports in every format: what they say, and that they can be read back."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from smcs.errors import ConfigError
from smcs.evaluation.colours import colour_of
from smcs.evaluation.html import as_html
from smcs.evaluation.output import FORMATS, write_report
from smcs.evaluation.plots import accuracy_plot, cost_plot, differences_plot
from smcs.evaluation.report import Pair, Report, StrategyRow
from smcs.evaluation.statistics import Difference, Estimate
from smcs.evaluation.tables import as_csv, as_latex, as_markdown, as_text
from smcs.registry import names

NAN = float("nan")


def row(label: str, *accuracies: float, tokens: float = 100.0, cost: float | None = 0.01) -> StrategyRow:
    parts = {f"bench_{i}": Estimate(a, 0.02, 50) for i, a in enumerate(accuracies)}
    mean = sum(accuracies) / len(accuracies)
    return StrategyRow(
        label, parts, Estimate(mean, 0.015, 100), 100, 0, 0, 0, 3.0, tokens / 2, tokens / 2, cost, 1.0, 2.0
    )


@pytest.fixture
def report() -> Report:
    rows = (row("smcs", 0.5, 0.7), row("moa:layers=2", 0.4, 0.6, tokens=1e4, cost=None), row("<a & b>", NAN, NAN))
    pairs = (
        Pair("smcs", "moa:layers=2", Difference(0.1, 0.02, 0.18, 100)),
        Pair("smcs", "<a & b>", Difference(NAN, NAN, NAN, 0)),
        Pair("moa:layers=2", "<a & b>", Difference(-0.1, -0.2, -0.01, 100)),
    )
    return Report(rows, pairs, {"bench_0": 50, "bench_1": 50}, 3, ("x", "y_1"), "my.bank", ("mind % and _",))


def test_text_says_it_all(report: Report) -> None:
    text = as_text(report)
    assert "100 questions of bench_0, bench_1, 3 seeds, 2 LLMs (x, y_1), question bank my.bank." in text
    assert re.search(r"smcs +50\.0 ±2\.0 +70\.0 ±2\.0 +60\.0 ±1\.5 +100 +3\.0 +100 +0\.010000 +1\.00 +2\.00", text)
    assert re.search(r"moa:layers=2 .* unknown", text)
    assert re.search(r"smcs - moa:layers=2 +\+10\.0 +\+2\.0 to \+18\.0 +100 +first is better", text)
    assert re.search(r"moa:layers=2 - <a & b> +-10\.0 .*second is better", text)
    assert "mind % and _" in text
    assert len(as_text(report, most_pairs=1)) < len(text)
    assert "1 more pairs" in as_text(report, most_pairs=1)


def test_markdown_tables_have_one_cell_a_column(report: Report) -> None:
    for block in re.findall(r"(?:^\|.*\n)+", as_markdown(report), re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1


def test_csv_is_complete_and_exact(report: Report) -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(report))))
    assert len(rows) == 9  # three strategies on two benchmarks and their average
    assert float(rows[0]["accuracy"]) == 0.5
    assert rows[3]["cost_usd"] == ""
    assert rows[6]["accuracy"] == ""


def test_latex_escapes_what_it_must(report: Report) -> None:
    latex = as_latex(report)
    assert r"$\pm$" in latex
    assert r"y\_1" in latex
    assert r"<a \& b>" in latex
    assert latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}") == 2


def test_json_has_no_nan(report: Report) -> None:
    text = FORMATS[".json"](report)
    assert "NaN" not in text
    assert json.loads(text)["strategies"][2]["average"]["mean"] is None


class TestHtml:
    def test_needs_nothing_from_elsewhere(self, report: Report) -> None:
        html = as_html(report)
        assert "<script" not in html
        addresses = set(re.findall(r"https?://[^\"' ]+", html))
        # Names of what SVG is written in, which nothing is fetched from.
        assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
        assert "&lt;a &amp; b&gt;" in html

    def test_plots_are_well_formed_and_labelled(self, report: Report) -> None:
        for svg in (
            accuracy_plot(report),
            accuracy_plot(report, "bench_0"),
            differences_plot(report.pairs, "smcs"),
            cost_plot(report),
        ):
            root = ET.fromstring(svg)
            texts = " ".join(element.text or "" for element in root.iter())
            assert "moa:layers=2" in texts
            assert "nan" not in svg

    @pytest.mark.parametrize("accuracies", [(0.0,), (1.0,), (0.5,), (0.501, 0.5)])
    def test_extremes(self, accuracies: tuple[float, ...]) -> None:
        rows = tuple(row(f"s{i}", a, a) for i, a in enumerate(accuracies))
        plain = Report(rows, (), {"bench_0": 1, "bench_1": 1}, 1, ("x",))
        for svg in (accuracy_plot(plain), cost_plot(plain)):
            ET.fromstring(svg)
            assert "nan" not in svg

    def test_nothing_to_show(self) -> None:
        empty = Report((row("s", NAN, NAN),), (), {"bench_0": 0, "bench_1": 0}, 1, ("x",))
        ET.fromstring(accuracy_plot(empty))
        ET.fromstring(cost_plot(empty))


def test_every_built_in_strategy_has_a_colour_of_its_own() -> None:
    colours = [colour_of(name) for name in names("strategies")]
    assert len(set(colours)) == len(colours)
    assert colour_of("smcs:k=3") == colour_of("smcs:k=3") != colour_of("smcs")


class TestFiles:
    def test_a_folder_gets_every_format(self, report: Report, tmp_path: Path) -> None:
        files = write_report(report, tmp_path / "out")
        assert {f.name for f in files} == {*(f"report{ending}" for ending in FORMATS), "pairs.csv"}
        assert {f.name for f in (tmp_path / "out").iterdir()} == {f.name for f in files}

    def test_a_file_gets_the_format_of_its_ending(self, report: Report, tmp_path: Path) -> None:
        (file,) = write_report(report, tmp_path / "r.md")
        assert file.read_text() == as_markdown(report)

    def test_what_cannot_be_written(self, report: Report, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"'\.pdf' is not known"):
            write_report(report, tmp_path / "r.pdf")
        with pytest.raises(ConfigError, match="there is no folder"):
            write_report(report, tmp_path / "none" / "r.md")
