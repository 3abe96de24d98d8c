"""The paper's printed figures, as they ship."""

from __future__ import annotations

import pytest

from smcs.errors import ConfigError
from smcs.experiments import table8
from smcs.experiments.main_table import BENCHMARKS, SYSTEMS
from smcs.experiments.printed import printed, row_of
from smcs.experiments.table3 import _PRINTED, paper_row


def test_every_table_is_there_and_no_other() -> None:
    assert [len(printed(table)) for table in range(1, 9)] == [30, 8, 3, 2, 15, 24, 4, 6]
    with pytest.raises(ConfigError, match="no table 9"):
        printed(9)


def test_columns_are_our_benchmarks() -> None:
    row = row_of(1, "SMCS")
    assert row is not None
    assert set(row.values) == {*BENCHMARKS, "Avg"}
    assert (row.values["livecodebench"], row.values["Avg"]) == (52.58, 76.78)


@pytest.mark.parametrize("table", [1, 6])
def test_an_llm_is_found_however_a_table_writes_it(table: int) -> None:
    assert all(row_of(table, row.label) for row in printed(5)), "misprints are known"
    assert row_of(table, "mlabonne/some-other-7B") is None


def test_what_rows_are_looked_up_is_there() -> None:
    assert set(SYSTEMS.values()) <= {row.label for row in printed(1)}
    assert paper_row(next(iter(_PRINTED.values())))["aime"] == 73.33


def test_components_without_any_are_moa() -> None:
    moa = row_of(1, "MoA")
    assert moa is not None
    nothing = table8._printed(())
    assert nothing == {name: moa.values[name] for name in nothing}
    assert table8._printed(("RPS", "MPS", "prior_drop")) == {}, "the paper has no such row"
    assert len({tuple(table8._printed(parts).items()) for parts in table8._STEPS}) == 7
