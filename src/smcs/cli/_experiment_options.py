"""The options that the tables and figures of ``smcs experiment`` share, and the command of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

Function = TypeVar("Function", bound=Callable[..., Any])

_RECORDED = (
    click.option(
        "--embedder", default="minilm", show_default=True, help="recorded: what embeds the questions (minilm, tfidf)."
    ),
    click.option("--k", type=click.IntRange(min=1), default=7, show_default=True, help="recorded: LLMs to select."),
    click.option(
        "--draws", type=click.IntRange(1, 1000), help="Random pools or selections. Default: 10 recorded, 1 live."
    ),
)
_CALLING = (
    click.option("--pool", type=click.Path(path_type=Path), help="Pool file (TOML). Default: the starter pool."),
    click.option("--bank", help="Question bank. Default: the starter bank. Tested questions do not count in it."),
    click.option(
        "--benchmark",
        "benchmarks",
        multiple=True,
        metavar="NAME[,NAME...]",
        help="Tested. Default: the paper's.",
    ),
    click.option("--questions", "files", multiple=True, metavar="FILE", help="Questions file to test on."),
    click.option("--split", help="Only questions of this split. Default: test for benchmarks, all of a file."),
    click.option("--preset", help="'local' (default for the starter pool) or 'paper' (default for a pool of yours)."),
    click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a setting, such as k=2."),
    click.option("--max-tokens", type=click.IntRange(min=1), help="Most tokens of a response."),
    click.option("--limit", type=click.IntRange(min=1), help="At most so many questions of each benchmark."),
    click.option("--budget-usd", type=click.FloatRange(min=0), help="Stop before this run costs more."),
    click.option(
        "--budget-tokens", type=click.IntRange(min=0), help="Stop before it takes more tokens; 0: use what is stored."
    ),
    click.option("--concurrency", type=click.IntRange(1, 10_000), help="Questions at once. Default: 8; 1 in table2."),
    click.option(
        "--sandbox",
        type=click.Choice(["auto", "bubblewrap", "landlock", "rlimits"]),
        default="auto",
        show_default=True,
        help="What programs written by LLMs are run in to grade them.",
    ),
    click.option(
        "--results",
        type=click.Path(path_type=Path),
        default=Path("smcs-results.db"),
        show_default=True,
        help="File that keeps calls and answers, the same as for smcs eval; goes on where it was.",
    ),
    click.option(
        "--expected-tokens", type=click.FloatRange(min=1), help="Dry run: length of responses of which none is known."
    ),
    click.option("--dry-run", is_flag=True, help="Say what would be called and what it would cost; call nothing."),
    click.option("--quiet", "-q", is_flag=True, help="Show nothing while it works."),
)
_SEEDS = click.option("--seeds", type=click.IntRange(1, 1000), help="Repetitions. Default: 1; 3 in table7.")
_COMMON = (
    click.option(
        "--data", type=click.Path(path_type=Path), help="Folder with benchmarks and recorded answers. Default: the hub."
    ),
    click.option("--seed", type=int, default=0, show_default=True, help="Seed of what is drawn at random."),
    click.option("--out", type=click.Path(path_type=Path), help="File, in the format of its ending, or folder."),
    click.option("--json", "as_json", is_flag=True, help="Print JSON."),
)


def exhibit_command(name: str, help_text: str, sources: Sequence[str], *, extra: Sequence[Any] = ()) -> click.Command:
    """The command of a table or figure.

    Args:
        name: of its module in `smcs.experiments`.
        help_text: what it shows; its first line is its short help.
        sources: where its figures can come from, the first one being the default.
        extra: further options.
    """

    def run(**options: Any) -> int:
        from smcs.cli._experiment_run import run_exhibit

        return run_exhibit(name, sources, **options)

    source = click.option(
        "--source",
        type=click.Choice(["recorded", "live", "paper"]),
        default=sources[0],
        show_default=True,
        help="Where our figures come from: recorded answers of real LLMs, calls to a pool, or to the paper's pool.",
    )
    options = (source, *_CALLING, _SEEDS, *(_RECORDED if "recorded" in sources else ()), *extra, *_COMMON)
    for option in reversed(options):
        run = option(run)
    return click.command(name, help=help_text)(run)
