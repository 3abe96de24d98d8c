"""Keeping the tested questions out of the question bank: a prior that has seen the test is no prior."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from smcs.bank import QuestionBank
from smcs.errors import BankError
from smcs.types import Question

_SPACE_AND_SIGNS = re.compile(r"[\W_]+")


def without_tested(bank: QuestionBank, tested: Sequence[Question]) -> tuple[QuestionBank, list[str]]:
    """The bank without the questions that are tested.

    A question is the same where its id is, within the same benchmark, or its text, but for case, spacing and signs.

    Returns:
        The bank, and the ids of the questions that were taken out.

    Raises:
        BankError: nothing is left.
    """
    ids = {(q.benchmark, q.id) for q in tested if q.id}
    texts = {_core(q.text) for q in tested}
    keep = np.array([(q.benchmark, q.id) not in ids and _core(q.text) not in texts for q in bank.questions], dtype=bool)
    if keep.all():
        return bank, []
    out = [q.id for q, kept in zip(bank.questions, keep, strict=True) if not kept]
    if not keep.any():
        raise BankError(
            f"all {len(bank)} questions of the bank are among the tested ones, so nothing would be left to select "
            f"LLMs by; use another bank (--bank), or test other questions"
        )
    kept_bank = replace(
        bank,
        questions=tuple(q for q, kept in zip(bank.questions, keep, strict=True) if kept),
        embeddings=bank.embeddings[keep],
        capability=bank.capability[:, keep],
        observed=bank.observed[:, keep],
    )
    return kept_bank, out


def _core(text: str) -> str:
    # A text of nothing but signs stays as it is: it is not the same as every other such text.
    return _SPACE_AND_SIGNS.sub(" ", text).strip().casefold() or text
