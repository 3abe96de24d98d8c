"""Recorded answers into a bank and out of it again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from smcs import cli
from smcs.bank import load_bank, open_bank
from smcs.bank.evaluate import evaluate, regrade
from smcs.bank.exporting import export_questions, export_responses
from smcs.bank.importing import Imported, gather_recorded, import_responses
from smcs.bank.lock import run_lock
from smcs.bank.recorded import read_recorded
from smcs.bank.writer import write_records
from smcs.errors import BankError, BankFormatError, QuestionError
from smcs.types import LLMInfo, Question

POOL = '[[llm]]\nname = "none"\nbackend = "simulated"\n[embedder]\nbackend = "tfidf"\ndimension = 64\n'
FORMAT = ("id", "benchmark", "split", "question", "options", "answer", "meta")


def question_line(number: int, **fields: Any) -> dict[str, Any]:
    values: tuple[Any, ...] = (
        f"gsm/{number}",
        "gsm",
        "validation",
        f"What is {number} + {number}?",
        None,
        str(2 * number),
        {},
    )
    return dict(zip(FORMAT, values, strict=True)) | fields


def answer(number: int, llm: str = "one", right: bool | None = True, **fields: Any) -> dict[str, Any]:
    said = 2 * number if right else 2 * number + 1
    return {
        "question_id": f"gsm/{number}",
        "llm": llm,
        "response": f"The answer is {said}.",
        "extracted": str(said),
        "correct": right,
        "completion_tokens": 5,
    } | fields


def table(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    pq.write_table(pa.Table.from_pylist(list(rows)), path, row_group_size=3)
    return path


class Folder:
    """Recorded files, and the command line at work on them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.bank = path / "my.bank"
        (path / "pool.toml").write_text(POOL)

    def questions(self, lines: Sequence[Any], name: str = "questions.jsonl") -> Path:
        file = self.path / name
        file.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
        return file

    def responses(self, rows: Sequence[dict[str, Any]], name: str = "responses.parquet") -> Path:
        return table(self.path / name, rows)

    def run(self, *arguments: object) -> int:
        extra = ["--pool", self.path / "pool.toml", "-q"] if arguments[0] == "import" else []
        return cli.run(["bank", str(arguments[0]), str(self.bank), *map(str, [*arguments[1:], *extra])])

    def imported(self, rows: Sequence[dict[str, Any]], count: int = 4) -> Path:
        lines = [question_line(i, split="test" if i == 0 else "validation") for i in range(count)]
        answers = ["--responses", self.responses(rows)] if rows else []
        assert self.run("import", "--questions", self.questions(lines), *answers) == 0
        return self.bank


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_answers_and_grades_as_recorded(folder: Folder) -> None:
    # The second is right by any grader, but was recorded as wrong.
    rows = [answer(1), answer(2, correct=False), answer(1, "two", right=False), answer(0, "two")]
    bank = load_bank(folder.imported(rows), split=None)
    assert bank.llms == ("one", "two")
    assert [q.id for q in bank.questions] == ["gsm/0", "gsm/1", "gsm/2", "gsm/3"]
    assert bank.observed.astype(int).tolist() == [[0, 1, 1, 0], [1, 1, 0, 0]]
    assert bank.capability.tolist() == [[0, 1, 0, 0], [1, 0, 0, 0]]
    assert {(q.benchmark, q.grader) for q in bank.questions} == {("gsm8k", "gsm8k")}
    assert np.allclose(np.linalg.norm(bank.embeddings, axis=1), 1)
    assert len(load_bank(folder.bank).questions) == 3  # what is held out stays held out


def test_provenance_and_tokens(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    folder.imported([answer(1)])
    capsys.readouterr()
    assert folder.run("show", "--question", "gsm/1", "--json") == 0
    (response,) = json.loads(capsys.readouterr().out)["responses"]
    assert (response["text"], response["extracted"], response["completion_tokens"]) == ("The answer is 2.", "2", 5)
    assert response["cost_usd"] is None
    with open_bank(folder.bank) as store:
        assert [(llm.backend, llm.model) for llm in store.llms()] == [("recorded", "one")]


def test_failed_and_absent_answers_are_not_observed(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    folder.imported([answer(1), answer(2, response=None, correct=None), answer(7)])
    out = capsys.readouterr().out
    assert "1 responses stored" in out
    assert "1 without a response: not observed" in out
    assert "1 left out: the bank does not have their questions" in out
    assert load_bank(folder.bank).observed.sum() == 1


async def test_recorded_grades_stay_until_others_are_asked_for(folder: Folder) -> None:
    await asyncio.to_thread(folder.imported, [answer(1, correct=False), answer(2, correct=None)])
    with open_bank(folder.bank, write=True) as store:
        assert (await regrade(store)).regraded == 1  # the one that has none
        assert load_bank(folder.bank).capability.sum() == 1
        assert (await regrade(store)).regraded == 0
        assert (await evaluate(store, [])).regraded == 0
        await regrade(store, again=True)
    assert load_bank(folder.bank).capability.sum() == 2


def test_an_import_that_was_interrupted_goes_on(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [answer(i, llm) for llm in ("one", "two") for i in range(4)]
    folder.imported([])
    file, calls = folder.responses(rows), 0

    def interrupted(*arguments: Any) -> None:
        nonlocal calls
        calls += 1
        write_records(*arguments)
        if calls == 2:  # written, not committed
            raise KeyboardInterrupt

    with monkeypatch.context() as patched, open_bank(folder.bank, write=True) as store:
        patched.setattr("smcs.bank.importing._BATCH", 3)
        patched.setattr("smcs.bank.importing.write_records", interrupted)
        with pytest.raises(KeyboardInterrupt):
            import_responses(store, file)
    assert load_bank(folder.bank, split=None).observed.sum() == 3
    with open_bank(folder.bank, write=True) as store:
        assert import_responses(store, file) == Imported(stored=5, present=3)
        assert import_responses(store, file) == Imported(present=8)
    assert load_bank(folder.bank, split=None).capability.all()


def test_what_the_bank_has_stays_as_it_is(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    folder.imported([answer(1)])
    capsys.readouterr()
    more = folder.responses([answer(1, right=False), answer(2), answer(2, response="again")], "more.parquet")
    lines = [question_line(1), question_line(8)]
    assert folder.run("import", "--questions", folder.questions(lines, "more.jsonl"), "--responses", more) == 0
    out = capsys.readouterr().out
    assert "1 questions added, 1 were there already" in out
    assert "2 left out: the bank has a response there already" in out
    bank = load_bank(folder.bank)
    assert [q.id for q in bank.questions] == ["gsm/1", "gsm/2", "gsm/3", "gsm/8"]
    assert bank.capability.tolist() == [[1, 1, 0, 0]]


def test_equal_questions_with_different_answers_keep_their_own(folder: Folder) -> None:
    lines = [question_line(1), question_line(1, id="gsm/twin")]
    rows = [answer(1), answer(1, right=False, question_id="gsm/twin")]
    folder.run("import", "--questions", folder.questions(lines), "--responses", folder.responses(rows))
    assert load_bank(folder.bank).capability.tolist() == [[1, 0]]


def test_an_llm_of_that_name_but_another_model_is_not_mixed_up(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.imported([])
    with open_bank(folder.bank, write=True) as store:
        store.register(LLMInfo("one", "openai", "one-v2"))
    assert folder.run("import", "--responses", folder.responses([answer(1)])) == 1
    assert "'one' is openai/one-v2, not recorded/one" in capsys.readouterr().err


def test_only_some_llms(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    folder.imported([])
    file = folder.responses([answer(1), answer(1, "two")])
    assert folder.run("import", "--responses", file, "--llm", "two") == 0
    assert load_bank(folder.bank).llms == ("two",)
    assert folder.run("import", "--responses", file, "--llm", "tow") == 1
    assert "no answers of 'tow'; did you mean 'two'" in capsys.readouterr().err


def test_round_trip(folder: Folder) -> None:
    own = question_line(9, id="mine/1", benchmark="mine", grader="exact", system="", meta={"a": [1, {"b": "\u2028"}]})
    rows = [answer(i, llm, right=(i + len(llm)) % 2 == 0) for i in range(4) for llm in ("one", "three")]
    rows += [answer(9, question_id="mine/1", llm="one", extracted=None, response="\u2028 \u00e9\nTwo\t\U0001f600")]
    lines = [*(question_line(i) for i in range(4)), own]
    folder.run("import", "--questions", folder.questions(lines), "--responses", folder.responses(rows))
    out, answers = folder.path / "out.jsonl.zst", folder.path / "out.parquet"
    assert folder.run("export", "--questions", out, "--responses", answers) == 0
    first, folder.bank = folder.bank, folder.path / "again.bank"
    assert folder.run("import", "--questions", out, "--responses", answers) == 0
    one, other = load_bank(first, None), load_bank(folder.bank, None)
    assert one.questions == other.questions
    assert one.questions[-1].system == ""
    assert one.llms == other.llms
    assert (one.capability == other.capability).all()
    assert (one.observed == other.observed).all()
    second = folder.path / "second.parquet"
    assert folder.run("export", "--responses", second) == 0
    assert pq.read_table(second).equals(pq.read_table(answers))
    (mine,) = (row for row in pq.read_table(answers).to_pylist() if row["question_id"] == "mine/1")
    assert (mine["response"], mine["extracted"], mine["grader"]) == (rows[-1]["response"], None, "recorded")


async def test_what_was_evaluated_here_goes_out_with_its_grades_and_costs(
    make_bank: Callable[..., Path], fake_llm: Any, tmp_path: Path
) -> None:
    path = make_bank(4)
    with open_bank(path, write=True) as store:
        await evaluate(store, [fake_llm("paid", prices=(1.0, 2.0))])
        assert export_questions(store, tmp_path / "q.jsonl") == 4
        assert export_responses(store, tmp_path / "r.parquet") == 4
    first = pq.read_table(tmp_path / "r.parquet").to_pylist()[0]
    assert (first["llm"], first["backend"], first["model"], first["grader"]) == ("paid", "fake", "fake-1", "choice")
    assert (first["correct"], first["extracted"], first["prompt_tokens"]) == (True, "B", 20)
    assert first["cost_usd"] == pytest.approx(40e-6)
    (recorded, _) = read_recorded([tmp_path / "q.jsonl"], [tmp_path / "r.parquet"])
    assert recorded.correct.all()


def test_the_files_of_an_export_are_not_replaced_by_accident(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.imported([answer(1)])
    out = folder.path / "out.parquet"
    out.write_text("mine")
    assert folder.run("export", "--responses", out) == 1
    assert "is there already; --force replaces it" in capsys.readouterr().err
    assert out.read_text() == "mine"
    assert folder.run("export", "--responses", out, "--force", "--split", "test") == 0
    assert pq.read_table(out).num_rows == 0
    assert folder.run("export", "--responses", folder.path / "no" / "out.parquet") == 1
    assert folder.run("export", "--responses", folder.path / "x.parquet", "--llm", "onw") == 1
    assert "has no LLM 'onw'; did you mean 'one'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "questions.jsonl:2: not JSON"),
        (question_line(2, benchmark="gms"), "no benchmark 'gms' that would tell it; did you mean 'gsm'"),
        ({k: v for k, v in question_line(2).items() if k != "split"}, "questions.jsonl:2: .*'split' is missing"),
        (question_line(2, grader="nmeric"), "unknown grader 'nmeric'; did you mean 'numeric'"),
        (question_line(2, answer="many"), "a GSM8K answer is a number, not 'many'"),
        (question_line(0), "the id 'gsm/0' is taken already"),
    ],
)
def test_wrong_questions(folder: Folder, line: Any, message: str) -> None:
    file = folder.questions([question_line(0), line])
    with pytest.raises(QuestionError, match=message):
        gather_recorded([file])
    left = gather_recorded([file], on_error="skip")
    assert (len(left.items), len(left.skipped)) == (1, 1)


def test_a_question_that_differs_from_the_banks_is_refused(folder: Folder) -> None:
    there = Question("What is 0 + 1?", id="gsm/0", answer="1")
    with pytest.raises(QuestionError, match="another question in the bank"):
        gather_recorded([folder.questions([question_line(0)])], present=[there])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"question_id": "a", "llm": "b"}], "has no column response, correct .it has: question_id, llm"),
        ([answer(1, correct="yes")], "the column 'correct' must hold true, false or null, not string"),
        ([answer(1, completion_tokens="5")], "the column 'completion_tokens' must hold numbers, not string"),
        ([answer(1, response=5)], "the column 'response' must hold texts"),
        ([answer(1), answer(2) | {"llm": None}], "row 2 has no llm"),
        ([answer(1), answer(2, question_id="")], "row 2 has no question_id"),
    ],
)
def test_wrong_responses(folder: Folder, rows: list[dict[str, Any]], message: str) -> None:
    bank = folder.imported([])
    with open_bank(bank, write=True) as store, pytest.raises(BankFormatError, match=message):
        import_responses(store, folder.responses(rows))
    assert not load_bank(bank).observed.any()


@pytest.mark.parametrize(("content", "message"), [(None, "there is no file of answers"), (b"PAR1no", "cannot read")])
def test_no_table_at_all(
    folder: Folder, capsys: pytest.CaptureFixture[str], content: bytes | None, message: str
) -> None:
    file = folder.path / "r.parquet"
    if content:
        file.write_bytes(content)
    lines = folder.questions([question_line(0)])
    assert folder.run("import", "--questions", lines, "--responses", file) == 1
    assert message in capsys.readouterr().err
    assert not folder.bank.exists()  # found out before anything was embedded


def test_a_new_bank_needs_questions(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    assert folder.run("import", "--responses", folder.responses([answer(1)])) == 2
    assert "a new bank needs questions: name a file of them" in capsys.readouterr().err
    assert folder.run("import") == 2
    assert folder.run("export") == 2


def test_while_a_run_is_at_work(folder: Folder) -> None:
    file = folder.responses([answer(1)])
    bank = folder.imported([])
    with (
        open_bank(bank, write=True) as store,
        run_lock(bank, store.engine),
        pytest.raises(BankError, match="another run"),
    ):
        import_responses(store, file)


@pytest.mark.shared
def test_the_recorded_answers_as_their_matrix_says(shared_dir: Path, folder: Folder) -> None:
    recorded = shared_dir / "data" / "recorded"
    files = ["--questions", recorded / "crux_questions.jsonl.zst", "--responses", recorded / "crux_responses.parquet"]
    assert folder.run("import", *files) == 0
    bank, matrix = load_bank(folder.bank, None), np.load(recorded / "crux_matrix.npz")
    rows = [bank.llms.index(str(name)) for name in matrix["llms"]]
    place = {q.id: i for i, q in enumerate(bank.questions)}
    columns = [place[str(name)] for name in matrix["question_ids"]]
    assert (bank.capability[np.ix_(rows, columns)] == matrix["V"]).all()
    assert (bank.observed[np.ix_(rows, columns)] == matrix["observed"]).all()
