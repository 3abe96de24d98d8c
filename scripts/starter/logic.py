"""Truth in small worlds: an independent check of the generated logic questions."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any


def follows(statements: Sequence[str], *, empty: bool) -> bool:
    """Whether the last statement holds in every world in which the others do.

    Args:
        statements: of the forms "All|No|Some|Some … not".
        empty: whether a class may have no members.
    """
    parsed = [re.fullmatch(r"(All|No|Some) (\w+) are (not )?(\w+)", s) for s in statements]
    forms = [m.groups() for m in parsed if m]
    if len(forms) != len(statements):
        raise ValueError(f"unknown form of statement in {statements}")
    classes = sorted({name for form in forms for name in (form[1], form[3])})
    kinds = list(itertools.product((False, True), repeat=len(classes)))
    for world in itertools.product((False, True), repeat=len(kinds)):
        members = [dict(zip(classes, kind, strict=True)) for kind, there in zip(kinds, world, strict=True) if there]
        if not empty and any(all(not m[name] for m in members) for name in classes):
            continue
        *premises, conclusion = (_quantified(form, members) for form in forms)
        if all(premises) and not conclusion:
            return False
    return True


def _quantified(form: tuple[str | Any, ...], members: Sequence[Mapping[str, bool]]) -> bool:
    quantifier, subject, negated, predicate = form
    those = [m[predicate] for m in members if m[subject]]
    if quantifier == "All":
        return all(those)
    if quantifier == "No":
        return not any(those)
    return any(not there for there in those) if negated else any(those)


def holds(statement: Sequence[Any], world: Sequence[bool]) -> bool:
    """Whether a statement about who tells the truth is true in this world."""
    kind, *parts = statement
    if kind in ("telling-truth", "lying"):
        return bool(world[parts[0]] == (kind == "telling-truth"))
    values = [holds(part, world) for part in parts]
    tables: dict[str, Callable[[], bool]] = {
        "not": lambda: not values[0],
        "and": lambda: all(values),
        "or": lambda: any(values),
        "->": lambda: not values[0] or values[1],
        "<=>": lambda: values[0] == values[1],
    }
    return tables[kind]()


def repeats_a_person(statement: Sequence[Any]) -> bool:
    """Whether a statement speaks twice of the same person, as in "Ann is a knight or Ann is a knave"."""
    people = _people(statement)
    return len(people) != len(set(people))


def _people(statement: Sequence[Any]) -> list[int]:
    kind, *parts = statement
    return parts if kind in ("telling-truth", "lying") else [p for part in parts for p in _people(part)]


def kinship(story: str, one: str, other: str, *, men: Collection[str]) -> str | None:
    """What `one` is to `other`, told of in sentences on marriages and children; None for anything but close kin."""
    found = re.findall(r"(\w+) is married to (\w+)\.(?: They have [a-z ]+ called ([^.]+)\.)?", story)
    couples = [{husband, wife} for husband, wife, _ in found]
    parents = {child: {father, mother} for father, mother, names in found for child in re.findall(r"[A-Z]\w+", names)}
    grandparents = {child: set().union(*(parents.get(p, set()) for p in pair)) for child, pair in parents.items()}
    words = {
        "husband wife": {one, other} in couples,
        "father mother": one in parents.get(other, set()),
        "son daughter": other in parents.get(one, set()),
        "brother sister": one in parents and parents[one] == parents.get(other),
        "grandfather grandmother": one in grandparents.get(other, set()),
        "grandson granddaughter": other in grandparents.get(one, set()),
    }
    return next((pair.split()[one not in men] for pair, holds_here in words.items() if holds_here), None)
