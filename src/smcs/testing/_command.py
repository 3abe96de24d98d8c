"""The simulated endpoint as a process."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import click

from smcs.config import validate
from smcs.errors import SmcsError
from smcs.llms import simulated
from smcs.testing.endpoint import SimulatedEndpoint


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, help="Port to listen on; 0 chooses a free one.")
@click.option("--llm", "llms", multiple=True, metavar="NAME[:SKILL]", help="An LLM to serve; may be repeated.")
@click.option("--answers", type=click.Path(path_type=Path), help="Questions file with the right answers.")
@click.option("--latency", default=0.0, show_default=True, help="Mean seconds to the first token.")
@click.option("--latency-sigma", default=0.0, show_default=True, help="Spread: standard deviation of its logarithm.")
@click.option("--tokens", default=40, show_default=True, help="Tokens of a response, on average.")
@click.option("--tokens-per-second", type=float, help="How fast it generates. Default: at once.")
@click.option("--fault", "faults", multiple=True, metavar="KIND=RATE", help="Such as rate_limit=0.1; may be repeated.")
@click.option("--retry-after", type=float, help="Seconds that a refusal asks to wait.")
@click.option("--seed", default=0, show_default=True, help="Seed of all that is random.")
@click.option("--no-logprobs", is_flag=True, help="Give no log-probabilities.")
@click.option("--single-samples", is_flag=True, help="Give one sample a request, whatever n is.")
def command(
    *,
    host: str,
    port: int,
    llms: tuple[str, ...],
    answers: Path | None,
    latency: float,
    latency_sigma: float,
    tokens: int,
    tokens_per_second: float | None,
    faults: tuple[str, ...],
    retry_after: float | None,
    seed: int,
    no_logprobs: bool,
    single_samples: bool,
) -> None:
    """Serve simulated LLMs in the OpenAI API's form until stopped. GET /stats counts the calls."""
    common = {
        "backend": "simulated",
        "answers": answers.absolute() if answers else {},
        "latency_s": latency,
        "latency_sigma": latency_sigma,
        "tokens": tokens,
        "tokens_per_second": tokens_per_second,
        "faults": {**_rates(faults), "retry_after_s": retry_after},
        "seed": seed,
        "logprobs": not no_logprobs,
        "multiple_samples": not single_samples,
    }
    try:
        settings = [
            validate(simulated.Settings, {**common, **_named(llm)}, f"--llm {llm}") for llm in llms or ["small"]
        ]
        asyncio.run(_serve(SimulatedEndpoint(*settings, host=host, port=port)))
    except (SmcsError, OSError) as error:
        raise click.ClickException(str(error)) from None


def main() -> None:
    """Run the command line."""
    command()


async def _serve(endpoint: SimulatedEndpoint) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with endpoint:
        click.echo(f"serving {endpoint.base_url}")
        await stopped.wait()


def _named(llm: str) -> dict[str, str]:
    name, _, skill = llm.partition(":")
    return {"name": name, "skill": skill} if skill else {"name": name}


def _rates(faults: tuple[str, ...]) -> dict[str, str]:
    pairs = [fault.partition("=") for fault in faults]
    for kind, separator, _ in pairs:
        if not separator:
            raise click.BadParameter(f"{kind!r} is not of the form KIND=RATE", param_hint="--fault")
    return {kind: rate for kind, _, rate in pairs}
