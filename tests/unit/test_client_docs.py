"""docs/guides/clients.md shows the files that tests/clients run, and no others."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
SHOWN = re.compile(r"^<!-- (?P<path>\S+) -->\n```\w+\n(?P<text>.*?)\n```$", re.MULTILINE | re.DOTALL)


def test_the_guide_shows_the_examples_as_they_are() -> None:
    guide = (ROOT / "docs" / "guides" / "clients.md").read_text(encoding="utf-8")
    shown = {match["path"]: match["text"] for match in SHOWN.finditer(guide)}
    for path, text in shown.items():
        assert (ROOT / path).read_text(encoding="utf-8").rstrip() == text, path
    programs = {p for p in (ROOT / "examples" / "clients").rglob("*") if p.suffix in {".py", ".sh", ".yaml", ".env"}}
    assert {ROOT / path for path in shown} == programs
