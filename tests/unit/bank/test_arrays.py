from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from smcs.bank import QuestionBank
from smcs.errors import EmbedderMismatchError
from smcs.types import EmbedderInfo, Question

INFO = EmbedderInfo("minilm", "abc", 2)


def bank() -> QuestionBank:
    return QuestionBank(
        questions=(Question("a", benchmark="x"), Question("b", benchmark="y"), Question("c", benchmark="x")),
        embeddings=np.eye(3, 2, dtype=np.float32),
        embedder=INFO,
        llms=("one", "two"),
        capability=np.array([[1, 0, 1], [0, 1, 0]], np.uint8),
        observed=np.array([[True, True, True], [False, True, False]]),
        models=("m/1", "m/2"),
    )


def test_accuracy_is_of_what_is_observed() -> None:
    assert bank().accuracy() == pytest.approx([2 / 3, 1.0])


def test_accuracy_by_benchmark_is_nan_where_nothing_is_observed() -> None:
    by = bank().accuracy_by_benchmark()
    assert list(by) == ["x", "y"]
    np.testing.assert_array_equal(by["x"], [1.0, np.nan])
    np.testing.assert_array_equal(by["y"], [0.0, 1.0])


def test_select_reorders_repeats_nothing_and_leaves_the_unknown_unobserved() -> None:
    selected = bank().select(["two", "three", "one"])
    assert selected.llms == ("two", "three", "one")
    assert selected.models == ("m/2", "", "m/1")
    np.testing.assert_array_equal(selected.capability, [[0, 1, 0], [0, 0, 0], [1, 0, 1]])
    np.testing.assert_array_equal(selected.observed.sum(axis=1), [1, 0, 3])
    assert np.isnan(selected.accuracy()[1])


def test_select_of_none_has_no_rows() -> None:
    assert bank().select([]).accuracy().shape == (0,)


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "e5"},
        {"revision": "def"},
        {"dimension": 3},
        {"query_instruction": "q: "},
        {"document_instruction": "d"},
    ],
)
def test_another_embedder_is_refused_naming_both(changed: dict[str, object]) -> None:
    other = dataclasses.replace(INFO, **changed)  # type: ignore[arg-type]
    with pytest.raises(EmbedderMismatchError) as error:
        bank().require_embedder(other)
    for value in (INFO.name, other.name, *(v for v in changed.values())):
        assert str(value) in str(error.value)


def test_the_same_embedder_is_accepted() -> None:
    bank().require_embedder(dataclasses.replace(INFO))


def test_arrays_of_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="embeddings of shape"):
        dataclasses.replace(bank(), embeddings=np.zeros((2, 2), np.float32))
    with pytest.raises(ValueError, match="capability"):
        dataclasses.replace(bank(), observed=np.zeros((2, 2), np.bool_))
