"""One file from a plain address: what every source has in common."""

from __future__ import annotations

import asyncio
import hashlib
import os
import resource
import shutil
import subprocess
import sys
import threading
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest

from smcs.errors import ChecksumError, DiskFullError, WeightsError
from smcs.types import Fetching
from smcs.weights import Mirror, WeightsFile, destination, fetch, is_checked


@pytest.fixture
def file(server: Any, content: bytes, sha256: str) -> WeightsFile:
    server.files["/model.gguf"] = content
    return WeightsFile(
        file="model.gguf", sha256=sha256, size=len(content), mirrors=(Mirror(url=f"{server.url}/model.gguf"),)
    )


async def test_fetches_once(file: WeightsFile, server: Any, cache: Path, content: bytes) -> None:
    path = await fetch(file, cache)
    assert path.read_bytes() == content
    assert await fetch(file, cache) == path
    assert len(server.gets("model")) == 1
    assert [p.name for p in path.parent.iterdir() if not p.name.startswith(".")] == ["model.gguf"]


async def test_reports_progress_on_the_loops_thread(file: WeightsFile, cache: Path, content: bytes) -> None:
    events: list[Fetching] = []
    threads = set()

    def observe(event: Any) -> None:
        events.append(event)
        threads.add(threading.get_ident())

    await fetch(file, cache, observe)
    assert threads == {threading.get_ident()}
    downloads = [e for e in events if "127.0.0.1" in e.source]
    assert downloads[-1].done == downloads[-1].total == len(content)
    assert [e.done for e in downloads] == sorted(e.done for e in downloads)


async def test_goes_on_after_a_broken_connection(file: WeightsFile, server: Any, cache: Path, content: bytes) -> None:
    server.break_after["/model.gguf"] = [300_000, 200_000]
    assert (await fetch(file, cache)).read_bytes() == content
    first, second, third = server.resumed_at("model")
    assert first == 0 < 200_000 < second <= 300_000 < third <= 500_000


async def test_a_server_without_ranges_sends_all_again(file: WeightsFile, server: Any, cache: Path) -> None:
    server.ranges = False
    server.break_after["/model.gguf"] = [300_000]
    await fetch(file, cache)
    assert is_checked(destination(file, cache), file.sha256, cache)


async def test_what_keeps_breaking_is_given_up_and_resumed_next_time(
    file: WeightsFile, server: Any, cache: Path, content: bytes
) -> None:
    server.break_after["/model.gguf"] = [400_000, *[0] * 5]
    with pytest.raises(WeightsError, match="put the file"):
        await fetch(file, cache)
    assert not destination(file, cache).exists()
    server.asked.clear()
    assert (await fetch(file, cache)).read_bytes() == content
    assert server.resumed_at("model")[0] > 300_000


async def test_a_cancelled_download_is_kept_and_resumed(
    file: WeightsFile, server: Any, cache: Path, content: bytes
) -> None:
    server.hold = threading.Event()
    task = asyncio.create_task(fetch(file, cache))
    await asyncio.to_thread(server.halfway.wait, 200)
    part = destination(file, cache).with_name("model.gguf.part")
    while not (part.exists() and part.stat().st_size):
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    server.hold.set()
    server.hold = None
    assert not destination(file, cache).exists()
    assert (await fetch(file, cache)).read_bytes() == content


async def test_the_wrong_file_is_removed_and_both_sums_are_named(file: WeightsFile, server: Any, cache: Path) -> None:
    wrong = bytes(len(server.files["/model.gguf"]))
    server.files["/model.gguf"] = wrong
    with pytest.raises(ChecksumError) as raised:
        await fetch(file, cache)
    assert hashlib.sha256(wrong).hexdigest() in str(raised.value)
    assert str(file.sha256) in str(raised.value)
    assert not [p for p in destination(file, cache).parent.iterdir() if "model" in p.name]


async def test_after_a_wrong_mirror_comes_the_next(file: WeightsFile, server: Any, cache: Path, content: bytes) -> None:
    server.files["/wrong.gguf"] = bytes(len(content))
    mirrors = (Mirror(url=f"{server.url}/wrong.gguf"), Mirror(url=f"{server.url}/gone.gguf"), *file.mirrors)
    path = await fetch(file.model_copy(update={"mirrors": mirrors}), cache)
    assert path.read_bytes() == content


async def test_a_file_of_another_size_is_not_downloaded(file: WeightsFile, server: Any, cache: Path) -> None:
    server.files["/model.gguf"] = b"short"
    with pytest.raises(WeightsError, match="5 bytes there, not"):
        await fetch(file, cache)


async def test_no_network_at_all_says_what_was_tried_and_where_to_put_the_file(cache: Path, sha256: str) -> None:
    nowhere = "http://127.0.0.1:9/model.gguf"  # the discard port: nothing listens there
    file = WeightsFile(file="model.gguf", sha256=sha256, mirrors=(Mirror(url=nowhere),))
    with pytest.raises(WeightsError) as raised:
        await fetch(file, cache)
    message = str(raised.value)
    assert "127.0.0.1: cannot be reached" in message
    assert f"put the file (SHA-256 {sha256}) at {destination(file, cache)} by hand" in message


async def test_a_file_put_there_by_hand_is_taken(file: WeightsFile, server: Any, cache: Path, content: bytes) -> None:
    path = destination(file, cache)
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    assert await fetch(file, cache) == path
    assert not server.asked


async def test_a_wrong_file_put_there_by_hand_is_refused_and_then_fetched(
    file: WeightsFile, cache: Path, content: bytes
) -> None:
    path = destination(file, cache)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"something else")
    with pytest.raises(ChecksumError, match="try again"):
        await fetch(file, cache)
    assert (await fetch(file, cache)).read_bytes() == content


async def test_a_file_that_was_changed_is_checked_again(file: WeightsFile, cache: Path) -> None:
    path = await fetch(file, cache)
    path.write_bytes(b"changed behind our back")
    with pytest.raises(ChecksumError):
        await fetch(file, cache)


async def test_too_little_space_is_noticed_before_anything_is_fetched(
    file: WeightsFile, server: Any, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 9, 1))
    with pytest.raises(DiskFullError, match="SMCS_CACHE"):
        await fetch(file, cache)
    assert not server.gets("model")


async def test_a_disk_that_fills_up_meanwhile_ends_in_one_sentence_and_is_resumed(
    file: WeightsFile, cache: Path, content: bytes
) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, before[1]))
    try:
        with pytest.raises(DiskFullError, match="the disk is full"):
            await fetch(file, cache)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not destination(file, cache).exists()
    assert (await fetch(file, cache)).read_bytes() == content


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_a_cache_folder_that_cannot_be_written_is_named(file: WeightsFile, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(WeightsError, match="cannot write to the cache folder"):
        await fetch(file, tmp_path / "cache")


async def test_a_cache_folder_that_is_a_file_is_named(file: WeightsFile, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("x")
    with pytest.raises(WeightsError, match="cannot write to the cache folder"):
        await fetch(file, tmp_path / "cache")


async def test_who_comes_second_waits_and_says_so(file: WeightsFile, server: Any, cache: Path) -> None:
    server.hold = threading.Event()
    sources: list[str] = []
    first = asyncio.create_task(fetch(file, cache))
    await asyncio.to_thread(server.halfway.wait, 200)
    second = asyncio.create_task(fetch(file, cache, lambda e: sources.append(getattr(e, "source", ""))))
    while not sources:
        await asyncio.sleep(0.01)
    server.hold.set()
    assert await first == await second
    assert sources[0] == "another process"
    assert len(server.gets("model")) == 1


async def test_processes_share_the_download(file: WeightsFile, server: Any, cache: Path) -> None:
    server.hold = threading.Event()
    program = (
        "import asyncio, pathlib, sys; from smcs.weights import *;"
        "print(asyncio.run(fetch(WeightsFile.model_validate_json(sys.argv[1]), pathlib.Path(sys.argv[2]))))"
    )
    command = [sys.executable, "-c", program, file.model_dump_json(), str(cache)]
    others = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    await asyncio.to_thread(server.halfway.wait, 200)
    server.hold.set()
    outputs = [await asyncio.to_thread(process.communicate, timeout=200) for process in others]
    assert {out.strip() for out, _ in outputs} == {str(destination(file, cache))}
    assert len(server.gets("model")) == 1


async def test_a_local_file_is_taken_as_it_is(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "my.gguf").write_bytes(b"mine")
    assert await fetch(WeightsFile(path=Path("my.gguf")), cache, base_dir=tmp_path) == tmp_path / "my.gguf"
    with pytest.raises(WeightsError, match="there is no file of weights"):
        await fetch(WeightsFile(path=Path("other.gguf")), cache, base_dir=tmp_path)


async def test_a_local_file_is_checked_where_a_checksum_is_named(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "my.gguf"
    path.write_bytes(b"mine")
    assert await fetch(WeightsFile(path=path, sha256=hashlib.sha256(b"mine").hexdigest()), cache) == path
    with pytest.raises(ChecksumError):
        await fetch(WeightsFile(path=path, sha256="ab" * 32), cache)
    assert path.exists()
