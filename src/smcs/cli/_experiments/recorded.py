"""``smcs experiment recorded``: selection and voting on recorded answers, without any inference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.option("--data", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Folder with NAME_questions.jsonl.zst and NAME_matrix.npz of each benchmark (or a folder with such a folder, recorded), in place of files.")  # fmt: skip # noqa: E501
@click.option("--questions", "questions", multiple=True, type=_FILE, metavar="FILE", help="Questions (.jsonl or .jsonl.zst). May be repeated.")  # fmt: skip # noqa: E501
@click.option("--responses", "responses", multiple=True, type=_FILE, metavar="FILE", help="Graded answers (.parquet), in one file or several. May be repeated.")  # fmt: skip # noqa: E501
@click.option("--matrix", "matrices", multiple=True, type=_FILE, metavar="FILE", help="The same as arrays (.npz), quicker to read; in place of --responses or beside it. May be repeated.")  # fmt: skip # noqa: E501
@click.option("--llms", multiple=True, metavar="A,B,...", help="The pool. Default: every LLM that the joined files have in common. The others are shown for reference.")  # fmt: skip # noqa: E501
@click.option("--bank-split", default="validation", show_default=True, help="Split that is the question bank.")
@click.option("--test-split", default="test", show_default=True, help="Split that is tested on.")
@click.option("--strategies", multiple=True, metavar="NAME,...", help="Strategies, such as majority,weighted-k,single:NAME,weighted-k:equation4. Default: all.")  # fmt: skip # noqa: E501
@click.option("--priors", multiple=True, metavar="NAME,...", help="Priors that strategies go by; the first is the one that is not named. Default: the recommended one, and Equation 4.")  # fmt: skip # noqa: E501
@click.option("--parts", multiple=True, metavar="NAME,...", help="main, leave-out, k, pool-size, bank-size, transfer, or all. Default: main for files, all for --data.")  # fmt: skip # noqa: E501
@click.option("--k", type=click.IntRange(min=1), default=7, show_default=True, help="LLMs that a prior selects, K.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of intervals, random pools and random banks.")  # fmt: skip # noqa: E501
@click.option("--embedder", default="tfidf", show_default=True, help="Embedder of the questions: tfidf takes seconds and no weights, minilm minutes the first time.")  # fmt: skip # noqa: E501
@click.option("--json", "json_file", type=click.Path(allow_dash=True, path_type=Path), metavar="OUT", help="Write all figures as JSON; - is standard output, without tables.")  # fmt: skip # noqa: E501
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder for plots, tables (Markdown, CSV) and the JSON.")  # fmt: skip # noqa: E501
@click.option("--quiet", "-q", is_flag=True, help="Show nothing on standard error while it works.")
def command(*, json_file: Path | None, out: Path | None, quiet: bool, **options: Any) -> None:
    """Replay selection and voting on recorded answers of LLMs.

    Needs no LLM. The bank (--bank-split) is what priors and votes learn from; strategies and priors are compared on the
    other split. Benchmarks whose LLMs are the same, mostly, share one bank and one pool. All that is tuned is tuned on
    the bank; the same input gives the same figures.
    """
    from smcs.cli._experiments import _recorded

    study = _recorded.study(quiet=quiet, json_file=json_file, out=out, **options)
    _recorded.show(study, json_file, out, quiet=quiet)
