"""Fitting references into the aggregator's context: the weakest are shortened first, then left out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

LEAST_REFERENCE_TOKENS = 48
CUT = "\n[... part left out ...]\n"


async def fit_references(
    references: Sequence[str], room: int, count: Callable[[Sequence[str]], Awaitable[int]]
) -> tuple[list[str | None], int]:
    """Shorten references, lowest prior first, until the prompt fits; leave one out only when little of it would remain.

    Args:
        references: texts, best prior first.
        room: tokens that the prompt may take.
        count: tokens of the prompt that some references make.

    Returns:
        The references as they are to be shown (None where left out), and the tokens of their prompt, which may still
        be more than `room` where even none of them fits.
    """
    kept: list[str | None] = list(references)

    async def size() -> int:
        return await count([text for text in kept if text is not None])

    total = await size()
    for position in reversed(range(len(kept))):
        text = references[position]
        while total > room and kept[position] is not None:
            length = await count([text]) - await count([])
            left = int(length - (total - room) - 8)  # a few tokens for the mark of the cut
            current = kept[position]
            shorter = middle_out(text, left / length) if left >= LEAST_REFERENCE_TOKENS else None
            # An estimate that does not shrink the text any further would never end.
            kept[position] = shorter if shorter and current and len(shorter) < len(current) else None
            text = kept[position] or ""
            total = await size()
    return kept, total


def middle_out(text: str, share: float) -> str:
    """Keep this share of a text: its beginning and its end, where the question's terms and the result mostly stand."""
    keep = int(len(text) * share)
    if keep >= len(text):
        return text
    head = keep // 2
    return text[:head] + CUT + text[len(text) - (keep - head) :]
