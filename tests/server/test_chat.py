"""Chat completions as the official client asks for them, from a real server process."""

from __future__ import annotations

from collections.abc import Callable

import openai
import pytest
from tests.server.process import Server

QUESTION = "What is 5 + 5? Finish with: The answer is X."


class TestAnswers:
    def test_the_pool_answers_as_one_model(self, server: Server) -> None:
        with server.client() as client:
            completion = client.chat.completions.create(model="smcs", messages=[{"role": "user", "content": QUESTION}])
        assert completion.choices[0].message.content is not None
        assert "The answer is" in completion.choices[0].message.content
        assert completion.id.startswith("smcs-")
        assert completion.usage is not None
        assert completion.usage.total_tokens > 0


class TestModels:
    def test_the_default_every_strategy_and_every_llm_are_models(self, server: Server) -> None:
        with server.client() as client:
            names = [model.id for model in client.models.list()]
            assert {"smcs", "smcs/majority", "smcs/smcs", "strong", "org/middling:7b"} <= set(names)
            assert client.models.retrieve("org/middling:7b").id == "org/middling:7b"

    def test_one_that_is_not_there(self, server: Server) -> None:
        with server.client() as client, pytest.raises(openai.NotFoundError, match="did you mean 'smcs/majority'") as e:
            client.chat.completions.create(model="smcs/majorty", messages=[{"role": "user", "content": QUESTION}])
        assert e.value.code == "model_not_found"
        assert e.value.param == "model"


class TestHealth:
    @pytest.mark.parametrize("path", ["health", "ready"])
    def test_it_says_that_it_is_well(self, server: Server, path: str) -> None:
        with server.client() as client:
            assert client.get(f"{server.url}/{path}", cast_to=dict[str, object])["status"] in {"ok", "ready"}

    def test_it_stops_when_told_to(self, serve: Callable[..., Server]) -> None:
        server = serve()
        assert server.stop() == (0, "")
