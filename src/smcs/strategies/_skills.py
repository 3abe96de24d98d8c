"""Skills: what questions ask for, as an LLM names it, and how good each LLM of the bank is at it."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smcs import prompts
from smcs.bank import QuestionBank
from smcs.config import SMCSSettings
from smcs.errors import ConfigError, NoAnswerError
from smcs.protocols import Embedder
from smcs.strategies._calls import Calls, call_seed
from smcs.transport.tasks import all_of
from smcs.types import Completion, Failure, Message, Sampling

MOST_SKILLS = 5
_MOST_WORDS = 6
_ANSWER_TOKENS = 128
_LONGEST_QUESTION = 6000  # characters: the skills that a question asks for show in its beginning and end
_LIST = re.compile(r"skills?\W*:(.*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Profile:
    """How good each LLM is at each skill, from the bank.

    Attributes:
        skills: the S skills that enough questions of the bank ask for.
        score: array of shape (R, S): right answers less wrong ones on the questions that ask for the skill.
        asked: array of shape (R, S): how many of these questions the LLM was asked.
        embeddings: array of shape (S, d) of the skills' names.
    """

    skills: tuple[str, ...]
    score: NDArray[np.float64]
    asked: NDArray[np.float64]
    embeddings: NDArray[np.float32]

    def suitability(self, columns: Sequence[int]) -> NDArray[np.float64]:
        """How good each LLM is at some skills, array of shape (R,): right less wrong, as a share of what was asked."""
        score, asked = self.score[:, columns].sum(axis=1), self.asked[:, columns].sum(axis=1)
        share: NDArray[np.float64] = np.divide(score, asked, out=np.zeros(len(score)), where=asked > 0)
        return share

    def competency(self) -> NDArray[np.float64]:
        """The same over all skills."""
        return self.suitability(range(len(self.skills)))


def parse_skills(reply: str) -> tuple[str, ...]:
    """The skills that a reply lists, in lower case, without repeats; none where it lists none."""
    lists = _LIST.findall(reply)
    text = lists[-1] if lists else reply.strip().splitlines()[-1] if reply.strip() else ""
    names = [" ".join(re.sub(r"[^\w+#/ -]", " ", part).split()).lower() for part in re.split(r"[,;]", text)]
    short = [name for name in names if name and len(name.split()) <= _MOST_WORDS]
    return tuple(dict.fromkeys(short))[:MOST_SKILLS]


async def name_skills(
    calls: Calls, annotator: str, text: str, settings: SMCSSettings, seed: int
) -> tuple[str, ...] | Failure:
    """Have an LLM name the skills that a question asks for."""
    half = _LONGEST_QUESTION // 2
    shown = text if len(text) <= _LONGEST_QUESTION else f"{text[:half]}\n[...]\n{text[-half:]}"
    messages = (Message("system", prompts.load("skills_system.txt")), Message("user", shown))
    sampling = settings.sampling.to_sampling().overridden_by(Sampling(max_tokens=_ANSWER_TOKENS))
    sampling = replace(sampling, temperature=0.0, seed=call_seed(seed, "skills"))
    made = await calls.ask(annotator, messages, sampling, keep_system=True)
    (result,) = made.results
    return parse_skills(result.text) if isinstance(result, Completion) else result


async def annotate_bank(
    calls: Calls, annotator: str, bank: QuestionBank, settings: SMCSSettings, known: dict[str, tuple[str, ...]]
) -> None:
    """Name the skills of all questions of the bank that are not `known` yet, and add them there one by one.

    Raises:
        NoAnswerError: some could not be annotated; the next attempt asks for these alone.
    """

    async def one(question_id: str, text: str) -> Failure | None:
        skills = await name_skills(calls, annotator, text, settings, seed=0)
        if isinstance(skills, Failure) and skills.kind != "context_length":
            return skills
        known[question_id] = () if isinstance(skills, Failure) else skills
        return None

    outcomes = await all_of(one(q.id, q.text) for q in bank.questions if q.id not in known)
    failures = [failure for failure in outcomes if failure]
    if failures:
        raise NoAnswerError(
            f"{annotator} could not name the skills of {len(failures)} of the bank's {len(bank)} questions, of which "
            f"profiles are made; the first: {failures[0].message}"
        )


async def make_profile(
    bank: QuestionBank, skills: Mapping[str, Sequence[str]], embedder: Embedder, least_questions: int
) -> Profile:
    """Add up right and wrong answers by skill.

    Args:
        skills: of each question, by its id.
        least_questions: a skill that fewer questions ask for is left out.

    Raises:
        ConfigError: no skill is left.
    """
    counts = Counter(skill for q in bank.questions for skill in skills.get(q.id, ()))
    names = tuple(sorted(skill for skill, count in counts.items() if count >= least_questions))
    if not names:
        raise ConfigError(
            f"no skill is asked for by {least_questions} questions of the bank or more, so LLMs have no profiles; "
            f"set least_questions lower, or let another LLM name the skills (annotator)"
        )
    column = {name: i for i, name in enumerate(names)}
    asks = np.zeros((len(bank), len(names)))
    for row, question in enumerate(bank.questions):
        for skill in skills.get(question.id, ()):
            if skill in column:
                asks[row, column[skill]] = 1
    seen = bank.observed.astype(np.float64)
    right = bank.capability * seen
    return Profile(names, (2 * right - seen) @ asks, seen @ asks, await embedder.embed(names, "document"))


async def matched(profile: Profile, skills: Sequence[str], embedder: Embedder) -> list[int]:
    """The profile's skills that stand for these: the same, or the one whose name is nearest in meaning."""
    column = {name: i for i, name in enumerate(profile.skills)}
    unknown = [skill for skill in skills if skill not in column]
    nearest: list[int] = []
    if unknown:
        vectors = await embedder.embed(unknown, "document")
        nearest = [int(i) for i in np.argmax(vectors @ profile.embeddings.T, axis=1)]
    return sorted({*(column[skill] for skill in skills if skill in column), *nearest})


async def read_skills(path: Path) -> dict[str, tuple[str, ...]]:
    """Skills that were named earlier, by question; none where there is no such file.

    Raises:
        ConfigError: it is not such a file.
    """
    try:
        rows = json.loads(await asyncio.to_thread(path.read_text, encoding="utf-8"))
        return {str(key): tuple(str(skill) for skill in value) for key, value in rows.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise ConfigError(
            f"{path} is no file of skills, which is a JSON object of lists by question: {error}"
        ) from None


async def write_skills(path: Path, skills: Mapping[str, Sequence[str]]) -> None:
    """Keep skills for the next time; the file is there as a whole or not at all.

    Raises:
        ConfigError: it cannot be written.
    """

    def write() -> None:
        temporary = path.with_name(f".{path.name}.tmp")
        temporary.write_text(json.dumps(skills, indent=0, ensure_ascii=False), encoding="utf-8")
        temporary.replace(path)

    try:
        await asyncio.to_thread(write)
    except OSError as error:
        raise ConfigError(f"cannot write the skills to {path}: {error.strerror}") from None
