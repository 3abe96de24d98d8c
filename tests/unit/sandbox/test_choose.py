"""Choosing a sandbox: tested before it is returned, and never weaker than asked."""

from __future__ import annotations

import pytest

import smcs.sandbox
from smcs.errors import SmcsError, UnknownNameError
from smcs.programs import Program, Sandbox
from smcs.sandbox import SandboxUnavailableError, choose
from smcs.sandbox._base import ProcessSandbox
from smcs.sandbox._interpreter import Interpreter
from smcs.sandbox.rlimits import RlimitsSandbox


class Leaky(RlimitsSandbox):
    """Says that it is strong, and is not."""

    name = "leaky"


def missing(interpreter: Interpreter, workers: int) -> ProcessSandbox:
    raise FileNotFoundError("the tool is not installed")


def unknown_machine(interpreter: Interpreter, workers: int) -> ProcessSandbox:
    raise KeyError("vax")


def test_auto_is_never_weak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smcs.sandbox, "_STRONG", {"first": missing, "second": Leaky, "third": unknown_machine})
    with pytest.raises(SandboxUnavailableError) as error:
        choose()
    message = str(error.value)
    assert "first: the tool is not installed" in message
    assert "second: read a file, list a folder, write a file" in message
    assert "third: the system calls of 'vax' machines are not known" in message
    assert "'rlimits' has to be asked for by name" in message
    assert isinstance(error.value, SmcsError)


def test_auto_takes_the_first_that_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    strongest = choose_strong()
    monkeypatch.setattr(smcs.sandbox, "_STRONG", {"gone": missing, "leaky": Leaky, strongest.name: type(strongest)})
    assert choose().name == strongest.name


def choose_strong() -> Sandbox:
    try:
        return choose()
    except SandboxUnavailableError as error:
        pytest.skip(str(error))


def test_a_named_one_is_that_or_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smcs.sandbox, "_STRONG", {"bubblewrap": missing})
    with pytest.raises(SandboxUnavailableError, match="'bubblewrap' does not hold on this system"):
        choose("bubblewrap")


def test_the_weak_one_says_what_it_is() -> None:
    sandbox = choose("rlimits")
    assert sandbox.name == "rlimits"
    assert "Does NOT keep it from the network" in sandbox.description
    assert sandbox.execute(Program("print(1)")).stdout == "1\n"


def test_a_name_that_is_none() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown sandbox 'bubblewarp'; did you mean 'bubblewrap'\?"):
        choose("bubblewarp")


def test_what_a_strong_one_does_not_do_is_said() -> None:
    assert "hole in the kernel" in choose_strong().description
