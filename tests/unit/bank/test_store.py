from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, select

from smcs.bank import load_bank, migrations, open_bank, schema
from smcs.bank.create import add_questions, create_bank, embed_questions
from smcs.bank.lock import run_lock
from smcs.bank.records import Answered, Graded, Setting, storable
from smcs.bank.writer import write_records, write_settings
from smcs.errors import BankError, BankFormatError, EmbedderMismatchError, QuestionError
from smcs.types import Completion, EmbedderInfo, Grade, LLMInfo, Question, Sampling

MakeBank = Callable[..., Path]
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
QUESTIONS = st.builds(
    Question,
    text=TEXTS,
    id=TEXTS,
    answer=st.none() | TEXTS,
    grader=TEXTS,
    benchmark=TEXTS,
    system=st.none() | TEXTS,
    options=st.none() | st.lists(TEXTS, min_size=1, max_size=3).map(tuple),
    meta=st.dictionaries(TEXTS, JSON, max_size=3),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25)
@given(st.lists(QUESTIONS, max_size=4, unique_by=lambda q: q.id))
def test_questions_come_back_as_they_went_in(tmp_path: Path, word_embedder: Any, questions: list[Question]) -> None:
    class Flat(word_embedder):  # type: ignore[misc]
        async def embed(self, texts: list[str], kind: str) -> Any:
            return np.full((len(texts), 16), 0.25, np.float32)

    path = tmp_path / "b.bank"
    asyncio.run(create_bank(path, [(q, "validation") for q in questions], Flat(), overwrite=True))
    assert load_bank(path).questions == tuple(questions)


def test_a_new_bank_is_one_file_with_unit_vectors_in_the_order_of_the_questions(
    make_bank: MakeBank, word_embedder: Any, a_question: Any
) -> None:
    path = make_bank(5)
    bank = load_bank(path)
    assert [q.id for q in bank.questions] == ["q0", "q1", "q2", "q3", "q4"]
    np.testing.assert_allclose(np.linalg.norm(bank.embeddings, axis=1), 1, rtol=1e-6)
    expected = asyncio.run(embed_questions(word_embedder(), [a_question(i) for i in range(5)]))
    np.testing.assert_array_equal(bank.embeddings, expected)
    assert bank.llms == ()
    assert bank.capability.shape == bank.observed.shape == (0, 5)
    assert [p.name for p in path.parent.iterdir()] == ["test.bank"]


def test_questions_are_embedded_as_documents(word_embedder: Any, a_question: Any) -> None:
    embedder = word_embedder()
    asyncio.run(embed_questions(embedder, [a_question(1)]))
    assert embedder.kinds == {"document"}


def test_vectors_are_normalised_and_broken_ones_refused(word_embedder: Any, a_question: Any) -> None:
    embedder = word_embedder()
    embedder.scale = 3.0
    vectors = asyncio.run(embed_questions(embedder, [a_question(1)]))
    assert np.linalg.norm(vectors[0]) == pytest.approx(1)
    embedder.scale = 0.0
    with pytest.raises(BankError, match="without direction"):
        asyncio.run(embed_questions(embedder, [a_question(1)]))


def test_an_existing_bank_is_not_overwritten_unless_forced(make_bank: MakeBank) -> None:
    path = make_bank(3)
    with pytest.raises(BankError, match="there already"):
        make_bank(5)
    assert len(load_bank(path)) == 3
    make_bank(5, overwrite=True)
    assert len(load_bank(path)) == 5


def test_a_bank_that_fails_on_the_way_leaves_nothing_behind(
    tmp_path: Path, word_embedder: Any, a_question: Any
) -> None:
    twice = [(a_question(1), "validation"), (a_question(1), "validation")]
    with pytest.raises(BankError):
        asyncio.run(create_bank(tmp_path / "b.bank", twice, word_embedder()))
    assert list(tmp_path.iterdir()) == []


def test_a_bank_needs_its_folder(tmp_path: Path, word_embedder: Any) -> None:
    with pytest.raises(BankError, match="no folder"):
        asyncio.run(create_bank(tmp_path / "no" / "b.bank", [], word_embedder()))
    with pytest.raises(BankError, match="is a folder"):
        asyncio.run(create_bank(tmp_path, [], word_embedder()))


def test_a_bank_made_meanwhile_is_kept(tmp_path: Path, word_embedder: Any, a_question: Any) -> None:
    path = tmp_path / "b.bank"

    class Slow(word_embedder):  # type: ignore[misc]
        async def embed(self, texts: list[str], kind: Any) -> Any:
            path.write_bytes(b"somebody else's")
            return await super().embed(texts, kind)

    with pytest.raises(BankError, match="meanwhile"):
        asyncio.run(create_bank(path, [(a_question(1), "validation")], Slow()))
    assert path.read_bytes() == b"somebody else's"
    assert [p.name for p in tmp_path.iterdir()] == ["b.bank"]


def test_questions_are_added_at_the_end(make_bank: MakeBank, word_embedder: Any, a_question: Any) -> None:
    path = make_bank(3)
    with open_bank(path, write=True) as store:
        asyncio.run(add_questions(store, [(a_question(7), "validation"), (a_question(5), "test")], word_embedder()))
    assert [q.id for q in load_bank(path).questions] == ["q0", "q1", "q2", "q7"]
    assert [q.id for q in load_bank(path, None).questions] == ["q0", "q1", "q2", "q7", "q5"]
    assert [q.id for q in load_bank(path, "test").questions] == ["q5"]


def test_another_embedder_adds_nothing(make_bank: MakeBank, word_embedder: Any, a_question: Any) -> None:
    other = word_embedder(EmbedderInfo("other", "1", 16))
    with open_bank(make_bank(3), write=True) as store, pytest.raises(EmbedderMismatchError, match="'other'"):
        asyncio.run(add_questions(store, [(a_question(7), "validation")], other))


def test_what_is_no_bank_is_named_as_such(tmp_path: Path) -> None:
    with pytest.raises(BankError, match="there is no bank"):
        load_bank(tmp_path / "none.bank")
    text = tmp_path / "text.bank"
    text.write_text("not a database")
    with pytest.raises(BankFormatError, match="not a question bank"):
        load_bank(text)
    empty = tmp_path / "empty.bank"
    empty.touch()
    with pytest.raises(BankFormatError, match="not a question bank"):
        load_bank(empty)
    with pytest.raises(BankFormatError, match="a folder"):
        load_bank(tmp_path)
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE bank (something INTEGER)")
    connection.close()
    with pytest.raises(BankFormatError, match="a database, but not a question bank"):
        load_bank(other)


def test_a_damaged_bank_is_an_error_of_ours(make_bank: MakeBank) -> None:
    path = make_bank(200)
    content = bytearray(path.read_bytes())
    content[4096 * 3 :] = b"\xff" * (len(content) - 4096 * 3)
    path.write_bytes(content)
    with pytest.raises(BankError, match="damaged"):
        load_bank(path)


def test_a_bank_of_a_newer_version_is_refused_untouched(make_bank: MakeBank) -> None:
    path = make_bank(1)
    _set_version(path, schema.FORMAT_VERSION + 1)
    before = path.read_bytes()
    with pytest.raises(BankFormatError, match=f"version {schema.FORMAT_VERSION + 1}.*update smcs"):
        load_bank(path)
    with pytest.raises(BankFormatError):
        open_bank(path, write=True)
    assert path.read_bytes() == before


def test_an_older_bank_is_migrated_in_one_transaction(make_bank: MakeBank, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_bank(2)
    _set_version(path, 0)
    with pytest.raises(BankFormatError, match="too old"):
        load_bank(path)
    failing = True

    def step(connection: Connection) -> None:
        connection.exec_driver_sql("CREATE TABLE added (x INTEGER)")
        if failing:
            raise BankError("no")

    monkeypatch.setattr(migrations, "MIGRATIONS", {0: step})
    with pytest.raises(BankError, match="no"):
        load_bank(path)
    assert _version(path) == "0"
    assert "added" not in _tables(path)
    failing = False
    assert len(load_bank(path)) == 2
    assert _version(path) == str(schema.FORMAT_VERSION)
    assert "added" in _tables(path)
    assert [p.name for p in path.parent.iterdir()] == ["test.bank"]


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only for root")
def test_a_bank_in_a_read_only_folder_can_be_read(make_bank: MakeBank, tmp_path: Path) -> None:
    folder = tmp_path / "package"
    folder.mkdir()
    path = Path(shutil.copy(make_bank(3), folder / "shipped.bank"))
    path.chmod(stat.S_IREAD)
    folder.chmod(stat.S_IREAD | stat.S_IEXEC)
    try:
        assert len(load_bank(path)) == 3
        with pytest.raises(BankError, match="cannot be written"):
            open_bank(path, write=True)
    finally:
        folder.chmod(stat.S_IRWXU)


def test_a_bank_in_write_ahead_mode_can_be_read_where_nothing_can_be_written(
    make_bank: MakeBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_bank(3)
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA journal_mode = WAL").fetchone() == ("wal",)
    connection.close()
    monkeypatch.setattr("smcs.bank.connect.os.access", lambda *_: False)
    with open_bank(path) as store, store.reading() as connected:
        connected.execute(select(schema.bank))
        assert [p.name for p in path.parent.iterdir()] == ["test.bank"]


def test_reading_leaves_a_bank_and_its_folder_as_they_are(make_bank: MakeBank) -> None:
    path = make_bank(3)
    before = path.read_bytes()
    os.utime(path, (1, 1))
    load_bank(path)
    assert path.read_bytes() == before
    assert path.stat().st_mtime == 1
    assert [p.name for p in path.parent.iterdir()] == ["test.bank"]


def test_a_bank_can_be_read_while_it_is_written(make_bank: MakeBank) -> None:
    path = make_bank(3)
    with open_bank(path, write=True) as store:
        store.register(LLMInfo("a", "b", "c"))
        assert load_bank(path).llms == ("a",)
    assert [p.name for p in path.parent.iterdir()] == ["test.bank"]


def test_a_bank_left_by_a_killed_writer_is_whole_and_becomes_one_file_again(
    make_bank: MakeBank, tmp_path: Path
) -> None:
    path = make_bank(3)
    killed = tmp_path / "killed"
    killed.mkdir()
    with open_bank(path, write=True) as store, store.reading() as held:
        held.execute(select(schema.bank))
        store.register(LLMInfo("a", "b", "c"))
        for part in path.parent.glob("test.bank*"):  # what a kill would leave
            shutil.copy(part, killed / part.name)
    assert (killed / "test.bank-wal").stat().st_size > 0
    assert load_bank(killed / "test.bank").llms == ("a",)
    open_bank(killed / "test.bank", write=True).close()
    assert [p.name for p in killed.iterdir()] == ["test.bank"]


def test_an_llm_keeps_its_identity_when_renamed(make_bank: MakeBank) -> None:
    with open_bank(make_bank(1), write=True) as store:
        old = store.register(LLMInfo("a", "openai", "m"))
        store.rename("a", "b")
        assert store.register(LLMInfo("b", "openai", "m")) == type(old)(old.seq, old.uid, "b", "openai", "m")
        again = store.register(LLMInfo("a", "openai", "m"))
        assert again.uid != old.uid
        with pytest.raises(BankError, match="no LLM 'x'"):
            store.rename("x", "y")
        with pytest.raises(BankError, match="already has"):
            store.rename("a", "b")


def test_another_model_under_a_known_name_is_refused(make_bank: MakeBank) -> None:
    with open_bank(make_bank(1), write=True) as store:
        store.register(LLMInfo("a", "openai", "m1"))
        with pytest.raises(BankError, match=r"'a' is openai/m1, not openai/m2.*smcs bank rename"):
            store.register(LLMInfo("a", "openai", "m2"))


def test_an_unknown_question_is_named(make_bank: MakeBank) -> None:
    with open_bank(make_bank(2)) as store:
        assert store.question("q1").question.id == "q1"
        with pytest.raises(QuestionError, match="did you mean 'q1'"):
            store.question("q11")


def test_two_runs_on_one_bank(make_bank: MakeBank) -> None:
    path = make_bank(1)
    with open_bank(path, write=True) as one, open_bank(path, write=True) as other:
        with run_lock(path, one.engine), pytest.raises(BankError, match="another run"), run_lock(path, other.engine):
            pass
        with run_lock(path, other.engine):
            pass
    assert [p.name for p in path.parent.iterdir()] == ["test.bank"]


def test_a_full_disk_is_one_clear_error_and_loses_nothing(make_bank: MakeBank) -> None:
    path = make_bank(2)
    with open_bank(path, write=True) as store:

        def write() -> None:
            with store.transaction() as connection:
                pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
                connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
                write_settings(connection, [Setting("d", Sampling(), "x" * 100_000)])

        with pytest.raises(BankError, match="no room left"):
            write()
        assert [q.question.id for q in store.questions()] == ["q0", "q1"]


def test_a_locked_bank_says_so(make_bank: MakeBank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smcs.bank.connect._BUSY_S", 0.01)
    path = make_bank(1)
    with open_bank(path, write=True) as one, open_bank(path, write=True) as other, one.transaction() as connection:
        connection.execute(select(schema.bank))
        with pytest.raises(BankError, match="being written"):
            other.register(LLMInfo("a", "b", "c"))


def test_a_database_url_shows_no_password() -> None:
    with pytest.raises(BankError) as error:
        load_bank("nosuch://me:secret@host/db")
    assert "secret" not in str(error.value)
    with pytest.raises(BankError) as error:
        load_bank("mysql+nosuch://me:secret@host/db")
    assert "secret" not in str(error.value)


def test_grades_fill_the_matrix_and_only_what_is_graded_is_observed(make_bank: MakeBank) -> None:
    path = make_bank(4)
    with open_bank(path, write=True) as store:
        llm = store.register(LLMInfo("a", "b", "c"))
        setting = Setting("s", Sampling(), "system")
        with store.transaction() as connection:
            write_settings(connection, [setting, setting])
            answers = [Answered(bytes([i]) * 32, llm.seq, (i,), "s", Completion("a", "text")) for i in (1, 2, 3)]
            grades = [
                Graded(bytes([i]) * 32, llm.seq, i, "choice", "1", Grade(correct))
                for i, correct in ((1, True), (2, False), (3, None))
            ]
            write_records(connection, [*answers, *grades])
            write_records(connection, [*answers, *grades])  # again without effect
    bank = load_bank(path)
    np.testing.assert_array_equal(bank.capability, [[1, 0, 0, 0]])
    np.testing.assert_array_equal(bank.observed, [[True, True, False, False]])
    assert bank.models == ("b/c",)


@given(st.text())
def test_any_text_becomes_one_that_can_be_stored(text: str) -> None:
    clean = storable(text)
    clean.encode()
    assert "\0" not in clean
    assert storable(clean) == clean


def test_storable_joins_torn_pairs_and_replaces_lone_halves() -> None:
    assert storable("a\ud83d\ude00b") == "a\U0001f600b"
    assert storable("a\ud83d b") == "a\ufffd b"
    assert storable("a\0b") == "a\ufffdb"


def _set_version(path: Path, version: int) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("UPDATE bank SET value = ? WHERE key = 'version'", (str(version),))
    connection.close()


def _version(path: Path) -> str:
    connection = sqlite3.connect(path)
    (value,) = connection.execute("SELECT value FROM bank WHERE key = 'version'").fetchone()
    connection.close()
    return str(value)


def _tables(path: Path) -> set[str]:
    connection = sqlite3.connect(path)
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    connection.close()
    return names
