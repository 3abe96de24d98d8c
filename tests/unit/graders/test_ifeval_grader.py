"""Instruction following: each of the 25 types by worked examples, and the strict and loose criteria."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smcs.graders import ifeval, ifeval_loose
from smcs.graders._ifeval_checks import CHECKS
from smcs.graders._ifeval_text import count_capital_words, count_sentences, count_words, detect_language
from smcs.types import Question

GERMAN = "Der Zug nach London fährt jeden Morgen um acht Uhr ab und kommt am späten Nachmittag an."
ENGLISH = "the train to london leaves every morning at eight o'clock and arrives late in the afternoon."

# instruction, its arguments, responses that follow it, responses that do not
CASES: list[tuple[str, dict[str, Any], list[str], list[str]]] = [
    (
        "keywords:existence",
        {"keywords": ["waste", "Meal"]},
        ["Do not waste a meal.", "MEALS are WASTEd."],
        ["Do not waste it.", ""],
    ),
    (
        "keywords:frequency",
        {"keyword": "fake", "frequency": 2, "relation": "at least"},
        ["Fake news, fake views.", "fakefake"],
        ["One fake.", ""],
    ),
    ("keywords:frequency", {"keyword": "a b", "frequency": 2, "relation": "less than"}, ["a b", "x"], ["a b, A B"]),
    (
        "keywords:forbidden_words",
        {"forbidden_words": ["step", "c++"]},
        ["Two steps.", "stepwise", ""],
        ["One Step.", "step"],
    ),
    (
        "keywords:letter_frequency",
        {"letter": "T", "let_frequency": 3, "let_relation": "at least"},
        ["Test it", "ttt"],
        ["tt", ""],
    ),
    ("keywords:letter_frequency", {"letter": "!", "let_frequency": 2, "let_relation": "less than"}, ["a!", ""], ["!!"]),
    ("language:response_language", {"language": "de"}, [GERMAN, "1 + 2"], [ENGLISH]),
    (
        "length_constraints:number_sentences",
        {"num_sentences": 3, "relation": "at least"},
        ["One. Two! Three?", "See it. See them. Dr. Who is here."],
        ["One. Two.", "e.g. this"],
    ),
    (
        "length_constraints:number_sentences",
        {"num_sentences": 2, "relation": "less than"},
        ["Mr. Smith met Dr. Jones at 3.5 km from the U.S. border.", "no end"],
        ["One. Two."],
    ),
    (
        "length_constraints:number_words",
        {"num_words": 3, "relation": "at least"},
        ["one two three", "it's ok"],
        ["one-two", ""],
    ),
    ("length_constraints:number_words", {"num_words": 3, "relation": "less than"}, ["one two", ""], ["a b c"]),
    (
        "length_constraints:number_paragraphs",
        {"num_paragraphs": 2},
        ["a\n***\nb", "***\na\n***\nb\n***"],
        ["a\n\nb", "a\n***\n\n***\nb", "a"],
    ),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "elm"},
        ["Oak.\n\nElm, it is.", "a\n\n'elm' b", 'a\n\n"Elm" b\n\n'],
        ["Elm.\n\nOak.", "a\n\nelm\n\nc", "elm", "a\n\nelms", "\n\n\n\nelm\n\na"],
    ),
    (
        "detectable_content:number_placeholders",
        {"num_placeholders": 2},
        ["[name] at [address]", "[a][b]", "[[x]\n[y]"],
        ["[name]", "[a\nb] [c", "no"],
    ),
    (
        "detectable_content:postscript",
        {"postscript_marker": "P.P.S"},
        ["Bye.\nP.P.S. one more", "p. p. s"],
        ["P.S. no", ""],
    ),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, ["Bye.\np.s. more", "P. S. x"], ["PS: no"]),
    (
        "detectable_format:number_bullet_lists",
        {"num_bullets": 2},
        ["* a\n* b", "x\n  - a\n- b\ny", "*a\n-b"],
        ["* a", "* a\n* b\n* c", "**a**\n* b", ""],
    ),
    (
        "detectable_format:constrained_response",
        {},
        ["My answer is yes.", "Well: My answer is maybe. Sorry."],
        ["My answer is yes", "my answer is no.", ""],
    ),
    (
        "detectable_format:number_highlighted_sections",
        {"num_highlights": 2},
        ["*a* and *b*", "*a b* x **c**"],
        ["*a*", "**bold** text", "* *", "**", "*a\nb*"],
    ),
    (
        "detectable_format:multiple_sections",
        {"section_spliter": "SECTION", "num_sections": 2},
        ["SECTION 1\na\nSECTION 2\nb", "SECTION1 SECTION 22"],
        ["Section 1 Section 2", "SECTION one SECTION two", "SECTION 1"],
    ),
    (
        "detectable_format:json_format",
        {},
        ['{"a": 1}', '```json\n{"a": [1]}\n```', "```\n[1]\n```", "12"],
        ["{'a': 1}", 'Here: {"a": 1}', "", "[" * 100_000],
    ),
    (
        "detectable_format:title",
        {},
        ["<<Ode>>\ntext", "x <<a b>> y", "<<<a>>>"],
        ["<Ode>", "<< >>", "<<a\nb>>", "<<>>", ">>a<<"],
    ),
    (
        "combination:two_responses",
        {},
        ["a******b", "******a\n******\nb******"],
        ["a******a", "a", "a******b******c", "a************b", "a***b"],
    ),
    (
        "combination:repeat_prompt",
        {"prompt_to_repeat": "Say it. Twice"},
        ["say it. twice\nIt.", "  Say it. Twice"],
        ["It. Say it. Twice", ""],
    ),
    (
        "startend:end_checker",
        {"end_phrase": "Is that all?"},
        ["Yes. is that all?", '"... Is that all?"', "Is that all?\n"],
        ["Is that all? Yes.", ""],
    ),
    ("startend:quotation", {}, ['"all of it"', ' "x" \n', '""'], ['"half', 'half"', '"', ""]),
    (
        "change_case:capital_word_frequency",
        {"capital_frequency": 2, "capital_relation": "at least"},
        ["NASA and ESA", "I am A man", "WELL-KNOWN I"],
        ["NASA", "Nasa Esa"],
    ),
    (
        "change_case:capital_word_frequency",
        {"capital_frequency": 2, "capital_relation": "less than"},
        ["NASA", "none"],
        ["NASA ESA", "I, A"],
    ),
    ("change_case:english_capital", {}, [ENGLISH.upper()], [ENGLISH, GERMAN.upper(), "", "123"]),
    ("change_case:english_lowercase", {}, [ENGLISH], [ENGLISH.capitalize(), GERMAN.lower(), "", "123"]),
    ("punctuation:no_comma", {}, ["a; b", ""], ["a, b"]),
]


def question(*instructions: tuple[str, dict[str, Any] | None]) -> Question:
    meta = {"instruction_id_list": [i for i, _ in instructions], "kwargs": [k for _, k in instructions]}
    return Question(text="?", grader="ifeval", meta=meta)


def test_all_types_are_there_and_have_a_case() -> None:
    assert len(CHECKS) == 25
    assert {name for name, *_ in CASES} == set(CHECKS)


@pytest.mark.parametrize(("name", "kwargs", "follow", "_"), CASES)
def test_followed(name: str, kwargs: dict[str, Any], follow: list[str], _: list[str]) -> None:
    for response in follow:
        assert CHECKS[name](response, **kwargs), response


@pytest.mark.parametrize(("name", "kwargs", "_", "break_it"), CASES)
def test_not_followed(name: str, kwargs: dict[str, Any], _: list[str], break_it: list[str]) -> None:
    for response in break_it:
        assert not CHECKS[name](response, **kwargs), response


def test_all_instructions_must_be_followed() -> None:
    both = question(("punctuation:no_comma", {}), ("startend:quotation", {}))
    assert ifeval.create().grade('"a b"', both).correct is True
    assert ifeval.create().grade('"a, b"', both).correct is False
    assert ifeval.create().grade("a b", both).correct is False
    assert ifeval.create().followed('"a, b"', both) == [False, True]


def test_loose_forgives_introduction_closing_line_and_emphasis() -> None:
    quoted, no_comma = question(("startend:quotation", {})), question(("punctuation:no_comma", {}))
    for response, asked in [
        ('Sure, here it is:\n"a b"', quoted),
        ('"a b"\nI hope this helps.', quoted),
        ('Sure:\n"a b"\nBye.', quoted),
        ('**"a b"**', quoted),
        ("Sure, fine:\na b", no_comma),
    ]:
        assert ifeval.create().grade(response, asked).correct is False
        assert ifeval_loose.create().grade(response, asked).correct is True
    assert ifeval_loose.create().grade("a, b\nc, d\ne, f", no_comma).correct is False


def test_loose_takes_each_instruction_in_a_form_of_its_own() -> None:
    both = question(("punctuation:no_comma", {}), ("detectable_format:number_bullet_lists", {"num_bullets": 1}))
    assert ifeval_loose.create().grade("Sure, here:\n* a", both).correct is True


@pytest.mark.parametrize("response", ["", "  \n "])
def test_a_blank_response_follows_nothing(response: str) -> None:
    asked = question(("punctuation:no_comma", {}))
    assert ifeval.create().grade(response, asked).correct is False
    assert ifeval_loose.create().grade(response, asked).correct is False


@pytest.mark.parametrize(
    ("meta", "reason"),
    [
        ({}, "no instruction_id_list"),
        ({"instruction_id_list": ["punctuation:no_comma"]}, "needs kwargs"),
        ({"instruction_id_list": ["punctuation:no_comma"], "kwargs": []}, "needs kwargs"),
        ({"instruction_id_list": ["punctuation:no_dot"], "kwargs": [{}]}, "unknown instruction 'punctuation:no_dot'"),
        ({"instruction_id_list": ["keywords:existence"], "kwargs": [{"keywords": None}]}, "lacks an argument"),
        ({"instruction_id_list": ["keywords:existence"], "kwargs": ["x"]}, "not a mapping"),
        (
            {
                "instruction_id_list": ["length_constraints:number_words"],
                "kwargs": [{"num_words": "3", "relation": "at least"}],
            },
            "wrong type",
        ),
    ],
)
def test_what_cannot_be_checked_is_not_graded(meta: dict[str, Any], reason: str) -> None:
    grade = ifeval.create().grade("text", Question(text="?", meta=meta))
    assert grade.correct is None
    assert reason in grade.reason


def test_arguments_of_other_instructions_do_not_matter() -> None:
    asked = question(("punctuation:no_comma", {"num_words": None, "keywords": None}), ("startend:quotation", None))
    assert ifeval.create().grade('"a"', asked).correct is True


def test_language_is_the_same_at_every_call() -> None:
    mixed = "Bonjour tout le monde. Good morning everybody. Guten Morgen zusammen."
    assert len({detect_language(mixed) for _ in range(20)}) == 1
    assert detect_language("12 + 13") is None


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("no end", 1),
        ("One. Two. Three.", 3),
        ("What?! Really... yes.", 2),
        ("Wait... What?", 2),
        ("Dr. Smith of Acme Inc. lives in the U.S. and pays $3.50.", 1),
        ("J. R. Smith wrote it.", 1),
        ('He said "Go." Then he went.', 2),
        ("It ends (really). Yes.", 2),
        ("1. First\n2. Second", 3),
        ("line one\nline two", 1),
        ("See e.g. this one.", 2),
        ("Done.\n\nP.S. Bye.", 3),
    ],
)
def test_sentences(text: str, count: int) -> None:
    assert count_sentences(text) == count


def test_words() -> None:
    assert count_words("it's a well-known_fact: 3.5") == 7
    assert count_capital_words("NASA's I am A U.S. B2B x 12 WELL-KNOWN") == 5


RESPONSES = (
    st.text()
    | st.text(st.characters(categories=["Cs", "Cc", "Zs", "Po"]))
    | st.text(st.sampled_from("*[]<>{}\"'.?! \nP.S,-aI1`"), max_size=200)
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(RESPONSES)
def test_no_check_raises_on_any_text(response: str) -> None:
    for name, kwargs, *_ in CASES:
        assert CHECKS[name](response, **kwargs) in (True, False)
    ifeval_loose.create().grade(response, question(*((name, kwargs) for name, kwargs, *_ in CASES)))


@pytest.mark.parametrize("piece", ["\n", " ", "*", "[", "<<", "p. ", "- ", "a. ", "A", '"', "SECTION ", "{", ". . "])
def test_endless_repetition_is_judged_at_once(piece: str) -> None:
    everything = question(*((name, kwargs) for name, kwargs, *_ in CASES))
    assert ifeval_loose.create().grade(piece * 50_000, everything).correct is False
