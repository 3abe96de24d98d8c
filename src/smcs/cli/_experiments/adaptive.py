"""``smcs experiment adaptive``: what adaptive effort saves, and what it costs."""

from __future__ import annotations

import sys
from pathlib import Path

import click


@click.command()
@click.option("--data", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Folder with recorded answers (see `smcs experiment recorded`). Without it only the simulated pool is asked.")  # fmt: skip # noqa: E501
@click.option(
    "--llms", multiple=True, metavar="A,B,...", help="The pool of the recorded answers. Default: the folder's."
)
@click.option("--questions", type=click.IntRange(min=0), default=800, show_default=True, help="Put to the simulated pool; half of them choose the settings. 0 leaves it out.")  # fmt: skip # noqa: E501
@click.option("--k", type=click.IntRange(min=2), default=7, show_default=True, help="Referencers, K, on the recorded answers.")  # fmt: skip # noqa: E501
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the simulated pool and of intervals.")  # fmt: skip # noqa: E501
@click.option("--embedder", default="minilm", show_default=True, help="Embedder of questions and aggregations, such as tfidf, which needs no weights.")  # fmt: skip # noqa: E501
@click.option("--json", "json_file", type=click.Path(allow_dash=True, path_type=Path), metavar="OUT", help="Write all figures as JSON; - is standard output, without tables.")  # fmt: skip # noqa: E501
@click.option("--markdown", is_flag=True, help="Print the tables as Markdown.")
@click.option("--quiet", "-q", is_flag=True, help="Show nothing on standard error while it works.")
def command(
    *,
    data: Path | None,
    llms: tuple[str, ...],
    questions: int,
    k: int,
    seed: int,
    embedder: str,
    json_file: Path | None,
    markdown: bool,
    quiet: bool,
) -> None:
    """Measure adaptive effort: aggregation that is skipped where references agree, or stopped where aggregations do.

    The skip rule is replayed on recorded answers of LLMs, where its cost is bounded; both rules on a simulated pool,
    where it is known. Settings are chosen on other questions than those they are measured on.
    """
    import json

    from smcs.cli import run_async
    from smcs.cli._tables import print_table
    from smcs.experiments import adaptive

    names = [name.strip() for part in llms for name in part.split(",") if name.strip()]

    def report(part: str) -> None:
        if not quiet:
            click.echo(part, err=True)

    study = run_async(
        adaptive.study(data, llms=names, questions=questions, k=k, seed=seed, embedder=embedder, report=report)
    )
    text = json.dumps(study, indent=1, allow_nan=False) + "\n"
    if str(json_file) == "-":
        sys.stdout.write(text)
        return
    for table in adaptive.tables_of(study):
        if markdown:
            click.echo(table.markdown())
            continue
        click.echo(table.title)
        print_table(table.columns, table.rows, right=table.columns[table.text :])
        click.echo()
    if json_file is not None:
        json_file.write_text(text, encoding="utf-8")
