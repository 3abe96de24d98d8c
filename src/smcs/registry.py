"""Plug-ins by name: a module in the folder of its kind, or an installed package's entry point.

``find("llms", "llama-cpp")`` imports ``smcs.llms.llama_cpp``. A package outside the project joins with an entry point
of group ``smcs.llms`` whose value is such a module. Nothing is imported before it is asked for. Modules whose name
begins with an underscore are no plug-ins.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import Any, Literal, TypeAlias

from smcs.errors import UnknownNameError

Kind: TypeAlias = Literal["llms", "embedders", "graders", "benchmarks", "strategies"]
_WORDS: dict[Kind, str] = {
    "llms": "LLM backend",
    "embedders": "embedder backend",
    "graders": "grader",
    "benchmarks": "benchmark",
    "strategies": "strategy",
}


def names(kind: Kind) -> list[str]:
    """All names of this kind, sorted, as a user writes them (``llama-cpp``)."""
    return sorted(_built_in(kind) | set(_installed(kind)))


def find(kind: Kind, name: str) -> Any:
    """The module with this name, written with hyphens or underscores (``mmlu_pro``).

    Raises:
        UnknownNameError: there is none.
    """
    if name.replace("_", "-") in _built_in(kind):
        return importlib.import_module(f"smcs.{kind}.{name.replace('-', '_')}")
    installed = _installed(kind)
    if name in installed:
        return installed[name].load()
    raise UnknownNameError(f"unknown {_WORDS[kind]} {name!r}{did_you_mean(name, names(kind))}")


def did_you_mean(name: str, known: list[str]) -> str:
    """The end of an error message about an unknown name: the closest known one, and all of them."""
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"{hint} (known: {', '.join(known) or 'none'})"


def _built_in(kind: Kind) -> set[str]:
    spec = find_spec(f"smcs.{kind}")
    folders = spec.submodule_search_locations if spec else None
    modules = pkgutil.iter_modules(list(folders or []))
    return {m.name.replace("_", "-") for m in modules if not m.name.startswith("_")}


def _installed(kind: Kind) -> dict[str, Any]:
    return {point.name: point for point in entry_points(group=f"smcs.{kind}")}
