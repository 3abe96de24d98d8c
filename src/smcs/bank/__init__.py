"""The question bank: its arrays, its store, and evaluating LLMs on it.

The names below are imported when they are first used: the processes that grade need no database.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from smcs.bank.arrays import QuestionBank
    from smcs.bank.store import BankStore, load_bank, open_bank

__all__ = ["BankStore", "QuestionBank", "load_bank", "open_bank"]

_HOME = {
    "BankStore": "smcs.bank.store",
    "QuestionBank": "smcs.bank.arrays",
    "load_bank": "smcs.bank.store",
    "open_bank": "smcs.bank.store",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'smcs.bank' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
