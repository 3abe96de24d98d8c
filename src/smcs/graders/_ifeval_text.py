"""What the instruction checks count: words, sentences, capitalised words; and the language of a text.

Sentences follow the behaviour of the public checks' sentence splitter (Punkt's English model), so that counts are
comparable, by rules of our own: a sentence ends at ``!`` or ``?``, and at a full stop that does not belong to an
abbreviation, an initial or an ellipsis before a small letter. Line breaks alone end no sentence; and the number of a
list item (``1.``) is one, and ``e.g.`` and ``P.S.`` end one, because they do there.
"""

from __future__ import annotations

import re
from functools import lru_cache

from langdetect.detector_factory import PROFILES_DIRECTORY, DetectorFactory
from langdetect.lang_detect_exception import LangDetectException

_ABBREVIATION = re.compile(
    r"adm|aug|ave|bros|calif|co|col|colo|conn|corp|cos|ct|dec|dr|feb|fla|fri|ft|ga|gen|ill|inc|jan|jr|kan|ky|"
    r"lt|ltd|maj|messrs|mg|mich|minn|mr|mrs|ms|nev|nov|oct|ok|okla|ore|pa|prof|rep|reps|sen|sep|sept|sr|st|"
    r"tenn|tues|va|vs|vt|wash|wed|wis|yr|"
    r"ph\.d|(?!i\.e|e\.g|p\.s|p\.p\.s)[a-z](?:\.[a-z])+",
    re.IGNORECASE,
)
_STARTER = re.compile(
    r"a|after|although|an|and|as|at|before|but|by|for|from|he|her|here|his|how|however|i|if|in|it|its|my|on|"
    r"or|our|she|since|so|that|the|their|there|these|they|this|those|to|we|what|when|where|while|who|why|with|"
    r"you|your",
    re.IGNORECASE,
)
_END = re.compile(r"[.?!]+(?=(?P<close>[)\"'\u201d\u2019;}\]*:@({\[])(?!\W?[.?!])|\s+(?P<next>\S+))")
_CLOSING = re.compile(r"\s*[\"'\u201d\u2019)\]}]+(?:\s+|$)")
_CAPITALISED = re.compile(r"[^\W_]+(?:[-.'\u2019&/][^\W_]+)*")
_INITIAL = re.compile(r"[^\W\d_]")
_LONGEST_ABBREVIATION = 20
_DETECTED_CHARACTERS = 100_000  # the detector itself reads 10,000, once addresses are taken out


def count_words(text: str) -> int:
    """Runs of letters, digits and underscores."""
    return len(re.findall(r"\w+", text))


def count_sentences(text: str) -> int:
    """Number of sentences in an English text; 0 for a blank one."""
    count, start = 0, 0
    text = text.strip()
    for match in _END.finditer(text):
        if not _ends_sentence(text, match):
            continue
        count += 1
        closing = _CLOSING.match(text, match.end())
        start = closing.end() if closing else match.end()
    return count + bool(text[start:].strip())


def _ends_sentence(text: str, match: re.Match[str]) -> bool:
    mark, following = match.group(), match["next"] or ""
    if mark.endswith(".."):
        return match["close"] is None and following[:1].isupper()
    if mark != ".":
        return True
    word = _word_before(text, match.start())
    if word.isdigit():
        return not following[:1].islower()
    if _INITIAL.fullmatch(word):
        return False
    if _ABBREVIATION.fullmatch(word.rsplit("-", 1)[-1]):
        return _starts_sentence(following)
    return True


def _word_before(text: str, end: int) -> str:
    """The run of characters before a full stop, without opening brackets and quotes; its end, where it is long."""
    start = end
    while start > 0 and end - start < _LONGEST_ABBREVIATION and not text[start - 1].isspace():
        start -= 1
    return text[start:end].lstrip("([{*\"'\u201c\u2018")


def _starts_sentence(word: str) -> bool:
    return word[:1].isupper() and bool(_STARTER.fullmatch(word.strip(",.")))


def count_capital_words(text: str) -> int:
    """Number of words written in capitals only; ``I`` and ``A`` are such words."""
    return sum(match.group().isupper() for match in _CAPITALISED.finditer(text))


def detect_language(text: str) -> str | None:
    """ISO 639-1 code of the text's language, Chinese as ``zh-cn`` or ``zh-tw``; None where it shows none."""
    detector = _detectors().create()
    detector.append(text[:_DETECTED_CHARACTERS])
    try:
        return str(detector.detect())
    except LangDetectException:
        return None


@lru_cache(maxsize=1)
def _detectors() -> DetectorFactory:
    factory = DetectorFactory()
    factory.load_profile(PROFILES_DIRECTORY)
    factory.set_seed(0)  # of this factory alone; the package's own is left as it is
    return factory
