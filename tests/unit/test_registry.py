"""Finding plug-ins by name."""

from __future__ import annotations

import pytest

from smcs import registry
from smcs.errors import UnknownNameError


def test_names_are_written_with_hyphens_and_hide_helper_modules() -> None:
    names = registry.names("llms")
    assert {"llama-cpp", "openai", "simulated"} <= set(names)
    assert not any(name.startswith(("_", "-")) for name in names)


def test_find_imports_the_module() -> None:
    assert registry.find("llms", "openai").__name__ == "smcs.llms.openai"


def test_underscores_will_do() -> None:
    assert registry.find("llms", "llama_cpp") is registry.find("llms", "llama-cpp")


@pytest.mark.parametrize("name", ["opnai", "", "_chat", "..config", "openai.Settings"])
def test_unknown_names_are_typed_and_say_what_is_known(name: str) -> None:
    with pytest.raises(UnknownNameError, match=r"known: .*openai"):
        registry.find("llms", name)


def test_the_closest_name_is_proposed() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'openai'"):
        registry.find("llms", "opnai")


def test_installed_packages_can_add_a_plug_in(monkeypatch: pytest.MonkeyPatch) -> None:
    class Point:
        name = "mine"

        def load(self) -> str:
            return "the module"

    monkeypatch.setattr(registry, "entry_points", lambda group: [Point()] if group == "smcs.llms" else [])
    assert registry.find("llms", "mine") == "the module"
    assert "mine" in registry.names("llms")
    assert "mine" not in registry.names("graders")
