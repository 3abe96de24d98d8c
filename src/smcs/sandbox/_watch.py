"""What a tree of processes uses, read from ``/proc``; and what lies in a scratch folder.

Limits of the operating system hold per process (address space) or per user (processes). What the tree as a whole may
use is watched from outside, some fifty times a second.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

MOST_FILES = 1000
"""Files and folders in one scratch folder. Empty ones take memory too, which no limit in bytes sees."""
_ROOT = Path("/proc")


@dataclass(frozen=True, slots=True)
class Usage:
    """What a tree uses at one moment.

    Attributes:
        pids: its processes, the topmost ones first.
        tasks: processes and threads.
        memory: resident bytes that are its own: not the mapped files of interpreter and libraries. What processes
            share since a fork counts for each.
    """

    pids: tuple[int, ...]
    tasks: int
    memory: int


def available() -> bool:
    """Whether this system tells what a process uses."""
    return Path(f"/proc/self/task/{os.getpid()}/children").exists()


def require() -> None:
    """Refuse a system that does not.

    Raises:
        OSError: without it neither the memory nor the processes of a whole tree can be bounded.
    """
    if not available():
        raise OSError("the kernel does not list the children of a process (/proc/PID/task/TID/children)")


def tree(root: int, *, skip: int) -> Usage:
    """What the processes below and including `root` use, less the topmost `skip` of them, which are ours."""
    pids = [root]
    for pid in pids:  # grows while it is walked
        pids += _children(pid)
    tasks = memory = 0
    for pid in pids[skip:]:
        used = _used(pid)
        tasks += used[0]
        memory += used[1]
    return Usage(tuple(pids[skip:]), tasks, memory)


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208  a path object per process is too slow here
            found += [int(word) for word in _read(f"/proc/{pid}/task/{thread}/children").split()]
    return found


def _used(pid: int) -> tuple[int, int]:
    """Tasks and resident bytes of one process; nothing if it has gone."""
    tasks = kilobytes = 0
    with contextlib.suppress(OSError):
        for line in _read(f"/proc/{pid}/status").splitlines():
            if line.startswith((b"RssAnon:", b"RssShmem:")):
                kilobytes += int(line.split()[1])
            elif line.startswith(b"Threads:"):
                tasks = int(line.split()[1])
    return tasks, kilobytes << 10


def waited(pids: Iterable[int]) -> float:
    """Seconds that a process was ready to run and another one had the processor; of several, the longest."""
    longest = 0
    for pid in pids:
        with contextlib.suppress(OSError, IndexError):
            longest = max(longest, int(_read(f"/proc/{pid}/schedstat").split()[1]))
    return longest / 1e9


def _read(path: str) -> bytes:
    place = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(place, 1 << 16)
    finally:
        os.close(place)


def mounted_files(pids: tuple[int, ...], folder: str) -> int:
    """Files in a memory file system that only the sandboxed processes see; 0 where it cannot be seen."""
    for pid in pids:
        try:
            counts = os.statvfs(f"/proc/{pid}/root{folder}")
        except OSError:
            continue
        return counts.f_files - counts.f_ffree
    return 0


def folder_usage(folder: Path) -> tuple[int, int]:
    """Bytes and number of files in a folder. A tree too deep for a path counts as endless."""
    size = count = 0
    left = [str(folder)]
    while left and count <= MOST_FILES:
        try:
            with os.scandir(left.pop()) as entries:
                for entry in entries:
                    count += 1
                    if entry.is_dir(follow_symlinks=False):
                        left.append(entry.path)
                    else:
                        size += entry.stat(follow_symlinks=False).st_blocks * 512
        except (FileNotFoundError, PermissionError):
            continue
        except OSError:
            return size, MOST_FILES + 1
    return size, count


def remove(folder: Path) -> None:
    """Delete a folder and what a program has put there, however deep and whatever its permissions.

    Goes down and up one step at a time, because no path may be as long as the deepest one is.

    Raises:
        OSError: something in it cannot be deleted.
    """
    place = _enter(str(folder))
    way: list[str] = []
    left = [_empty(place)]
    while left:
        if left[-1]:
            way.append(left[-1].pop())
            place = _enter(way[-1], place)
            left.append(_empty(place))
            continue
        left.pop()
        if way:
            place = _enter("..", place)
            os.rmdir(way.pop(), dir_fd=place)
    os.close(place)
    folder.rmdir()


def _enter(name: str, place: int | None = None) -> int:
    """Open a folder next to an open one, which is closed."""
    if name != "..":
        os.chmod(name, 0o700, dir_fd=place)
    inside = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place)
    if place is not None:
        os.close(place)
    return inside


def _empty(place: int) -> list[str]:
    """Delete the files of a folder; the names of the folders in it."""
    with os.scandir(place) as entries:
        inside = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_folder in inside:
        if not is_folder:
            os.unlink(name, dir_fd=place)
    return [name for name, is_folder in inside if is_folder]
