"""Measuring processes and folders, and which interpreter runs programs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from smcs.sandbox import _interpreter, _watch
from smcs.sandbox._base import boot_text

SOURCE = """
import os, sys, threading, time
data = bytearray(b"x") * 30_000_000
if not os.fork():
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    os.write(1, b"!")
    time.sleep(60)
time.sleep(60)
"""


@pytest.mark.skipif(not _watch.available(), reason="this system does not tell what a process uses")
def test_a_tree_is_measured() -> None:
    with subprocess.Popen([sys.executable, "-c", SOURCE], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.read(1)
        usage = _watch.tree(process.pid, skip=0)
        below = _watch.tree(process.pid, skip=1)
        process.kill()
        for pid in usage.pids[1:]:
            os.kill(pid, 9)
    assert len(usage.pids) == 2
    assert usage.pids[0] == process.pid
    assert usage.tasks == 3
    assert below.tasks == 2
    assert 60_000_000 < usage.memory < 200_000_000
    assert _watch.waited(usage.pids) >= _watch.waited([]) == 0
    assert _watch.tree(process.pid, skip=0).tasks == 0


def test_a_folder_is_measured(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").write_bytes(b"x" * 100_000)
    (tmp_path / "link").symlink_to("/")
    size, count = _watch.folder_usage(tmp_path)
    assert size >= 100_000
    assert count == 4
    for number in range(_watch.MOST_FILES):
        (tmp_path / str(number)).touch()
    assert _watch.folder_usage(tmp_path)[1] > _watch.MOST_FILES


def test_a_folder_is_removed_whatever_is_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "scratch"
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    folder.mkdir()
    (folder / "link").symlink_to(outside)
    (folder / "locked").mkdir(0)
    place = os.open(folder, os.O_RDONLY)
    for _ in range(3_000):
        os.mkdir("deep", dir_fd=place)
        inner = os.open("deep", os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = inner
    os.close(place)
    assert _watch.folder_usage(folder)[1] > _watch.MOST_FILES
    _watch.remove(folder)
    assert not folder.exists()
    assert (outside / "kept").exists()


def test_the_interpreter_is_not_the_virtual_environments() -> None:
    found = _interpreter.own()
    assert found.executable.is_relative_to(Path(sys.base_prefix).resolve())
    for path in found.readable:
        assert path.exists()
        assert not any(path != other and path.is_relative_to(other) for other in found.readable)
    assert any(Path(os.__file__).is_relative_to(path) for path in found.readable)
    assert not any(Path.home() == path or Path.home().is_relative_to(path) for path in found.readable)


def test_packages_are_readable(tmp_path: Path) -> None:
    found = _interpreter.own([tmp_path])
    assert found.packages == (tmp_path.resolve(),)
    assert any(tmp_path.resolve().is_relative_to(path) for path in found.readable)


def test_a_private_folder_is_not_reachable_by_others(tmp_path: Path) -> None:
    file = tmp_path / "python"
    file.touch()
    tmp_path.chmod(0o700)
    assert not _interpreter.Interpreter(file, (file,)).reachable_by_others()
    system = Path("/usr/lib")
    assert not system.exists() or _interpreter.Interpreter(system, (system,)).reachable_by_others()


@pytest.mark.parametrize("parts", [(), ("_boot_keeper",)])
def test_the_start_up_code_is_lean(parts: tuple[str, ...]) -> None:
    """What it imports is paid for at every run: no module of ours, none that takes long."""
    text = boot_text(*parts)
    assert text.endswith("main()\n")
    check = text.removesuffix("main()\n") + "print(sorted(sys.modules))"
    ran = subprocess.run(
        [_interpreter.own().executable, "-I", "-S", "-c", check], capture_output=True, text=True, check=True
    )
    assert not {"typing", "re", "enum", "pathlib", "json", "ctypes", "smcs"} & set(ast_list(ran.stdout))


def ast_list(text: str) -> list[str]:
    return [word.strip(" '[]\n") for word in text.split(",")]
