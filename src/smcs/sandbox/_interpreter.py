"""Which interpreter runs the programs, and which files it needs to see."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

_SYSTEM = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache", "/usr/share/zoneinfo", "/nix/store")
"""Where shared libraries and time zones lie. They belong to the operating system, not to a user."""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A bare interpreter: ours, without the virtual environment.

    Attributes:
        executable: the program itself, symbolic links followed.
        readable: files and folders that it must be able to read, each once, none inside another.
        packages: folders with packages that programs may import besides the standard library.
    """

    executable: Path
    readable: tuple[Path, ...]
    packages: tuple[Path, ...] = ()

    def reachable_by_others(self) -> bool:
        """Whether a user without any rights of ours could start it and import its library."""
        return all(_open_to_all(path) for path in (self.executable, *self.readable))


def own(packages: Sequence[Path] = ()) -> Interpreter:
    """The interpreter that we run on."""
    executable = _executable()
    homes = {Path(prefix, "lib") for prefix in (sys.base_prefix, sys.base_exec_prefix)}
    library = {Path(sysconfig.get_path(name, vars=_base())) for name in ("stdlib", "platstdlib")}
    wanted = [executable, *homes, *library, *map(Path, _SYSTEM), *(path.resolve() for path in packages)]
    return Interpreter(executable, _outermost(wanted), tuple(path.resolve() for path in packages))


def _base() -> dict[str, str]:
    return {
        "base": sys.base_prefix,
        "platbase": sys.base_exec_prefix,
        "installed_base": sys.base_prefix,
        "installed_platbase": sys.base_exec_prefix,
    }


def _executable() -> Path:
    """Not the virtual environment's: that one finds its library by a file that programs cannot see."""
    named = Path(sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}")
    return (named if named.exists() else Path(sys.executable)).resolve()


def _outermost(paths: Iterable[Path]) -> tuple[Path, ...]:
    there = sorted({path for path in paths if path.exists()}, key=lambda path: len(path.parts))
    kept: list[Path] = []
    for path in there:
        if not any(path.is_relative_to(other) for other in kept):
            kept.append(path)
    return tuple(kept)


def _open_to_all(path: Path) -> bool:
    way = (path, *path.parents)
    return all(place.stat().st_mode & (0o001 if place.is_dir() else 0o004) for place in way) and os.access(
        path, os.R_OK
    )
