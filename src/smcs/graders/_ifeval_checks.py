"""The 25 instruction types of IFEval (arXiv:2311.07911), written from their public definitions.

Each check takes the response and the instruction's arguments by name. All are linear in the response's length: an LLM
that repeats one character without end must not hold up the grading.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from smcs.graders._ifeval_text import count_capital_words, count_sentences, count_words, detect_language

Check: TypeAlias = Callable[..., bool]

_CONSTRAINED = ("My answer is yes.", "My answer is no.", "My answer is maybe.")


def _compare(count: int, relation: str, threshold: int) -> bool:
    return count < threshold if relation == "less than" else count >= threshold


def _existence(response: str, *, keywords: Sequence[str]) -> bool:
    return all(re.search(re.escape(word), response, re.IGNORECASE) for word in keywords)


def _frequency(response: str, *, keyword: str, frequency: int, relation: str) -> bool:
    count = len(re.findall(re.escape(keyword.strip()), response, re.IGNORECASE))
    return _compare(count, relation, frequency)


def _forbidden_words(response: str, *, forbidden_words: Sequence[str]) -> bool:
    return not any(re.search(rf"\b{re.escape(word)}\b", response, re.IGNORECASE) for word in forbidden_words)


def _letter_frequency(response: str, *, letter: str, let_frequency: int, let_relation: str) -> bool:
    return _compare(response.lower().count(letter.strip().lower()), let_relation, let_frequency)


def _response_language(response: str, *, language: str) -> bool:
    return detect_language(response) in (language, None)


def _number_sentences(response: str, *, num_sentences: int, relation: str) -> bool:
    return _compare(count_sentences(response), relation, num_sentences)


def _number_words(response: str, *, num_words: int, relation: str) -> bool:
    return _compare(count_words(response), relation, num_words)


def _number_paragraphs(response: str, *, num_paragraphs: int) -> bool:
    """Paragraphs are divided by ``***``; only the first and the last may be empty."""
    paragraphs = [p.strip() for p in response.split("***")]
    return all(paragraphs[1:-1]) and sum(map(bool, paragraphs)) == num_paragraphs


def _nth_paragraph_first_word(response: str, *, num_paragraphs: int, nth_paragraph: int, first_word: str) -> bool:
    """Paragraphs are divided by an empty line; the n-th is counted with empty ones, their number without."""
    paragraphs = response.split("\n\n")
    filled = sum(bool(p.strip()) for p in paragraphs)
    if filled != num_paragraphs or not 1 <= nth_paragraph <= filled:
        return False
    words = paragraphs[nth_paragraph - 1].split()
    if not words:
        return False
    word = words[0].lstrip("'").lstrip('"')
    return re.split(r"[.,?!'\"]", word, maxsplit=1)[0].lower() == first_word.lower()


def _number_placeholders(response: str, *, num_placeholders: int) -> bool:
    return sum(map(_brackets, response.split("\n"))) >= num_placeholders


def _brackets(line: str) -> int:
    count, end = 0, 0
    while (start := line.find("[", end)) >= 0 and (end := line.find("]", start) + 1):
        count += 1
    return count


def _postscript(response: str, *, postscript_marker: str) -> bool:
    patterns = {"P.P.S": r"p\.\s?p\.\s?s", "P.S.": r"p\.\s?s\."}
    pattern = patterns.get(postscript_marker.strip(), re.escape(postscript_marker.strip().lower()))
    return bool(re.search(pattern, response.lower()))


def _number_bullet_lists(response: str, *, num_bullets: int) -> bool:
    return sum(map(_is_bullet, response.split("\n"))) == num_bullets


def _is_bullet(line: str) -> bool:
    text = line.lstrip()
    return text.startswith("-") or (text.startswith("*") and not text.startswith("**"))


def _constrained_response(response: str) -> bool:
    return any(option in response for option in _CONSTRAINED)


def _number_highlighted_sections(response: str, *, num_highlights: int) -> bool:
    """``*text*`` and ``**text**``; the latter counts by its inner text only where that is not blank."""
    single = [m for m in re.findall(r"\*[^\n*]*\*", response) if m.strip("*").strip()]
    double = [m for m in re.findall(r"\*\*([^\n*]*)\*\*", response) if m.strip()]
    return len(single) + len(double) >= num_highlights


def _multiple_sections(response: str, *, section_spliter: str, num_sections: int) -> bool:
    return len(re.findall(rf"{re.escape(section_spliter.strip())}\s?\d+", response)) >= num_sections


def _json_format(response: str) -> bool:
    text = response.strip()
    for mark in ("```json", "```Json", "```JSON", "```"):
        text = text.removeprefix(mark)
    try:
        json.loads(text.removesuffix("```").strip())
    except (ValueError, RecursionError):
        return False
    return True


def _title(response: str) -> bool:
    return any(map(_titled, response.split("\n")))


def _titled(line: str) -> bool:
    start, end = line.find("<<"), line.rfind(">>")
    return 0 <= start < end - 2 and bool(line[start : end + 2].lstrip("<").rstrip(">").strip())


def _two_responses(response: str) -> bool:
    """Exactly two, divided by ``******`` and not the same; only before the first and after the last may be nothing."""
    parts = [p.strip() for p in response.split("******")]
    responses = [p for p in parts if p]
    return all(parts[1:-1]) and len(responses) == 2 and responses[0] != responses[1]


def _repeat_prompt(response: str, *, prompt_to_repeat: str) -> bool:
    return response.strip().lower().startswith(prompt_to_repeat.strip().lower())


def _end_checker(response: str, *, end_phrase: str) -> bool:
    return response.strip().strip('"').lower().endswith(end_phrase.strip().lower())


def _quotation(response: str) -> bool:
    text = response.strip()
    return len(text) > 1 and text[0] == text[-1] == '"'


def _capital_word_frequency(response: str, *, capital_frequency: int, capital_relation: str) -> bool:
    return _compare(count_capital_words(response), capital_relation, capital_frequency)


def _english_capital(response: str) -> bool:
    return response.isupper() and detect_language(response) in ("en", None)


def _english_lowercase(response: str) -> bool:
    return response.islower() and detect_language(response) in ("en", None)


def _no_comma(response: str) -> bool:
    return "," not in response


CHECKS: dict[str, Check] = {
    "change_case:capital_word_frequency": _capital_word_frequency,
    "change_case:english_capital": _english_capital,
    "change_case:english_lowercase": _english_lowercase,
    "combination:repeat_prompt": _repeat_prompt,
    "combination:two_responses": _two_responses,
    "detectable_content:number_placeholders": _number_placeholders,
    "detectable_content:postscript": _postscript,
    "detectable_format:constrained_response": _constrained_response,
    "detectable_format:json_format": _json_format,
    "detectable_format:multiple_sections": _multiple_sections,
    "detectable_format:number_bullet_lists": _number_bullet_lists,
    "detectable_format:number_highlighted_sections": _number_highlighted_sections,
    "detectable_format:title": _title,
    "keywords:existence": _existence,
    "keywords:forbidden_words": _forbidden_words,
    "keywords:frequency": _frequency,
    "keywords:letter_frequency": _letter_frequency,
    "language:response_language": _response_language,
    "length_constraints:nth_paragraph_first_word": _nth_paragraph_first_word,
    "length_constraints:number_paragraphs": _number_paragraphs,
    "length_constraints:number_sentences": _number_sentences,
    "length_constraints:number_words": _number_words,
    "punctuation:no_comma": _no_comma,
    "startend:end_checker": _end_checker,
    "startend:quotation": _quotation,
}


def arguments(check: Check, given: Mapping[str, Any]) -> dict[str, Any] | None:
    """The arguments that this check takes, out of those given with the question; None where one is missing."""
    code = check.__code__
    names = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    taken = {name: given.get(name) for name in names}
    return None if None in taken.values() else taken
