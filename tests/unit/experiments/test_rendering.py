"""Exhibits as files: what is ours, what is the paper's, and what is refused."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from smcs.errors import ConfigError
from smcs.experiments import rendering
from smcs.experiments.charts import Bars, Chart, Lines, Series, Shares
from smcs.experiments.exhibit import Contrast, Exhibit, Measured, Row

NAN = float("nan")


def exhibit(chart: Chart | None = None) -> Exhibit:
    return Exhibit(
        "Table 9",
        "a test",
        "live",
        "Two questions.",
        {"a": "bench A (2)", "Avg": "average"},
        [
            Row("ours & theirs", {"a": Measured(50.0, 12.5, 2)}, {"a": 61.25, "Avg": 70.0}, "first"),
            Row("ours", {"a": Measured(NAN, NAN, 0), "Avg": Measured(1.0, n=2, low=-2.0, high=4.0)}, group="second"),
            Row("theirs", paper={"a": 33.0}, group="second"),
        ],
        contrasts=[Contrast("x", "y", "Avg", 3.0, 1.0, 5.0, 2, 4.5), Contrast("x", "z", "a", -0.01, -1.0, 1.0, 2)],
        notes=["Once.", "Once."],
        chart=chart,
    )


def test_text_marks_what_the_paper_prints() -> None:
    lines = rendering.as_text(exhibit()).splitlines()
    ours = next(line for line in lines if line.startswith("ours & theirs"))
    assert "50.0 ±12.5" in ours
    assert "61.25" not in ours
    assert any("as the paper prints it" in line and "[61.25]" in line and "[70.00]" in line for line in lines)
    assert any(line.startswith("theirs (paper)") and "[33.00]" in line for line in lines)
    assert any("1.0 (-2.0 to 4.0)" in line and "-  " in line for line in lines)
    assert any("+3.0  +1.0 to +5.0" in line and "first is better" in line and "[+4.50]" in line for line in lines)
    assert "+0.0  -1.0 to +1.0" in "\n".join(lines), "no negative zero"
    assert lines.count("Once.") == 1


def test_json_keeps_ours_and_the_paper_s_apart() -> None:
    made = json.loads(rendering.as_json(exhibit()))
    first, second, third = made["rows"]
    assert first["ours"]["a"] == {"value": 50.0, "standard_error": 12.5, "n": 2, "low": 25.5, "high": 74.5}
    assert first["paper"] == {"a": 61.25, "Avg": 70.0}
    assert second["ours"]["a"]["value"] is None
    assert third["ours"] == {}


def test_csv_has_a_column_for_each() -> None:
    rows = list(csv.DictReader(io.StringIO(rendering.as_csv(exhibit()))))
    assert [(r["row"], r["column"], r["ours"], r["paper"]) for r in rows[:2]] == [
        ("ours & theirs", "a", "50.0", "61.25"),
        ("ours & theirs", "Avg", "", "70.0"),
    ]


def test_latex_and_markdown_escape() -> None:
    assert r"ours \& theirs" in rendering.as_latex(exhibit())
    assert "| ours & theirs | 50.0 ±12.5 |" in rendering.as_markdown(exhibit())


@pytest.mark.parametrize(
    ("name", "chart", "message"),
    [("x.pdf", False, "has no figure"), ("x.doc", True, "'.doc' is not known"), ("none/x.md", True, "no folder")],
)
def test_what_cannot_be_written_is_refused_before_any_work(
    tmp_path: Path, name: str, chart: bool, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        rendering.check_output(tmp_path / name, chart=chart)


def test_every_kind_of_panel_is_drawn_the_same_twice(tmp_path: Path) -> None:
    lines = Lines("L", [Series("s", "#c1272d", [3, 5], [50.0, 60.0], [5.0, 60.0])], "LLMs", "per cent")
    bars = Bars("B", [Series(s, "#1f77b4", ["a", "b"], [50.0, 99.0], [1.0, 5.0]) for s in ("one", "two")], "per cent")
    shares = Shares("S", ["t"], ["a", "b"], [[99.5, 0.5]], "test", "source")
    for panel, said in ((lines, "LLMs"), (bars, "two"), (shares, "source")):
        made = exhibit(Chart("A chart", [panel], "Said below."))
        files = [tmp_path / "one.svg", tmp_path / "two.svg"]
        for file in files:
            rendering.write(made, file)
        text = files[0].read_text()
        assert text == files[1].read_text()
        assert all(word in text for word in ("A chart", "Said below.", said))


def test_a_folder_gets_every_format(tmp_path: Path) -> None:
    lines = Lines("L", [Series("s", "#c1272d", [3, 5], [50.0, 60.0])], "LLMs", "per cent")
    written = rendering.write(exhibit(Chart("A chart", [lines])), tmp_path / "out")
    assert {file.suffix for file in written} == {".txt", ".md", ".csv", ".tex", ".json", ".png", ".svg"}
    assert all(file.stat().st_size > 0 for file in written)
