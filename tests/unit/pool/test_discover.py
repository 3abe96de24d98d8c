"""``smcs pool discover`` against servers on loopback that answer as the products do."""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from aiohttp import web

from smcs import cli
from smcs.errors import AuthenticationError, CallTimeoutError, ConfigError, ConnectionFailedError
from smcs.pool.discover import Discovered, discover
from smcs.pool.entries import entries, names_of
from smcs.system import build_pool, load_pool

Routes: TypeAlias = dict[str, Any]
"""Path -> JSON body, or a function of the request."""


@asynccontextmanager
async def serving(routes: Routes, *, key: str | None = None) -> AsyncIterator[str]:
    """A server with these pages; the value is its address without ``/v1``."""

    async def answer(request: web.Request) -> web.Response:
        if key is not None and request.headers.get("Authorization") != f"Bearer {key}":
            return web.json_response(
                {"error": {"message": "Incorrect API key provided", "code": "invalid_api_key"}}, status=401
            )
        found = routes.get(request.path_qs, routes.get(request.path))
        if found is None:
            return web.Response(status=404, text="404 page not found")
        if callable(found):
            found = await found(request)
        return found if isinstance(found, web.Response) else web.json_response(found)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def models(*items: dict[str, Any]) -> dict[str, Any]:
    return {"object": "list", "data": [{"object": "model", "created": 1760000000, **item} for item in items]}


async def show(request: web.Request) -> Any:
    asked = (await request.json())["model"]
    return {
        "llama3.2:latest": {
            "parameters": 'stop    "<|eot_id|>"',
            "model_info": {"general.architecture": "llama", "llama.context_length": 131072},
            "capabilities": ["completion", "tools"],
        },
        "qwen3:8b": {"parameters": "num_ctx    16384\ntemperature   0.6", "capabilities": ["completion", "thinking"]},
        "all-minilm:latest": {"model_info": {"general.architecture": "bert"}, "capabilities": ["embedding"]},
    }.get(asked) or web.json_response({"error": f"model '{asked}' not found"}, status=404)


OLLAMA: Routes = {
    "/v1/models": models(
        {"id": "llama3.2:latest", "owned_by": "library"},
        {"id": "qwen3:8b", "owned_by": "library"},
        {"id": "all-minilm:latest", "owned_by": "library"},
    ),
    "/api/version": {"version": "0.12.11"},
    "/api/show": show,
}
VLLM: Routes = {
    "/v1/models": models(
        {"id": "Qwen/Qwen3-32B", "owned_by": "vllm", "root": "Qwen/Qwen3-32B", "parent": None, "max_model_len": 32768},
        {"id": "sql-lora", "owned_by": "vllm", "root": "/lora", "parent": "Qwen/Qwen3-32B", "max_model_len": None},
    )
}
LLAMA_CPP: Routes = {
    "/v1/models": {
        "models": [{"name": "../models/Qwen3-8B-Q4_K_M.gguf", "capabilities": ["completion"]}],
        **models(
            {
                "id": "../models/Qwen3-8B-Q4_K_M.gguf",
                "owned_by": "llamacpp",
                "meta": {"vocab_type": 2, "n_ctx_train": 40960, "n_params": 8190735360, "size": 5027783680},
            }
        ),
    },
    "/props": {"total_slots": 3, "default_generation_settings": {"n_ctx": 12288}, "model_path": "x"},
}
OPENROUTER: Routes = {
    "/api/v1/models": {
        "data": [
            {
                "id": "meta-llama/llama-3.3-70b-instruct",
                "context_length": 131072,
                "architecture": {"input_modalities": ["text"], "output_modalities": ["text"]},
                "pricing": {"prompt": "0.00000012", "completion": "0.0000003"},
                "supported_parameters": [
                    *("temperature", "top_p", "top_k", "presence_penalty", "frequency_penalty"),
                    *("seed", "stop", "max_tokens", "logprobs"),
                ],
            },
            {
                "id": "openai/o9",
                "context_length": 200000,
                "architecture": {"output_modalities": ["text"]},
                "pricing": {"prompt": "0.0000011", "completion": "0.0000044"},
                "supported_parameters": ["max_tokens", "seed", "tools"],
            },
            {
                "id": "some/painter",
                "architecture": {"output_modalities": ["image"]},
                "pricing": {},
                "supported_parameters": [],
            },
        ],
        "links": {"next": "/api/v1/models?offset=3"},
    },
    "/api/v1/models?offset=3": {
        "data": [
            {
                "id": "openrouter/auto",
                "context_length": 2000000,
                "pricing": {"prompt": "-1", "completion": "-1"},
                "supported_parameters": [],
            }
        ]
    },
}
OPENAI: Routes = {
    "/v1/models": models(
        {"id": "gpt-4.1-mini", "owned_by": "system"},
        {"id": "gpt-5-mini", "owned_by": "system"},
        {"id": "text-embedding-3-small", "owned_by": "system"},
        {"id": "whisper-1", "owned_by": "openai-internal"},
        {"id": "tts-1-hd", "owned_by": "system"},
        {"id": "omni-moderation-latest", "owned_by": "system"},
    )
}


def written(found: Discovered) -> dict[str, dict[str, Any]]:
    """The tables of what was found, by name, read back as TOML."""
    return {table["name"]: table for table in tomllib.loads(entries(found, found.llms))["llm"]}


async def found_at(routes: Routes, path: str = "", **options: Any) -> Discovered:
    async with serving(routes) as url:
        found = await discover(url + path, **options)
        assert found.base_url.startswith(url)
        return found


async def test_ollama_tells_embedders_and_contexts() -> None:
    found = await found_at(OLLAMA)
    assert found.product == "ollama"
    assert [o.id for o in found.embedders] == ["all-minilm:latest"]
    tables = written(found)
    assert list(tables) == ["llama3.2", "qwen3:8b"]
    assert tables["llama3.2"]["model"] == "llama3.2:latest"
    assert tables["llama3.2"]["multiple_samples"] is False
    # What a model was trained for is not what the server gives it, and a wrong number would cut prompts unseen.
    assert "context_length" not in tables["llama3.2"]
    assert "131072" in " ".join(found.llms[0].notes)
    assert tables["qwen3:8b"]["context_length"] == 16384


async def test_vllm_tells_the_context() -> None:
    found = await found_at(VLLM)
    assert found.product == "vllm"
    tables = written(found)
    assert tables["Qwen3-32B"]["context_length"] == 32768
    assert tables["Qwen3-32B"]["base_url"] == found.base_url
    assert "context_length" not in tables["sql-lora"]


async def test_llama_cpp_tells_slots_and_their_context() -> None:
    found = await found_at(LLAMA_CPP)
    (table,) = written(found).values()
    assert table["name"] == "Qwen3-8B-Q4_K_M"
    assert (table["context_length"], table["max_concurrency"]) == (12288, 3)
    assert table["sampling"] == {"extra": {"top_logprobs": 1}}


async def test_openrouter_tells_prices_and_what_it_supports() -> None:
    found = await found_at(OPENROUTER, "/api/v1")
    assert found.product == "openrouter"
    tables = written(found)
    assert set(tables) == {"llama-3.3-70b-instruct", "o9", "auto"}
    llama = tables["llama-3.3-70b-instruct"]
    assert (llama["price_prompt"], llama["price_completion"]) == (0.12, 0.3)
    assert llama["api_key_env"] == "OPENROUTER_API_KEY"
    assert "omit" not in llama
    assert tables["o9"]["logprobs"] is False
    assert set(tables["o9"]["omit"]) >= {"temperature", "presence_penalty"}
    assert "price_prompt" not in tables["auto"]  # -1 says that it varies


async def test_openai_reasoning_llms_get_what_they_want() -> None:
    found = await found_at(OPENAI)
    tables = written(found)
    assert set(tables) == {"gpt-4.1-mini", "gpt-5-mini"}
    assert "max_tokens_field" not in tables["gpt-4.1-mini"]
    assert tables["gpt-5-mini"]["max_tokens_field"] == "max_completion_tokens"
    assert "temperature" in tables["gpt-5-mini"]["omit"]
    assert [o.id for o in found.embedders] == ["text-embedding-3-small"]


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/", "/v1/models"])
async def test_the_address_with_and_without_v1(path: str) -> None:
    assert (await found_at(VLLM, path)).base_url.endswith("/v1")


async def test_a_list_without_v1_in_its_address() -> None:
    found = await found_at({"/openai/models": VLLM["/v1/models"]}, "/openai")
    assert found.base_url.endswith("/openai")


async def test_a_server_that_is_smcs_itself() -> None:
    routes: Routes = {
        "/v1/models": models({"id": "smcs", "owned_by": "smcs"}, {"id": "smcs/majority", "owned_by": "smcs"})
    }
    found = await found_at(routes)
    assert found.product == "smcs"
    assert list(written(found)) == ["smcs-2", "majority"]  # "smcs" is what the server calls the whole pool


async def test_no_server() -> None:
    async with serving({}) as url:
        pass
    with pytest.raises(ConnectionFailedError, match="is the server running"):
        await discover(url)


async def test_a_server_that_hangs() -> None:
    async def hang(request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(CallTimeoutError, match="did not answer within"):
        await found_at({"/v1/models": hang}, timeout_s=0.2)


async def test_a_server_that_wants_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(VLLM, key="sk-right-key") as url:
        with pytest.raises(AuthenticationError, match="--api-key-env"):
            await discover(url)
        monkeypatch.setenv("MY_KEY", "sk-wrong-key")
        with pytest.raises(AuthenticationError) as refused:
            await discover(url, "MY_KEY")
        assert "sk-wrong-key" not in str(refused.value)
        monkeypatch.setenv("MY_KEY", "sk-right-key")
        found = await discover(url, "MY_KEY")
    assert written(found)["Qwen3-32B"]["api_key_env"] == "MY_KEY"
    monkeypatch.delenv("MY_KEY")
    with pytest.raises(ConfigError, match="MY_KEY, which is not set"):
        await discover(url, "MY_KEY")


@pytest.mark.parametrize(
    ("routes", "message"),
    [
        ({"/": web.Response}, "no OpenAI-compatible endpoint there"),
        ({"/v1/models": {"object": "list", "data": []}}, "offers no model"),
        ({"/v1/models": {"object": "list", "data": None}}, "offers no model"),  # Ollama without any
        ({"/v1/models": {"models": []}}, "without a list of models"),
        (
            {"/v1/models": {"data": [{"name": "no id"}, 7, {"id": ""}, {"id": "two\nlines"}, {"id": "\ud800"}]}},
            "offers no model",
        ),
    ],
)
async def test_what_is_not_an_endpoint_with_models(routes: Routes, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        await found_at(routes)


@pytest.mark.parametrize(
    "address", ["", "http://", "ftp://host/v1", "http://user:secret@host/v1", "http://host/v1?key=secret"]
)
async def test_what_is_no_address(address: str) -> None:
    with pytest.raises(ConfigError) as refused:
        await discover(address)
    assert "secret" not in str(refused.value)


async def test_a_hostile_list_writes_nothing_but_entries() -> None:
    hostile = 'x"\nbackend = "llama-cpp"'
    items = [
        {"id": "a\"]]'#\\"},
        {"id": hostile},
        {"id": "/"},
        {"id": "b", "max_model_len": "9; x=1"},
        {"id": "c", "owned_by": {}},
    ]
    found = await found_at({"/v1/models": {"data": items}})
    tables = tomllib.loads(entries(found, found.llms))["llm"]
    assert [t["model"] for t in tables] == ["a\"]]'#\\", "/", "b", "c"]
    assert {t["backend"] for t in tables} == {"openai"}


def test_names_are_short_and_unique() -> None:
    from smcs.pool.discover import Offer

    ids = ["a/m", "b/m", "a/n", "m", "x/taken", "llama3:latest"]
    names = names_of([Offer(i, "llm") for i in ids], taken=["taken"])
    assert names == ["a/m", "b/m", "n", "m", "x/taken", "llama3"]
    assert names_of([Offer("m", "llm")], taken=["m", "m-2"]) == ["m-3"]


# The command


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Coroutine[Any, Any, tuple[int, str, str]]]:
    async def running(*arguments: str) -> tuple[int, str, str]:
        status = await asyncio.to_thread(cli.run, ["pool", "discover", *arguments])
        return status, *capsys.readouterr()

    return running


async def test_a_new_file_can_be_used_as_it_is(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "pool.toml"
    async with serving(OLLAMA) as url:
        status, out, err = await run(url, "--out", str(file))
    assert (status, out) == (0, "")
    assert "Ollama: 2 LLMs; 1 embedder" in err
    assert build_pool(load_pool(file)).names == ["llama3.2", "qwen3:8b"]
    assert '# model = "all-minilm:latest"' in file.read_text()


async def test_standard_output_is_a_pool_file(run: Any, tmp_path: Path) -> None:
    async with serving(OPENAI) as url:
        status, out, _ = await run(url, "--only", "gpt-4*")
    assert status == 0
    (tmp_path / "pool.toml").write_text(out)
    assert load_pool(tmp_path / "pool.toml").names == ["gpt-4.1-mini"]


async def test_append_keeps_what_is_there_and_adds_only_what_is_new(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "pool.toml"
    mine = '# mine\n[[llm]]\nname = "Qwen3-32B"\nbackend = "simulated"\n\n[smcs]\nk = 2\n'
    file.write_text(mine)
    file.chmod(0o600)
    async with serving(VLLM) as url:
        status, _, err = await run(url, "--out", str(file))
        assert (status, file.read_text()) == (2, mine)
        assert "--append" in err
        assert (await run(url, "--out", str(file), "--append"))[0] == 0
        after = file.read_text()
        assert after.startswith(mine)
        assert load_pool(file).names == ["Qwen3-32B", "Qwen/Qwen3-32B", "sql-lora"]
        assert load_pool(file).smcs == {"k": 2}
        assert file.stat().st_mode & 0o777 == 0o600
        status, _, err = await run(url, "--out", str(file), "--append")
    assert (status, file.read_text()) == (0, after)
    assert "all of them already" in err
    assert [p.name for p in tmp_path.iterdir()] == ["pool.toml"]


async def test_append_leaves_a_file_alone_that_it_cannot_extend(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "pool.toml"
    mine = 'llm = [{ name = "a", backend = "simulated" }]\n'  # an inline list cannot go on
    file.write_text(mine)
    async with serving(VLLM) as url:
        status, _, err = await run(url, "--out", str(file), "--append")
    assert status == 2
    assert f"{file} is left as it was; with the new entries the file is not TOML" in err
    assert file.read_text() == mine
    assert [p.name for p in tmp_path.iterdir()] == ["pool.toml"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--append"], "name it with --out"),
        (["--only", "mistral*"], "no LLM of .* is like mistral\\*; it has Qwen/Qwen3-32B, sql-lora"),
        (["--out", "/dev/null/pool.toml"], "cannot write"),
    ],
)
async def test_wrong_use(run: Any, arguments: list[str], message: str) -> None:
    import re

    async with serving(VLLM) as url:
        status, out, err = await run(url, *arguments)
    assert (status, out) == (2, "")
    assert re.search(message, err)
