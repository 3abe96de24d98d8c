"""Where weights are kept, and how a file that was checked once is known again."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import threading
from pathlib import Path

import platformdirs

from smcs.errors import ChecksumError, DiskFullError, WeightsError
from smcs.weights._settings import WeightsFile
from smcs.weights.threads import Stopped

_BLOCK = 1 << 20
_SPARE = 32 << 20  # left free on the disk, so that nobody else's work stops


def cache_dir() -> Path:
    """The user's cache folder: the environment variable ``SMCS_CACHE``, else the system's own place for caches."""
    chosen = os.environ.get("SMCS_CACHE", "").strip()
    return (
        Path(chosen).expanduser().absolute() if chosen else Path(platformdirs.user_cache_dir("smcs", appauthor=False))
    )


def destination(file: WeightsFile, cache: Path, base_dir: Path = Path()) -> Path:
    """Where the file is, or will be once it is fetched."""
    if file.path is not None:
        return (base_dir / file.path.expanduser()).absolute()
    key = file.sha256 or hashlib.sha256(f"{file.repo}@{file.revision}/{file.file}".encode()).hexdigest()
    return cache / "weights" / key[:12] / file.name


def is_checked(path: Path, sha256: str | None, cache: Path) -> bool:
    """Whether the file is there and is the one whose checksum was found right before."""
    try:
        state = path.stat()
        seen = json.loads(_record(path, cache).read_text(encoding="utf-8"))
        same: bool = seen["size"] == state.st_size and seen["mtime_ns"] == state.st_mtime_ns
        return same and sha256 in (None, seen["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def remember_checked(path: Path, sha256: str, cache: Path) -> None:
    """Note that the file, as it is now, has this checksum: later starts need not read a gigabyte again."""
    state = path.stat()
    record = _record(path, cache)
    content = {"path": str(path), "size": state.st_size, "mtime_ns": state.st_mtime_ns, "sha256": sha256}
    try:
        record.parent.mkdir(parents=True, exist_ok=True)
        write_json(record, content)
    except OSError:
        return  # it will be hashed again next time


def write_json(path: Path, content: object) -> None:
    """Write a small file so that a reader sees the old or the new one, never half of it."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}")
    try:
        temporary.write_text(json.dumps(content), encoding="utf-8")
        temporary.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def sha256_of(path: Path, stop: threading.Event) -> str:
    """SHA-256 of a file.

    Raises:
        Stopped: `stop` was set.
        WeightsError: it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as source:
            while block := source.read(_BLOCK):
                digest.update(block)
                if stop.is_set():
                    raise Stopped
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror or error}") from error
    return digest.hexdigest()


def check(path: Path, sha256: str, stop: threading.Event) -> None:
    """Raise ChecksumError where the file's SHA-256 is another; the file is left alone."""
    found = sha256_of(path, stop)
    if found != sha256:
        raise ChecksumError(f"{path.name} has the SHA-256 {found} and not {sha256} as named")


def require_space(folder: Path, needed: int, name: str) -> None:
    """Raise DiskFullError where the disk has no room for so many more bytes."""
    free = shutil.disk_usage(folder).free
    if needed + _SPARE > free:
        raise disk_full(folder, name, f"it needs {gigabytes(needed)} more and {gigabytes(free)} is free")


def disk_full(folder: Path, name: str, why: str) -> DiskFullError:
    """The one sentence about a full disk."""
    return DiskFullError(
        f"no room for {name} in {folder}: {why}; free some space, or set SMCS_CACHE to a folder on another disk"
    )


def gigabytes(n: int) -> str:
    """A number of bytes for people."""
    return f"{n / 1e9:.1f} GB" if n >= 1e9 else f"{n / 1e6:.0f} MB"


def _record(path: Path, cache: Path) -> Path:
    return cache / "checked" / f"{hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:24]}.json"
