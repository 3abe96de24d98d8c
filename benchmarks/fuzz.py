"""Fuzz the whole API by its OpenAPI document: no 5xx, no hang, every response as the document says.

python -m benchmarks.fuzz --examples 400                  a few thousand cases against a server of its own
python -m benchmarks.fuzz --examples 400 --url URL/v1     against one that runs
python -m benchmarks.fuzz --examples 400 --page           the routes behind the page instead, which no document lists

Schemathesis makes the cases, valid ones and others, and checks the responses. The server is a real process over the
simulated LLMs of examples/simulated. Exit status 1 where something was found.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from tests.serving import serving, simulated_bank

from smcs.server.page.routes import router
from smcs.server.service import Service

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
)
PHASES = "examples,coverage,fuzzing"
# Refusing a body for its length, or a client for its rate, is refusing, too.
_SETTINGS = """
[checks]
negative_data_rejection.expected-statuses = ["4xx"]
"""
_HOOKS = Path(__file__).parent / "_fuzz_hooks.py"


@dataclass(frozen=True, slots=True)
class Report:
    """What a run found.

    Attributes:
        operations: how many of the API's were tested.
        cases: requests that were made.
        accepted: those of a chat completion that were answered.
        findings: what was wrong, each kind once.
        details: a request and its response for each.
        seconds: that it took.
    """

    operations: int
    cases: int
    accepted: int
    findings: tuple[str, ...]
    details: str
    seconds: float


def fuzz(
    url: str,
    *,
    examples: int,
    seed: int = 1,
    timeout_s: float = 60.0,
    header: str | None = None,
    phases: str = PHASES,
    page: bool = False,
) -> Report:
    """Fuzz a running server.

    Args:
        url: its address without ``/v1``.
        examples: most random cases for each operation; cases made from the document's bounds come on top.
        seed: of the cases.
        timeout_s: seconds after which a request counts as hanging.
        header: sent with each request, such as a key.
        phases: of schemathesis; ``coverage`` goes through every bound of the document, which is over a thousand cases.
        page: whether to fuzz what the page asks for instead. Nothing says what those responses look like, so they are
            only held to be no errors of the server.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        (Path(folder) / "schemathesis.toml").write_text(_SETTINGS, encoding="utf-8")
        document = f"{url}/openapi.json"
        if page:
            document = f"{folder}/page.json"
            Path(document).write_text(json.dumps(page_document()), encoding="utf-8")
        command = [sys.executable, "-m", "schemathesis.cli", "run", document, "--url", url, "--no-color"]
        command += ["--checks", CHECKS[0] if page else ",".join(CHECKS), "--phases", phases, "--continue-on-failure"]
        command += ["--seed", str(seed), "--max-examples", str(examples), "--generation-database", "none"]
        command += ["--request-timeout", str(timeout_s), "--report-json-path", str(report)]
        command += ["--suppress-health-check", "all", *(["--header", header] if header else [])]
        environment = {**os.environ, "SCHEMATHESIS_HOOKS": str(_HOOKS)}
        done = subprocess.run(command, check=False, cwd=folder, env=environment, capture_output=True, text=True)
        if not report.exists():
            raise RuntimeError(f"schemathesis ended with status {done.returncode}:\n{done.stdout}{done.stderr}")
        return _read(json.loads(report.read_text(encoding="utf-8")), done.stdout)


def page_document() -> dict[str, Any]:
    """An OpenAPI document of the page's routes, which the server's own leaves out."""
    service = SimpleNamespace(settings=SimpleNamespace(results=()))
    routes = router(cast("Service", service)).routes
    for route in routes:
        if isinstance(route, APIRoute):
            route.include_in_schema = True
    return get_openapi(title="The page", version="1", routes=routes)


def _read(report: dict[str, Any], printed: str) -> Report:
    findings = [*report["failures"], *report["errors"]]
    if not report["complete"]:
        findings.append({"title": f"the run stopped early: {report['stop_reason']}"})
    asked = report["valid_rates"].get("POST /v1/chat/completions", {})
    return Report(
        operations=report["operations"]["tested"],
        cases=report["test_cases"]["generated"],
        accepted=sum(phase["accepted"] for phase in asked.values()),
        findings=tuple(_title(entry) for entry in findings),
        details=printed.partition("= FAILURES =")[2] if findings else "",
        seconds=report["running_time"],
    )


def _title(entry: dict[str, Any]) -> str:
    where = ", ".join(map(str, entry.get("operations", ())))
    return f"{entry.get('title', entry)} ({where})"


def main() -> int:
    """Run it from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="address of a running server; by default one is started")
    parser.add_argument("--examples", type=int, default=100, help="random cases for each operation")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--page", action="store_true", help="fuzz the page's routes instead of the API's")
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds after which a request hangs")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        url = arguments.url
        if url is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            simulated_bank(folder)
            url = stack.enter_context(serving(folder))
        report = fuzz(
            url.removesuffix("/v1"),
            examples=arguments.examples,
            seed=arguments.seed,
            timeout_s=arguments.timeout,
            page=arguments.page,
        )
    print(report.details, *report.findings, sep="\n")
    print(
        f"{report.cases} cases over {report.operations} operations in {report.seconds:.0f} s; "
        f"{report.accepted} chat completions answered; {len(report.findings)} findings"
    )
    return 1 if report.findings else 0


if __name__ == "__main__":
    sys.exit(main())
