"""Entries of a pool file: written from what an endpoint offers, and put into a file that may have others already."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from smcs.config import LLMSettings
from smcs.errors import ConfigError
from smcs.pool.discover import Discovered, Offer

_RESERVED = frozenset({"smcs"})
"""The server calls the whole pool so."""
_BARE_ENDINGS = (".gguf", ":latest")
_LONGEST_NAME = 200


def chosen(offers: Iterable[Offer], patterns: Collection[str]) -> list[Offer]:
    """The offers whose id fits one of the patterns (``qwen/*``), or all where there is no pattern."""
    return [o for o in offers if not patterns or any(fnmatchcase(o.id.lower(), p.lower()) for p in patterns)]


def without_known(found: Discovered, offers: Iterable[Offer], known: Iterable[LLMSettings]) -> list[Offer]:
    """The offers that no LLM of a pool has yet, by address and model."""
    have = {(getattr(llm, "base_url", None), getattr(llm, "model", None)) for llm in known}
    return [offer for offer in offers if (found.base_url, offer.id) not in have]


def names_of(offers: Iterable[Offer], taken: Collection[str] = ()) -> list[str]:
    """A short name for each offer, unlike all others and those that are taken.

    The last part of its id where that is unique, else the whole id, else with a number.
    """
    ids = [offer.id for offer in offers]
    short = [_short(i) for i in ids]
    used = {*taken, *_RESERVED}
    names = []
    for whole, part in zip(ids, short, strict=True):
        wanted = part if short.count(part) == 1 else whole
        name = next(name for name in _candidates(wanted, whole) if name not in used)
        used.add(name)
        names.append(name)
    return names


def _candidates(wanted: str, whole: str) -> Iterator[str]:
    yield wanted[:_LONGEST_NAME]
    yield whole[:_LONGEST_NAME]
    number = 2
    while True:
        yield f"{wanted[: _LONGEST_NAME - 12]}-{number}"
        number += 1


def _short(model: str) -> str:
    """The last part of a model's id: no folder or owner, no ending that all have."""
    part = model.rstrip("/").replace("\\", "/").rpartition("/")[2] or model
    for ending in _BARE_ENDINGS:
        part = part.removesuffix(ending)
    return part or model


def entries(found: Discovered, offers: Iterable[Offer], taken: Collection[str] = ()) -> str:
    """The ``[[llm]]`` tables of LLMs, as text.

    Args:
        found: where they are.
        offers: which of its LLMs.
        taken: names that the pool has already.
    """
    listed = list(offers)
    return "\n".join(_entry(found, offer, name) for offer, name in zip(listed, names_of(listed, taken), strict=True))


def embedder_comment(found: Discovered) -> str:
    """The endpoint's embedders as comments: a pool has one, and a bank belongs to the one that made it."""
    if not found.embedders:
        return ""
    lines = [
        "# To retrieve with an embedder of this endpoint, take one of these. A bank belongs to the embedder that",
        "# made it.",
    ]
    for offer in found.embedders:
        lines += ["#", "# [embedder]", '# backend = "openai"', f"# base_url = {_value(found.base_url)}"]
        lines += [f"# model = {_value(offer.id)}"]
        lines += [f"# api_key_env = {_value(found.api_key_env)}"] if found.api_key_env else []
    return "\n".join(lines) + "\n"


def _entry(found: Discovered, offer: Offer, name: str) -> str:
    lines = [f"# {note}" for note in offer.notes]
    lines += ["[[llm]]", f"name = {_value(name)}", 'backend = "openai"', f"base_url = {_value(found.base_url)}"]
    lines += [f"model = {_value(offer.id)}"]
    lines += [f"api_key_env = {_value(found.api_key_env)}"] if found.api_key_env else []
    lines += [f"{key} = {_value(value)}" for key, value in offer.settings.items()]
    lines += [f"sampling = {{ extra = {_value(offer.extra)} }}"] if offer.extra else []
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    """A value as TOML. A JSON text of printable letters is a TOML one, too."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_value(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(inner) for inner in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def write_whole(path: Path, text: str, check: Callable[[Path], object]) -> None:
    """Put a file in place at once, so that nobody ever reads half of it. Follows a link; keeps the file's mode.

    Args:
        path: of the file.
        text: its content.
        check: reads what was written, and raises where it is wrong; then nothing is changed.

    Raises:
        ConfigError: it cannot be written.
    """
    target = path.resolve()
    try:
        mode = target.stat().st_mode & 0o777 if target.exists() else None
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            _checked(path, Path(name), check)
            Path(name).chmod(mode if mode is not None else 0o644)
            Path(name).replace(target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}") from None


def _checked(path: Path, written: Path, check: Callable[[Path], object]) -> None:
    try:
        check(written)
    except ConfigError as error:
        what = str(error).replace(str(written), "the file")
        raise ConfigError(f"{path} is left as it was; with the new entries {what}") from None
