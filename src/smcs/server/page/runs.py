"""Evaluation reports of the results files that the server was told of, made when asked for and kept while they last."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from smcs.errors import SmcsError
from smcs.evaluation.reading import StoredRun, stored_report, stored_runs

_KEPT = 16


class Runs:
    """The runs of some results files. A request names a run by its id, never a file.

    Args:
        files: as ``smcs eval --results`` wrote them; they may still be written, or not be there yet.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = tuple(files)
        self._reports: dict[tuple[str, float], dict[str, Any]] = {}
        self._one_at_a_time = asyncio.Lock()

    async def listed(self) -> dict[str, Any]:
        """All runs, and what could not be read."""
        runs: list[dict[str, Any]] = []
        problems: list[str] = []
        for file in self._files:
            try:
                found = await asyncio.to_thread(stored_runs, file)
            except SmcsError as error:
                problems.append(str(error))
                continue
            runs += [
                {
                    "id": run.id,
                    "file": file.name,
                    "made": run.made,
                    "strategies": [setup.label for setup in run.setups],
                    "pool": list(run.pool),
                }
                for run in found
            ]
        return {"runs": sorted(runs, key=lambda run: -run["made"]), "problems": problems, "files": len(self._files)}

    async def report(self, run_id: str) -> dict[str, Any] | None:
        """The report of a run; None where there is no such run."""
        async with self._one_at_a_time:  # two that look at the same run do not both count it
            for file in self._files:
                try:
                    runs = await asyncio.to_thread(stored_runs, file)
                except SmcsError:
                    continue
                for run in runs:
                    if run.id == run_id:
                        return await self._made(file, run)
        return None

    async def _made(self, file: Path, run: StoredRun) -> dict[str, Any]:
        key = (run.id, await asyncio.to_thread(_changed, file))
        if key not in self._reports:
            report = await asyncio.to_thread(lambda: asyncio.run(stored_report(file, run)))
            while len(self._reports) >= _KEPT:
                self._reports.pop(next(iter(self._reports)))
            self._reports[key] = {"id": run.id, "file": file.name, "made": run.made, **report.to_dict()}
        return self._reports[key]


def _changed(file: Path) -> float:
    """When the file, or its log of what is not yet in it, was last written."""
    return max(path.stat().st_mtime for path in (file, file.with_name(f"{file.name}-wal")) if path.exists())
