"""What the machine, or the container, has for computing."""

from __future__ import annotations

import os
from pathlib import Path

_SHARE_OF_MEMORY = 0.7
_CGROUP = Path("/sys/fs/cgroup")


def memory_budget(gib: float | None) -> int:
    """Bytes that all loaded models may take: as set, or a share of what there is."""
    return int(gib * (1 << 30)) if gib is not None else int(_memory() * _SHARE_OF_MEMORY)


def physical_cores() -> int:
    """Physical cores that this process may use: two threads on one core are slower than one."""
    if not hasattr(os, "sched_getaffinity"):  # macOS
        return max((os.cpu_count() or 2) // 2, 1)
    allowed = os.sched_getaffinity(0)
    cores = {_siblings(cpu) for cpu in allowed}
    return max(min(len(cores), _cpu_quota() or len(cores)), 1)


def _memory() -> int:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = _read(_CGROUP / "memory.max")
    return min(total, int(limit)) if limit.isdigit() else total


def _cpu_quota() -> int | None:
    """Whole cores that the container may use; None where it is not limited."""
    quota, _, period = _read(_CGROUP / "cpu.max").partition(" ")
    return max(int(quota) // int(period), 1) if quota.isdigit() and period.isdigit() else None


def _siblings(cpu: int) -> str:
    """The logical processors on the same core, as the kernel lists them."""
    return _read(Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")) or str(cpu)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
