"""A short fuzz of the API, and of the routes behind the page, on a real server: no 5xx, no hang, as documented.

``python -m benchmarks.fuzz`` is the long one.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.fuzz import fuzz
from tests.serving import serving, simulated_bank


@pytest.mark.timeout(600)  # a machine that does much else besides takes minutes for it
def test_a_few_hundred_cases_find_nothing(tmp_path: Path) -> None:
    simulated_bank(tmp_path)
    with serving(tmp_path) as url:
        report = fuzz(url.removesuffix("/v1"), examples=40, phases="examples,fuzzing")
    assert report.findings == (), report.details
    assert report.cases > 150
    assert report.accepted > 5


@pytest.mark.timeout(600)
def test_what_the_page_asks_for_never_ends_in_an_error_of_the_server(tmp_path: Path) -> None:
    simulated_bank(tmp_path)
    with serving(tmp_path) as url:
        report = fuzz(url.removesuffix("/v1"), examples=10, phases="examples,fuzzing", page=True)
    assert report.findings == (), report.details
    assert report.operations == 11
    assert report.cases > 50
