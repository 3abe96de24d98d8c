"""Text without the layout that LLMs and people put around an answer."""

from __future__ import annotations

import re
import unicodedata

_LATEX_TEXT = re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|mathit|operatorname|mbox)\s*\{([^{}]*)\}")
_MATH_SIGNS = re.compile(r"\\[()\[\]]|\\(?:left|right|displaystyle)\b|\\[,!;:]")
_SPACE = re.compile(r"\s+")
_COMMA = re.compile(r"\s*,\s*")
_ARTICLE = re.compile(r"(?:the|an?)\s+(?=\S)", re.IGNORECASE)
_AROUND = "\"'\u201c\u201d\u2018\u2019\u00ab\u00bb`*_~.,;:!? \t\n"
_ABBREVIATION = re.compile(r"(?:^|[\s(])(?:St|Dr|Mr|Mrs|Ms|Mt|Jr|Sr|No|vs|etc|approx|[A-Za-z])$")


def without_layout(text: str) -> str:
    """Text without LaTeX wrappers, emphasis and code marks, in compatibility form, with single spaces."""
    return _SPACE.sub(" ", lines_without_layout(text)).strip()


def lines_without_layout(text: str) -> str:
    """The same, with the line breaks and the spacing that it has."""
    plain = text if text.isascii() else unicodedata.normalize("NFKC", text)
    if "\\" in plain:
        while (bare := _LATEX_TEXT.sub(r"\1", plain)) != plain:
            plain = bare
        plain = _MATH_SIGNS.sub(" ", plain).replace("\\\\", " ")
    return plain.replace("$", " ").replace("**", "").replace("`", "")


def normal_form(text: str, *, keep_case: bool = False) -> str:
    """The form in which equal answers are equal: case, spacing, quotes, end punctuation and articles do not count.

    A text of nothing but punctuation stays as it is.
    """
    plain = _COMMA.sub(", ", without_layout(text))
    bare = plain.strip(_AROUND)
    if bare.startswith("(") and bare.endswith(")") and bare.count("(") == 1:
        bare = bare[1:-1].strip(_AROUND)
    bare = _ARTICLE.sub("", bare, count=1) if _ARTICLE.match(bare) else bare
    form = bare or _SPACE.sub(" ", text).strip()
    return form if keep_case else form.casefold()


def first_sentence(text: str) -> str:
    """Up to the end of the first sentence; the point of an abbreviation or a number ends none."""
    for match in re.finditer(r"[.!?](?=\s)", text):
        if not _ABBREVIATION.search(text[: match.start()]):
            return text[: match.start()]
    return text
