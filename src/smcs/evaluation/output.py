"""Writing a report to files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from smcs.errors import ConfigError
from smcs.evaluation.html import as_html
from smcs.evaluation.report import Report
from smcs.evaluation.tables import as_csv, as_latex, as_markdown, as_text, pairs_as_csv


def _as_json(report: Report) -> str:
    return json.dumps(report.to_dict(), indent=2, ensure_ascii=False) + "\n"


FORMATS: dict[str, Callable[[Report], str]] = {
    ".txt": as_text,
    ".md": as_markdown,
    ".csv": as_csv,
    ".tex": as_latex,
    ".html": as_html,
    ".json": _as_json,
}


def check_output(path: Path) -> None:
    """Check that a report can be written here, before any work is done for it.

    Raises:
        ConfigError: the file's ending says no known format, or there is no such folder.
    """
    if path.suffix and not path.is_dir() and path.suffix not in FORMATS:
        raise ConfigError(f"--out {path}: the format {path.suffix!r} is not known (known: {', '.join(FORMATS)})")
    if not path.parent.is_dir():
        raise ConfigError(f"--out {path}: there is no folder {path.parent}")


def write_report(report: Report, path: Path) -> list[Path]:
    """Write a report: one file in the format of its ending, or a folder with every format.

    Returns:
        The files.

    Raises:
        ConfigError: it cannot be written.
    """
    check_output(path)
    files: dict[Path, str] = {}
    if path.suffix and not path.is_dir():
        files[path] = FORMATS[path.suffix](report)
    else:
        files = {path / f"report{ending}": render(report) for ending, render in FORMATS.items()}
        files[path / "pairs.csv"] = pairs_as_csv(report)
    try:
        for file, text in files.items():
            file.parent.mkdir(exist_ok=True)
            temporary = file.with_name(f".{file.name}.tmp")
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(file)
    except OSError as error:
        raise ConfigError(f"cannot write the report to {path}: {error.strerror or error}") from None
    return list(files)
