from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from smcs.config import validate
from smcs.errors import ConfigError
from smcs.weights import Mirror, WeightsFile, cache_dir, destination

SHA = "ab" * 32
PACKAGE = {"package": "model-part{n}==1.0", "parts": 3, "member": "model_part{n}/data/*"}


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({}, "give the `file`"),
        ({"file": "a.gguf"}, "nowhere to fetch"),
        ({"path": "a.gguf", "repo": "a/b"}, "not both"),
        ({"file": "a.gguf", "mirrors": [PACKAGE]}, "mirrors need `sha256`"),
        ({"file": "../a.gguf", "repo": "a/b"}, "inside the repository"),
        ({"file": "a.gguf", "repo": "not-a-repo"}, "repo"),
        ({"file": "a.gguf", "repo": "a/b", "sha256": "123"}, "sha256"),
        ({"file": "a.gguf", "repo": "a/b", "sha265": SHA}, "did you mean 'sha256'"),
        (
            {"file": "a.gguf", "sha256": SHA, "mirrors": [{"package": "model>=1", "member": "*"}]},
            "not a pinned package",
        ),
        ({"file": "a.gguf", "sha256": SHA, "mirrors": [{"package": "model==1"}]}, "member"),
        ({"file": "a.gguf", "sha256": SHA, "mirrors": [{**PACKAGE, "package": "model==1"}]}, "{n}"),
        ({"file": "a.gguf", "sha256": SHA, "mirrors": [{}]}, "either `package`"),
        ({"file": "a.gguf", "sha256": SHA, "mirrors": [{"url": "ftp://x/y"}]}, "url"),
        ({"file": "a.gguf", "repo": "a/b", "size": 0}, "size"),
    ],
)
def test_says_what_is_wrong(values: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError) as raised:
        validate(WeightsFile, values, "pool.toml")
    assert complaint in str(raised.value)


def test_numbers_the_parts() -> None:
    mirror = Mirror.model_validate(PACKAGE)
    assert mirror.packages() == ["model-part1==1.0", "model-part2==1.0", "model-part3==1.0"]
    assert mirror.members() == ["model_part1/data/*", "model_part2/data/*", "model_part3/data/*"]
    assert mirror.name == "packages model-part1==1.0 to model-part3==1.0"


def test_other_content_goes_to_another_place(tmp_path: Path) -> None:
    one = WeightsFile(repo="a/b", file="q/model.gguf", sha256="ab" * 32)
    other = WeightsFile(repo="a/b", file="q/model.gguf", sha256="cd" * 32)
    unpinned = WeightsFile(repo="a/b", file="q/model.gguf", revision="v1")
    places = {destination(file, tmp_path) for file in (one, other, unpinned)}
    assert len(places) == 3
    assert {place.name for place in places} == {"model.gguf"}


def test_a_relative_path_starts_from_the_pool_files_folder(tmp_path: Path) -> None:
    assert destination(WeightsFile(path=Path("m/a.gguf")), Path("cache"), tmp_path) == tmp_path / "m/a.gguf"


def test_the_environment_chooses_the_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMCS_CACHE", str(tmp_path / "here"))
    assert cache_dir() == tmp_path / "here"
    monkeypatch.delenv("SMCS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_dir().name == "smcs"
