"""A file from the hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from smcs.errors import ChecksumError, WeightsError
from smcs.weights import Mirror, WeightsFile, fetch

PATH = "/some/model/resolve/0123abc/q4/model.gguf"


@pytest.fixture
def file(server: Any, content: bytes, sha256: str) -> WeightsFile:
    server.files[PATH] = content
    server.etags[PATH] = sha256
    server.files["/mirror/model.gguf"] = content
    return WeightsFile(
        repo="some/model",
        revision="0123abc",
        file="q4/model.gguf",
        sha256=sha256,
        size=len(content),
        mirrors=(Mirror(url=f"{server.url}/mirror/model.gguf"),),
    )


async def test_the_hub_comes_first(file: WeightsFile, server: Any, cache: Path, content: bytes) -> None:
    assert (await fetch(file, cache)).read_bytes() == content
    assert not server.gets("mirror")


async def test_a_download_from_the_hub_is_resumed(file: WeightsFile, server: Any, cache: Path, content: bytes) -> None:
    server.break_after[PATH] = [500_000]
    assert (await fetch(file, cache)).read_bytes() == content
    assert server.resumed_at("resolve")[-1] > 400_000


async def test_without_a_checksum_the_hubs_own_counts(file: WeightsFile, server: Any, cache: Path) -> None:
    unpinned = WeightsFile(repo=file.repo, revision=file.revision, file=file.file)
    server.etags[PATH] = "0" * 64
    with pytest.raises(ChecksumError, match="0" * 64):
        await fetch(unpinned, cache)
    server.etags[PATH] = str(file.sha256)
    assert (await fetch(unpinned, cache)).exists()


async def test_another_file_on_the_hub_is_noticed_before_it_is_downloaded(
    file: WeightsFile, server: Any, cache: Path
) -> None:
    server.etags[PATH] = "0" * 64
    await fetch(file, cache)
    assert not server.gets("resolve")
    assert server.gets("mirror")


@pytest.mark.parametrize("status", [401, 404, 500, 503])
async def test_a_hub_that_refuses_is_followed_by_the_mirror(
    file: WeightsFile, server: Any, cache: Path, status: int, content: bytes
) -> None:
    server.status[PATH] = status
    assert (await fetch(file, cache)).read_bytes() == content


async def test_what_the_hub_said_is_in_the_error(file: WeightsFile, server: Any, cache: Path) -> None:
    server.status[PATH] = 500
    del server.files["/mirror/model.gguf"]
    with pytest.raises(WeightsError, match=r"answers HTTP 500 .* 127.0.0.1: HTTP 404"):
        await fetch(file, cache)


async def test_a_hub_that_is_not_there_is_followed_by_the_mirror(
    file: WeightsFile, cache: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = "http://127.0.0.1:9/{repo_id}/resolve/{revision}/{filename}"  # nothing listens there
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    assert (await fetch(file, cache)).read_bytes() == content


async def test_offline_means_that_the_hub_is_not_asked(
    file: WeightsFile, server: Any, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    await fetch(file, cache)
    assert not [request for request in server.asked if "resolve" in request[1]]


async def test_a_file_that_another_program_got_from_the_hub_is_used_where_it_is(
    file: WeightsFile, server: Any, tmp_path: Path, cache: Path, content: bytes
) -> None:
    snapshot = tmp_path / "hub" / "models--some--model" / "snapshots" / "0123abc" / "q4"
    snapshot.mkdir(parents=True)
    (snapshot / "model.gguf").write_bytes(content)
    refs = tmp_path / "hub" / "models--some--model" / "refs"
    refs.mkdir()
    (refs / "0123abc").write_text("0123abc")
    assert await fetch(file, cache) == snapshot / "model.gguf"
    assert not server.asked


async def test_the_users_token_is_sent_to_the_hub_and_never_shown(
    file: WeightsFile, server: Any, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    server.status[PATH] = 403
    del server.files["/mirror/model.gguf"]
    with pytest.raises(WeightsError) as raised:
        await fetch(file, cache)
    assert "hf_secret" not in str(raised.value)
    server.status.clear()
    await fetch(file, cache)
    assert server.authorization == "Bearer hf_secret"
