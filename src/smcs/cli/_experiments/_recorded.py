"""What ``smcs experiment recorded`` does: read, embed, compute, show."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from smcs.bank.recorded import Recorded, read_recorded
from smcs.cli import run_async
from smcs.cli._bank_progress import watching
from smcs.cli._tables import print_table
from smcs.errors import ConfigError
from smcs.experiments.figures import Json
from smcs.experiments.groups import Splits, groups_of, joined, shared_sources
from smcs.experiments.recorded import Plan
from smcs.experiments.study import ALL_PARTS, choose, run_study
from smcs.experiments.tables import Table, tables_of

Sources = list[tuple[Recorded, tuple[str, ...]]]


def study(
    *,
    data: Path | None,
    questions: Sequence[Path],
    responses: Sequence[Path],
    matrices: Sequence[Path],
    llms: Sequence[str],
    bank_split: str,
    test_split: str,
    strategies: Sequence[str],
    priors: Sequence[str],
    parts: Sequence[str],
    k: int,
    seed: int,
    embedder: str,
    json_file: Path | None,
    out: Path | None,
    quiet: bool,
) -> Json:
    """Compute what was asked for.

    Raises:
        SmcsError: input that cannot be used.
    """
    pool = _names(llms) or None
    wanted_parts = _names(parts) or (list(ALL_PARTS) if data is not None else ["main"])
    wanted_parts = list(ALL_PARTS) if "all" in wanted_parts else wanted_parts
    # What is wrong with names is said before anything takes time.
    for file in (json_file, out):
        _check_place(file)
    sources = _sources(data, questions, responses, matrices, pool)
    choice = choose(_names(strategies), _names(priors), [llm for _, members in sources for llm in members])
    plan = Plan(k=k, seed=seed, strategies=choice.strategies, priors=choice.priors)
    splits = Splits(bank_split, test_split)
    with watching(quiet) as view:
        groups, info = run_async(groups_of(sources, embedder, splits, view.embedded))

    def report(part: str, group: str) -> None:
        if not quiet:
            click.echo(f"{group}: {part}", err=True)

    return run_study(groups, info, plan, parts=wanted_parts, splits=splits, choice=choice, report=report)


def show(study: Json, json_file: Path | None, out: Path | None, *, quiet: bool) -> None:
    """Print the tables, and write what is to be written."""
    text = json.dumps(study, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    tables = tables_of(study)
    if str(json_file) == "-":
        sys.stdout.write(text)
    else:
        for table in tables:
            click.echo(table.title)
            print_table(table.columns, table.rows, right=table.columns[table.text :])
            click.echo()
    files = []
    if json_file is not None and str(json_file) != "-":
        files.append(_write(json_file, text))
    if out is not None:
        files += _write_folder(out, text, tables, study)
    if not quiet:
        for file in files:
            click.echo(f"wrote {file}", err=True)


def _sources(
    data: Path | None,
    questions: Sequence[Path],
    responses: Sequence[Path],
    matrices: Sequence[Path],
    pool: Sequence[str] | None,
) -> Sources:
    if data is not None:
        if questions or responses or matrices:
            raise ConfigError("--data is a whole folder: it goes without --questions, --responses and --matrix")
        return shared_sources(data, pool)
    if not questions:
        raise ConfigError("name the recorded answers: --questions FILE with --responses FILE, or --data DIR")
    if not responses and not matrices:
        raise ConfigError("questions need their answers: --responses FILE or --matrix FILE")
    return joined(read_recorded(questions, responses, matrices), pool)


def _names(values: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(name.strip() for value in values for name in value.split(",") if name.strip()))


def _check_place(file: Path | None) -> None:
    if file is None or str(file) == "-":
        return
    if not file.absolute().parent.is_dir():
        raise ConfigError(f"cannot write {file}: there is no folder {file.parent}")


def _write(file: Path, text: str) -> Path:
    temporary = file.with_name(f".{file.name}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(file)
    except OSError as error:
        raise ConfigError(f"cannot write {file}: {error.strerror or error}") from None
    return file


def _write_folder(folder: Path, text: str, tables: Sequence[Table], study: Json) -> list[Path]:
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot make the folder {folder}: {error.strerror or error}") from None
    files = [_write(folder / "recorded.json", text)]
    files.append(_write(folder / "tables.md", "\n".join(table.markdown() for table in tables)))
    files += [_write(folder / f"{table.key}.csv", table.csv()) for table in tables]
    from smcs.experiments.plots import draw_study  # matplotlib takes a while to import

    try:
        return files + draw_study(study, folder)
    except OSError as error:
        raise ConfigError(f"cannot write plots in {folder}: {error.strerror or error}") from None
