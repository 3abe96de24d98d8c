"""Which questions to take from reasoning-gym's generators, and how to word them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from scripts.starter.logic import follows, holds, kinship, repeats_a_person

Entry: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Draft:
    """A generated question before it has an id. Of `options` the first is the right one."""

    text: str
    answer: str
    grader: str = "numeric"
    options: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Recipe:
    """How many questions to take from one dataset.

    Attributes:
        name: what the ids of its questions are called by.
        write: makes the question from the dataset's entry; None passes the entry over.
        settings: of the dataset.
        varied: no two questions have the same answer.
    """

    benchmark: str
    name: str
    dataset: str
    count: int
    level: str
    write: Callable[[Entry], Draft | None]
    settings: Mapping[str, Any]
    varied: bool = False


def arithmetic(entry: Entry) -> Draft | None:
    """The expression alone, without the generator's preamble. Passed over where it has a 0, a 1 or a sign."""
    expression = str(entry["metadata"]["expression"]).replace("( ", "(").replace(" )", ")")
    if re.search(r"(?<![\d.])[01](?![\d.])|\(\(|(^|[-+*/] |\()-", expression):
        return None
    return Draft(f"What is {expression}?", str(entry["answer"]))


def divisor(entry: Entry) -> Draft | None:
    """Greatest common divisor of two different numbers."""
    one, other = entry["metadata"]["numbers"]
    if one == other:
        return None
    return Draft(f"Find the greatest common divisor of {one} and {other}.", str(entry["answer"]))


def multiple(entry: Entry) -> Draft | None:
    """Least common multiple of two different numbers."""
    one, other = entry["metadata"]["numbers"]
    if one == other:
        return None
    return Draft(f"What is the smallest number that both {one} and {other} divide?", str(entry["answer"]))


def fraction(entry: Entry) -> Draft | None:
    """A fraction in lowest terms. Passed over where it is so already, or a whole number."""
    meta = entry["metadata"]
    if meta["reduction_factor"] == 1 or meta["simplified_denominator"] == 1:
        return None
    lowest = f"{meta['simplified_numerator']}/{meta['simplified_denominator']}"
    text = f"Reduce the fraction {meta['numerator']}/{meta['denominator']} to lowest terms."
    return Draft(f"{text} Reply with the fraction only, in the form a/b.", lowest, "exact")


def equation(entry: Entry) -> Draft | None:
    """A linear equation in one unknown. Passed over where the letter is easily taken for something else."""
    meta = entry["metadata"]
    if meta["variable"] in "eilo":
        return None
    return Draft(f"Solve {meta['equation']} for {meta['variable']}.", str(entry["answer"]))


def angle(entry: Entry) -> Draft | None:
    """The last angle of a convex polygon."""
    meta = entry["metadata"]
    if not 0 < meta["missing_angle_raw"] < 180:
        return None
    *first, last = (f"{a:g}" for a in meta["known_angles"])
    text = f"A convex polygon has {meta['n_sides']} sides. All angles but one are known: {', '.join(first)} and {last}"
    return Draft(f"{text} degrees. How many degrees is the remaining one?", str(entry["answer"]))


def legs(entry: Entry) -> Draft | None:
    """Legs of a few animals. Passed over where the plural does not just take an s."""
    animals = entry["metadata"]["animals"]
    if any(name.endswith(("s", "sh", "ch", "fly", "sheep", "deer")) or count == 1 for name, count in animals.items()):
        return None
    herd = " and ".join(f"{count} {name}s" for name, count in animals.items())
    return Draft(f"How many legs do {herd} have altogether?", str(entry["answer"]))


def coins(entry: Entry) -> Draft | None:
    """A probability as a decimal."""
    if not 0 < entry["metadata"]["k_heads"] < entry["metadata"]["num_trials"]:
        return None
    return Draft(f"{entry['question']} Write it as a decimal.", str(entry["answer"]))


def primes(entry: Entry) -> Draft:
    """How many primes lie in a short range."""
    meta = entry["metadata"]
    text = f"How many prime numbers are there from {meta['start']} to {meta['end']}, both included?"
    return Draft(text, str(entry["answer"]))


def base(entry: Entry) -> Draft | None:
    """A number in another of the bases that programmers use. Hexadecimal only as what is given: it is no numeral."""
    meta = entry["metadata"]
    names = {2: "binary", 10: "decimal", 16: "hexadecimal"}
    source, target = meta["source_base"], meta["target_base"]
    if (source, target) not in {(2, 10), (10, 2), (16, 10)}:
        return None
    text = f"Convert the {names[source]} number {meta['source_repr']} to {names[target]}."
    return Draft(text, str(entry["answer"]))


def bits(entry: Entry) -> Draft:
    """How many ones a number has in binary."""
    number = entry["metadata"]["number"]
    return Draft(f"How many ones does the number {number} have when you write it in binary?", str(entry["answer"]))


def backward(entry: Entry) -> Draft | None:
    """A word from its last letter to its first."""
    word = entry["metadata"]["word"]
    if not word.islower():
        return None
    return Draft(f'Spell the word "{word}" backwards. Reply with the result only.', str(entry["answer"]), "exact")


def letters(entry: Entry) -> Draft | None:
    """How often a letter occurs. Passed over where capitals leave open what counts."""
    meta = entry["metadata"]
    text = " ".join(meta["span"])
    if not text.islower():
        return None
    return Draft(f'How often does the letter {meta["target_letter"]} occur in "{text}"?', str(entry["answer"]))


def family(entry: Entry) -> Draft | None:
    """A relation in a family. Passed over unless our own reading of it agrees: the generator takes some in-laws for
    others.
    """
    meta = entry["metadata"]
    story = str(entry["question"]).split("\n\n")[0]
    if entry["answer"] != kinship(story, meta["person1"], meta["person2"], men=MEN):
        return None
    return Draft(str(entry["question"]).replace("\n\n", " "), str(entry["answer"]), "exact")


def needle(entry: Entry) -> Draft:
    """A detail to find among others."""
    return Draft(str(entry["question"]).replace(" \n", "\n\n").strip(), str(entry["answer"]), "exact")


def syllogism(wanted: str) -> Callable[[Entry], Draft | None]:
    """Syllogisms with this answer, if it is right whether or not a class may be empty."""

    def write(entry: Entry) -> Draft | None:
        meta = entry["metadata"]
        parts = [meta["premise1"], meta["premise2"], meta["conclusion"]]
        if entry["answer"] != wanted or any(follows(parts, empty=e) != (wanted == "Yes") for e in (True, False)):
            return None
        text = f"{parts[0]}. {parts[1]}. Does it follow that {parts[2][0].lower()}{parts[2][1:]}?"
        return Draft(text, wanted, "choice", ("Yes", "No") if wanted == "Yes" else ("No", "Yes"))

    return write


def knights(entry: Entry) -> Draft | None:
    """Two who always or never tell the truth, as a choice of four. Passed over unless exactly one fits."""
    meta = entry["metadata"]
    worlds = list(itertools.product((True, False), repeat=2))
    fitting = [w for w in worlds if all(holds(s, w) == w[i] for i, s in enumerate(meta["statements"]))]
    if fitting != [tuple(bool(x) for x in meta["solution"])]:
        return None
    terms, names = meta["knight_knave_terms"], [str(n) for n in meta["names"]]
    options = [
        " and ".join(f"{n} is {terms['a_knight' if t else 'a_knave']}" for n, t in zip(names, world, strict=True))
        for world in sorted(worlds, key=lambda w: w != fitting[0])
    ]
    if any(repeats_a_person(s) for s in meta["statements"]):
        return None
    text = str(entry["question"]).split(" So who is ")[0]
    text = re.sub(r"(?i)(hero)s\b", r"\1es", text).replace(", and ", " and ", 2)
    return Draft(f"{text} Who is what?", options[0], "choice", tuple(options))


ONE = {"min_digits": 1, "max_digits": 1}
TWO = {"min_digits": 2, "max_digits": 2}
PLAIN = {"min_terms": 3, "max_terms": 3, "allow_negation": False}
MEN = [
    "James",
    "John",
    "Robert",
    "Michael",
    "William",
    "David",
    "Thomas",
    "Peter",
    "Daniel",
    "George",
    "Henry",
    "Oliver",
]
WOMEN = [
    "Mary",
    "Patricia",
    "Linda",
    "Elizabeth",
    "Barbara",
    "Susan",
    "Sarah",
    "Emma",
    "Anna",
    "Olivia",
    "Alice",
    "Lucy",
]
FAMILY = {"male_names": MEN, "female_names": WOMEN}
RECIPES = (
    Recipe("mathematics", "sum-easy", "chain_sum", 2, "easy", arithmetic, {"max_terms": 2, **ONE}),
    Recipe("mathematics", "sum", "chain_sum", 3, "middle", arithmetic, {"min_terms": 3, "max_terms": 4, **TWO}),
    Recipe("mathematics", "expression", "basic_arithmetic", 2, "middle", arithmetic, PLAIN | ONE),
    Recipe("mathematics", "product-easy", "products", 2, "easy", arithmetic, ONE),
    Recipe("mathematics", "product", "products", 2, "hard", arithmetic, TWO),
    Recipe("mathematics", "gcd", "gcd", 2, "middle", divisor, {"min_value": 4, "max_value": 40}, varied=True),
    Recipe("mathematics", "lcm", "lcm", 2, "middle", multiple, {"min_value": 3, "max_value": 15}),
    Recipe(
        "mathematics", "fraction", "fraction_simplification", 2, "middle", fraction, {"max_value": 9, "max_factor": 9}
    ),
    Recipe("mathematics", "equation", "simple_equations", 3, "middle", equation, {"max_terms": 2, "max_value": 12}),
    Recipe("mathematics", "angle", "simple_geometry", 1, "middle", angle, {"max_sides": 4}),
    Recipe(
        "mathematics",
        "legs",
        "leg_counting",
        2,
        "middle",
        legs,
        {"min_animals": 2, "max_animals": 2, "max_instances": 5},
    ),
    Recipe(
        "mathematics",
        "decimal",
        "decimal_chain_sum",
        2,
        "middle",
        arithmetic,
        {"max_terms": 2, **ONE, "max_decimal_places": 2},
    ),
    Recipe("mathematics", "coins", "coin_flip", 1, "hard", coins, {"min_trials": 3, "max_trials": 4}),
    Recipe("mathematics", "primes", "count_primes", 1, "hard", primes, {"max_n": 60}),
    Recipe("code", "base", "base_conversion", 2, "middle", base, {"max_value": 31}),
    Recipe("code", "bits", "count_bits", 2, "hard", bits, {"max_n": 100}),
    Recipe("logic", "syllogism-yes", "syllogism", 4, "middle", syllogism("Yes"), {}),
    Recipe("logic", "syllogism-no", "syllogism", 4, "middle", syllogism("No"), {}),
    Recipe("logic", "family", "family_relationships", 6, "middle", family, FAMILY, varied=True),
    Recipe("logic", "knights", "knights_knaves", 3, "hard", knights, {"n_people": 2}),
    Recipe(
        "reading",
        "needle-easy",
        "needle_haystack",
        3,
        "easy",
        needle,
        {"min_num_statements": 3, "max_num_statements": 5},
    ),
    Recipe(
        "reading", "needle", "needle_haystack", 3, "middle", needle, {"min_num_statements": 9, "max_num_statements": 12}
    ),
    Recipe("language", "backwards", "spell_backward", 2, "hard", backward, {"min_word_len": 4, "max_word_len": 6}),
    Recipe("language", "letters", "letter_counting", 2, "hard", letters, {"min_words": 5, "max_words": 6}),
)
