"""The libraries that the page carries are what their publishers released, with their licences beside them."""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files

VENDOR = files("smcs.server.page") / "static" / "vendor"


def test_vendored_libraries_are_unchanged_and_named() -> None:
    listed = json.loads((VENDOR / "versions.json").read_text(encoding="utf-8"))
    licences = (VENDOR / "LICENSES.txt").read_text(encoding="utf-8")
    for library in listed:
        content = (VENDOR / library["file"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == library["sha256"], library["file"]
        assert f"======== {library['package']} {library['version']} ========" in licences
    scripts = {entry.name for entry in VENDOR.iterdir() if entry.name.endswith(".js")}
    assert scripts == {library["file"] for library in listed}
