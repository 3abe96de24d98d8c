"""The process in which math-verify runs: reads one JSON request, writes one JSON reply, until its parent closes.

Symbolic comparison can take for ever, some of it inside one C call that no Python exception interrupts
(``9^{9^{9}}``). So each request runs under a timer of CPU time whose signal ends this process, and under a memory
limit; `smcs.graders._math_process` then starts another.
"""

from __future__ import annotations

import contextlib
import json
import logging
import signal
import sys
from functools import lru_cache
from multiprocessing.connection import Connection
from typing import Any

import sympy
from latex2sympy2_extended.sets import FiniteSet
from math_verify import LatexExtractionConfig, parse, verify

MEMORY_BYTES = 2 << 30


def main(fd: int, cpu_seconds: float) -> None:
    """Serve until the other end closes."""
    logging.disable(logging.CRITICAL)  # math-verify warns of the timeouts that we bring ourselves
    _limit_memory()
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    connection = Connection(fd)
    connection.send_bytes(b"{}")
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            request = json.loads(connection.recv_bytes())
            signal.setitimer(signal.ITIMER_PROF, cpu_seconds)
            reply = _answer(request)
            signal.setitimer(signal.ITIMER_PROF, 0)
            connection.send_bytes(json.dumps(reply).encode())


def _limit_memory() -> None:
    import resource  # noqa: PLC0415  (POSIX only, like this process)

    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    try:
        if "gold" in request:
            gold, answer = _parse(request["gold"]), _parse(request["answer"])
            return {"equal": bool(verify(list(gold), list(answer), timeout_seconds=None))}
        return {"form": _form(request["answer"])}
    except Exception as error:  # noqa: BLE001  (sympy raises anything; the parent reports it)
        return {"error": type(error).__name__}


@lru_cache(maxsize=256)
def _parse(tex: str) -> tuple[Any, ...]:
    """The expression in `tex`, and its text as math-verify cleans it; the text alone where it is not mathematics."""
    return tuple(parse(f"${tex}$", [LatexExtractionConfig()], parsing_timeout=None))


def _form(tex: str) -> str | None:
    """One text for all ways to write the same value, as far as sympy brings them together; None where it cannot."""
    parsed = [p for p in _parse(tex) if not isinstance(p, str)]
    return str(_canonical(parsed[0])) if parsed else None


def _canonical(value: Any) -> Any:
    if isinstance(value, sympy.Eq) and isinstance(value.lhs, sympy.Symbol):
        value = value.rhs  # "x = 5" is the answer 5
    if isinstance(value, FiniteSet | sympy.FiniteSet):
        return "{" + ", ".join(sorted(str(_canonical(v)) for v in value.args)) + "}"
    if isinstance(value, sympy.Tuple):
        return "(" + ", ".join(str(_canonical(v)) for v in value.args) + ")"
    if isinstance(value, sympy.MatrixBase):
        return value.applyfunc(_canonical)
    value = value.doit()
    if isinstance(value, sympy.Expr):
        value = value.xreplace({f: sympy.Rational(str(f)) for f in value.atoms(sympy.Float)})
        value = sympy.cancel(sympy.radsimp(sympy.expand(value)))
    return value


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
