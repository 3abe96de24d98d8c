"""Instruction following, the loose criterion: see `smcs.graders.ifeval`."""

from __future__ import annotations

from smcs.graders.ifeval import IfevalGrader


def create() -> IfevalGrader:
    """Build the loose grader."""
    return IfevalGrader(loose=True)
