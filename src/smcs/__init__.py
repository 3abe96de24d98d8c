"""Ask a pool of LLMs as if it were one, and get a better answer than any of them gives alone.

::

    import smcs

    print(smcs.ask("Which planet has the most moons?").text)

The names below are the public ones; each is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from smcs.bank import QuestionBank
    from smcs.config import PoolConfig, SMCSSettings
    from smcs.errors import NoAnswerError, SmcsError, UsageError
    from smcs.system import System, ask, load_pool
    from smcs.types import Answer, Message, Question, Trace

__all__ = [
    "Answer",
    "Message",
    "NoAnswerError",
    "PoolConfig",
    "Question",
    "QuestionBank",
    "SMCSSettings",
    "SmcsError",
    "System",
    "Trace",
    "UsageError",
    "ask",
    "load_pool",
]

_HOME = {
    "Answer": "smcs.types",
    "Message": "smcs.types",
    "NoAnswerError": "smcs.errors",
    "PoolConfig": "smcs.config",
    "Question": "smcs.types",
    "QuestionBank": "smcs.bank",
    "SMCSSettings": "smcs.config",
    "SmcsError": "smcs.errors",
    "System": "smcs.system",
    "Trace": "smcs.types",
    "UsageError": "smcs.errors",
    "ask": "smcs.system",
    "load_pool": "smcs.system",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'smcs' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
