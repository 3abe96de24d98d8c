"""Finding the program in a response."""

from __future__ import annotations

import pytest

from smcs.graders._code.response import defined_names, find_program

PROGRAM = "def add(a, b):\n    return a + b"


@pytest.mark.parametrize(
    "response",
    [
        f"```python\n{PROGRAM}\n```",
        f"Sure!\n\n```python\n{PROGRAM}\n```\nIt adds.",
        f"```py\n{PROGRAM}\n```",
        f"```Python3\n{PROGRAM}\n```",
        f"```\n{PROGRAM}\n```",
        f"~~~python\n{PROGRAM}\n~~~",
        f"````python\n{PROGRAM}\n````",
        f"```python title=add.py\n{PROGRAM}\n```",
        f"  ```python\n{PROGRAM}\n  ```",
        f"```python\r\n{PROGRAM}\r\n```\r\n",
        f"```python\nprint('a first try')\n```\nBetter:\n```python\n{PROGRAM}\n```",
        f"```python\n{PROGRAM}\n```\nOutput:\n```\n3 is printed\n```",
        f"```python\n{PROGRAM}\n```\nOutput:\n```\n3\n```",
        f"```python\n{PROGRAM}\n```\n```text\nx = 1\n```\n```bash\nls\n```",
        f"```python\n{PROGRAM}\n```\nThe broken version was\n```python\ndef add(a, b:\n```",
        f"<think>```python\nwrong = 1\n```</think>\n```python\n{PROGRAM}\n```",
        f"```python\n{PROGRAM}",
        f"Here it is:\n\n{PROGRAM}\n\nThis function adds two numbers.",
        PROGRAM,
        f"\n\n{PROGRAM}\n",
    ],
)
def test_finds_the_program(response: str) -> None:
    found = find_program(response)
    assert found is not None
    assert found.replace("\r", "").strip() == PROGRAM


def test_prefers_the_block_that_defines_what_is_called() -> None:
    response = f"```python\n{PROGRAM}\n```\nUse it like this:\n```python\nprint(add(1, 2))\n```"
    assert find_program(response, {"add"}) == PROGRAM
    assert find_program(response) == "print(add(1, 2))"
    assert find_program(response, {"other"}) == "print(add(1, 2))"


def test_a_marked_block_goes_before_an_unmarked_one() -> None:
    assert find_program("```\nx = 1\n```\n```python\ny = 2\n```\n```\nz = 3\n```") == "y = 2"


def test_a_program_that_is_no_python_is_still_the_answer() -> None:
    assert find_program("```python\ndef broken(:\n```") == "def broken(:"


@pytest.mark.parametrize(
    "response", ["", "   \n", "I cannot do that.", "Yes", "42", "```java\nclass A {}\n```", "The answer is: none"]
)
def test_no_program(response: str) -> None:
    assert find_program(response) is None


def test_a_fence_inside_a_text_does_not_end_the_block() -> None:
    program = 'text = """\n```python\nx\n"""\nprint(text)'
    assert find_program(f"````python\n{program}\n````") == program


@pytest.mark.parametrize("text", ["(" * 100_000, "-" * 100_000 + "1", "\0", "x = '\\d'", "x" * 300_000])
def test_texts_that_trouble_a_parser(text: str) -> None:
    find_program(f"```python\n{text}\n```")
    find_program(text)


def test_defined_names() -> None:
    text = (
        "import os.path\nfrom math import pi as p\nclass A: pass\ndef f(): inner = 1\nx, (y, z) = 1, (2, 3)\nn: int = 1"
    )
    assert defined_names(text) == {"os", "p", "A", "f", "x", "y", "z", "n"}
