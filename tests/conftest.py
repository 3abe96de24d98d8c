"""What all tests share: where real weights and the folder of benchmarks come from, and skipping where they are not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from smcs.weights import WeightsFile, cache_dir, destination, fetch, is_checked

if TYPE_CHECKING:
    from smcs.llms.llama_cpp import Settings

# How long an example takes says nothing on a busy machine.
settings.register_profile("smcs", deadline=None)
settings.load_profile("smcs")

WeightsOf = Callable[[str], Path]
SettingsOf = Callable[[str], "Settings"]

_EMBEDDER = "minilm"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("smcs")
    group.addoption(
        "--fetch-weights", action="store_true", help="fetch the weights of the local LLMs that tests need (2 GB in all)"
    )
    group.addoption(
        "--shared", type=Path, metavar="DIR", help="folder of benchmarks and recorded answers (default: ../shared)"
    )
    group.addoption(
        "--clients", action="store_true", help="run the examples of other makers' clients (installs each once, 1 GB)"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "clients: a client of another maker, in an environment of its own (--clients)")
    shared = _shared(config)
    if config.getoption("--shared") and shared is None:
        raise pytest.UsageError(f"--shared {config.getoption('--shared')}: there is no such folder")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    skip = pytest.mark.skip(reason="needs the folder of benchmarks and recorded answers: --shared DIR")
    for item in items:
        if item.get_closest_marker("shared") and _shared(config) is None:
            item.add_marker(skip)
        if item.get_closest_marker("clients") and not config.getoption("--clients"):
            item.add_marker(pytest.mark.skip(reason="another maker's client: --clients"))


@pytest.fixture(scope="session")
def shared_dir(request: pytest.FixtureRequest) -> Path:
    """The folder of benchmarks and recorded answers."""
    found = _shared(request.config)
    if found is None:
        pytest.skip("needs the folder of benchmarks and recorded answers: --shared DIR")
    return found


@pytest.fixture(scope="session")
def weights_of(request: pytest.FixtureRequest) -> WeightsOf:
    """Gives the path of a starter LLM's weights by its name in the starter pool, or of the embedder's (``minilm``).

    Skips the test where they are not in the user's cache, unless ``--fetch-weights`` was given.
    """

    def path(name: str) -> Path:
        file = _file_of(name)
        if is_checked(where := destination(file, cache_dir()), file.sha256, cache_dir()):
            return where
        if not request.config.getoption("--fetch-weights"):
            pytest.skip(f"the weights of {name} are not in the cache: --fetch-weights fetches them")
        with ThreadPoolExecutor(1) as thread:  # the test may be running an event loop of its own
            return thread.submit(asyncio.run, fetch(file, cache_dir())).result()

    return path


def _file_of(name: str) -> WeightsFile:
    if name == _EMBEDDER:
        from smcs.embedders.minilm import weights

        return weights()
    return _starter_settings(name).file


@pytest.fixture
def starter_settings() -> SettingsOf:
    """Gives the settings of an LLM of the starter pool by its name."""
    return _starter_settings


def _starter_settings(name: str) -> Settings:
    from smcs.llms.llama_cpp import Settings
    from smcs.system import load_pool

    (settings,) = (s for s in load_pool().llm if s.name == name)
    assert isinstance(settings, Settings)
    return settings


def _shared(config: pytest.Config) -> Path | None:
    chosen: Path | None = config.getoption("--shared")
    folder = chosen or config.rootpath.parent / "shared"
    return folder if folder.is_dir() else None
