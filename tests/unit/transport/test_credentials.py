"""Keys get into headers, and nowhere else."""

from __future__ import annotations

import pytest
from pydantic import SecretStr, ValidationError

from smcs.config import Settings, validate
from smcs.errors import ConfigError
from smcs.transport.address import EndpointSettings
from smcs.transport.credentials import credentials


def test_a_key_is_a_bearer_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMCS_TEST_KEY", " sk-123456 \n")
    made = credentials("SMCS_TEST_KEY", {}, "LLM 'a'")
    assert made.headers == {"Authorization": "Bearer sk-123456"}
    assert made.redact("got sk-123456") == "got ***"


def test_variables_stand_for_values_in_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMCS_TEST_KEY", "sk-123456")
    headers = {
        "X-Key": SecretStr("$SMCS_TEST_KEY"),
        "X-Both": SecretStr("a ${SMCS_TEST_KEY}b"),
        "X-Price": SecretStr("5 $$ and $ alone"),
    }
    made = credentials(None, headers, "LLM 'a'")
    assert made.headers == {"X-Key": "sk-123456", "X-Both": "a sk-123456b", "X-Price": "5 $ and $ alone"}


def test_an_own_authorization_header_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMCS_TEST_KEY", "sk-123456")
    made = credentials("SMCS_TEST_KEY", {"authorization": SecretStr("Basic abcdefgh")}, "LLM 'a'")
    assert made.headers == {"authorization": "Basic abcdefgh"}
    assert made.redact("abcdefgh and sk-123456") == "*** and ***"


@pytest.mark.parametrize(("api_key_env", "headers"), [("SMCS_TEST_NONE", {}), (None, {"X": "$SMCS_TEST_NONE"})])
def test_a_missing_variable_is_named_with_its_owner(
    monkeypatch: pytest.MonkeyPatch, api_key_env: str | None, headers: dict[str, str]
) -> None:
    monkeypatch.delenv("SMCS_TEST_NONE", raising=False)
    secrets = {name: SecretStr(value) for name, value in headers.items()}
    with pytest.raises(ConfigError, match=r"LLM 'a'.*SMCS_TEST_NONE"):
        credentials(api_key_env, secrets, "LLM 'a'")


@pytest.mark.parametrize("headers", [{"X Y": "v"}, {"": "v"}, {"X": "secret-value\r\nEvil: 1"}])
def test_headers_that_cannot_be_sent_are_refused_without_showing_them(headers: dict[str, str]) -> None:
    with pytest.raises(ConfigError) as failed:
        credentials(None, {name: SecretStr(value) for name, value in headers.items()}, "LLM 'a'")
    assert "secret-value" not in str(failed.value)


def test_no_secret_is_in_a_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMCS_TEST_KEY", "sk-123456")
    made = credentials("SMCS_TEST_KEY", {"X": SecretStr("topsecret")}, "LLM 'a'")
    assert "sk-" not in repr(made)
    assert "topsecret" not in repr(made)


VALID = {"base_url": "http://host:8000/v1/", "model": "m"}


def test_an_address_loses_its_last_slash() -> None:
    assert validate(EndpointSettings, VALID, "here").base_url == "http://host:8000/v1"


@pytest.mark.parametrize(
    "base_url",
    [
        "http://user:hunter2@host/v1",
        "ftp://user:hunter2@host/v1",
        "http://host/v1?key=hunter2",
        "http://host:hunter2/v1",
        "hunter2",
        "",
        "http://",
        "http://host/v1/chat/completions",
        "http://host/v1/embeddings/",
    ],
)
def test_an_unusable_address_is_refused_without_showing_it(base_url: str) -> None:
    with pytest.raises(ConfigError, match="base_url") as failed:
        validate(EndpointSettings, VALID | {"base_url": base_url}, "here")
    assert "hunter2" not in str(failed.value)
    with pytest.raises(ValidationError) as raw:
        EndpointSettings(base_url=base_url, model="m")
    assert "hunter2" not in str(raw.value)


def test_headers_are_texts_and_hidden() -> None:
    settings = validate(EndpointSettings, VALID | {"headers": {"X": "hunter2"}}, "here")
    assert isinstance(settings, Settings)
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in settings.model_dump_json()
    with pytest.raises(ConfigError) as failed:
        validate(EndpointSettings, VALID | {"headers": {"X": ["hunter2"]}}, "here")
    assert "hunter2" not in str(failed.value)
