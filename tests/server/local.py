"""A server in the test's own event loop, over LLMs that the test controls: real HTTP, and nothing hidden."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import openai
import uvicorn
from fastapi import FastAPI
from tests.unit.strategies.conftest import Lab

from smcs.config import SMCSSettings
from smcs.server.app import create_app
from smcs.server.house import House
from smcs.server.running import listening, uvicorn_config
from smcs.server.service import Service
from smcs.server.settings import ServerSettings
from smcs.system import System

FEATURES = ("tools", "response_format", "logprobs")


class Local:
    """A running server.

    Attributes:
        lab: its LLMs.
        client: of it.
        base_url: its address.
    """

    def __init__(self, lab: Lab, app: FastAPI, server: uvicorn.Server, port: int) -> None:
        self.lab = lab
        self.server = server
        self.service: Service = app.state.service
        self.base_url = f"http://127.0.0.1:{port}/v1"
        self.client = openai.AsyncOpenAI(base_url=self.base_url, api_key="none", max_retries=0, timeout=60)

    async def ask(self, text: str = "question fig", **options: Any) -> Any:
        """A chat completion."""
        given = {"model": "smcs", "messages": [{"role": "user", "content": text}], **options}
        return await self.client.chat.completions.create(**given)

    async def refused(self, **options: Any) -> openai.APIStatusError:
        """The error of a chat completion that is refused."""
        try:
            await self.ask(**options)
        except openai.APIStatusError as error:
            return error
        raise AssertionError("it was not refused")

    @property
    def calls(self) -> int:
        """Requests that the LLMs have got."""
        return sum(len(llm.requests) for llm in self.lab.llms.values())


@asynccontextmanager
async def local(lab: Lab, features: tuple[str, ...] = FEATURES, **settings: Any) -> AsyncIterator[Local]:
    """Serve a lab's LLMs."""
    for llm in lab.llms.values():
        llm._info = type(llm.info)(llm.info.name, "scripted", "x", True, True, features=features)
    system = System(lab.pool(), lab.bank(), lab.embedder, SMCSSettings(**lab.settings))
    served = ServerSettings(port=0, **{"grace_s": 5, **settings})
    app = create_app(House(system), served)
    socket = listening("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn_config(app, served))
    task = asyncio.create_task(server.serve([socket]))
    while not server.started:
        await asyncio.sleep(0.01)
    made = Local(lab, app, server, socket.getsockname()[1])
    try:
        yield made
    finally:
        await made.client.close()
        server.should_exit = True
        await task
