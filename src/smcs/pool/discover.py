"""What an OpenAI-compatible endpoint offers, as the entries of a pool file.

::

    found = await discover("http://127.0.0.1:11434")
    print(entries(found, found.llms))               # of smcs.pool.entries

The list of models (``GET /v1/models``) is the same everywhere, and says little; what more there is to know is asked
where the product at hand tells it: vLLM and SGLang in the list itself, llama.cpp's server at ``/props``, Ollama at
``/api/show``, OpenRouter in the list, with prices.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from smcs.errors import (
    AuthenticationError,
    BadRequestError,
    CallError,
    CallTimeoutError,
    ConfigError,
    MalformedResponseError,
)
from smcs.pool._offers import Item, Offer, Product, offer_of, product_of
from smcs.transport.address import checked_base_url
from smcs.transport.credentials import credentials
from smcs.transport.http import JsonClient

TIMEOUT_S = 20.0
_MOST_PAGES = 50
_AT_ONCE = 4
_CONNECT_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Discovered:
    """What an endpoint offers.

    Attributes:
        base_url: as a pool file writes it.
        api_key_env: environment variable that holds the key, if one is needed.
        product: which server it is.
        offers: its models, in its order.
    """

    base_url: str
    api_key_env: str | None
    product: Product
    offers: tuple[Offer, ...]

    @property
    def llms(self) -> tuple[Offer, ...]:
        """Those that answer questions."""
        return tuple(offer for offer in self.offers if offer.kind == "llm")

    @property
    def embedders(self) -> tuple[Offer, ...]:
        """Those that embed texts."""
        return tuple(offer for offer in self.offers if offer.kind == "embedder")


async def discover(url: str, api_key_env: str | None = None, *, timeout_s: float = TIMEOUT_S) -> Discovered:
    """Ask an endpoint what it offers.

    Args:
        url: its address, with or without ``/v1``.
        api_key_env: environment variable that holds the key.
        timeout_s: most seconds for one request.

    Raises:
        ConfigError: the address is none, the key is not in the environment, or nothing at this address speaks
            OpenAI's language or offers a model.
        CallError: no connection, no answer in time, or the key is refused.
    """
    base_url, items = await _listed(_candidates(url), api_key_env, timeout_s)
    usable = [item for item in items if _is_usable(item)]
    if not usable:
        raise ConfigError(f"{base_url} offers no model; load one there first")
    found = Discovered(base_url, api_key_env, product_of(base_url, usable), ())
    if found.product == "unknown" and await _is_ollama(found, timeout_s):
        found = replace(found, product="ollama")
    details = await _details(found, usable, timeout_s)
    offers = (offer_of(item, found.product, more) for item, more in zip(usable, details, strict=True))
    return replace(found, offers=tuple(offers), api_key_env=api_key_env or _usual_key(found.product))


def _candidates(url: str) -> list[str]:
    """The base addresses that may be meant, the likelier first."""
    text = url.strip()
    if "://" not in text:
        text = f"http://{text}"
    try:
        given = checked_base_url(text)
    except ValueError as error:
        raise ConfigError(str(error).replace("base_url", "the address")) from None
    given = given.removesuffix("/models")
    if given.endswith("/v1"):
        return [given, given.removesuffix("/v1")]
    return [f"{given}/v1", given] if urlsplit(given).path in {"", "/"} else [given, f"{given}/v1"]


async def _listed(candidates: Sequence[str], key: str | None, timeout_s: float) -> tuple[str, list[Any]]:
    """The address that has a list of models, and the list.

    Raises:
        ConfigError: none has one.
        CallError: see `discover`.
    """
    told = ""
    for base_url in candidates:
        try:
            return base_url, await _models(base_url, key, timeout_s)
        except AuthenticationError as error:
            hint = "" if key else "; it wants a key: put it into an environment variable and name that: --api-key-env"
            raise AuthenticationError(
                f"{str(error).partition('; check the key')[0]}{hint}", status=error.status
            ) from None
        except (BadRequestError, MalformedResponseError) as error:
            told = told or str(error)
    tried = " and ".join(f"{base_url}/models" for base_url in candidates)
    raise ConfigError(f"no OpenAI-compatible endpoint there (tried {tried}): {told}")


async def _models(base_url: str, key: str | None, timeout_s: float) -> list[Any]:
    """The list of models, all its pages."""
    items: list[Any] = []
    place, path = base_url, "/models"
    for _ in range(_MOST_PAGES):
        page = await _get(place, path, key, timeout_s)
        data = page.get("data")
        if data is None and page.get("object") == "list":
            data = []  # as Ollama writes a list without entries
        if not isinstance(data, list):
            raise MalformedResponseError(f"{place}{path} answered without a list of models ('data')")
        items += data
        links = page.get("links")
        following = links.get("next") if isinstance(links, dict) else None
        if not (isinstance(following, str) and following.startswith("/")) or not data:
            break
        parts = urlsplit(base_url)
        place, path = f"{parts.scheme}://{parts.netloc}", following
    return items


def _is_usable(item: Any) -> bool:
    """Whether an entry of the list names a model; a name with a line break or control character is none."""
    return isinstance(item, dict) and isinstance(item.get("id"), str) and bool(item["id"]) and item["id"].isprintable()


async def _details(found: Discovered, items: Sequence[Item], timeout_s: float) -> list[Item]:
    """What the product tells of each model beyond the list; empty where it tells nothing."""
    root = found.base_url.removesuffix("/v1")
    if found.product == "llama.cpp" and len(items) == 1:
        return [await _or_nothing(_get(root, "/props", found.api_key_env, timeout_s))]
    if found.product != "ollama":
        return [{} for _ in items]
    places = asyncio.Semaphore(_AT_ONCE)

    async def shown(item: Item) -> Item:
        async with places:
            body = {"model": item["id"]}
            return await _or_nothing(_get(root, "/api/show", found.api_key_env, timeout_s, body))

    return list(await asyncio.gather(*(shown(item) for item in items)))


async def _is_ollama(found: Discovered, timeout_s: float) -> bool:
    root = found.base_url.removesuffix("/v1")
    answer = await _or_nothing(_get(root, "/api/version", found.api_key_env, timeout_s))
    return isinstance(answer.get("version"), str)


async def _or_nothing(asked: Awaitable[Item]) -> Item:
    """An answer that would only add to what is known."""
    try:
        return await asked
    except CallError:
        return {}


async def _get(base_url: str, path: str, key: str | None, timeout_s: float, body: Item | None = None) -> Item:
    client = JsonClient(
        base_url,
        credentials(key, {}, "smcs pool discover"),
        max_connections=_AT_ONCE,
        connect_timeout_s=min(_CONNECT_TIMEOUT_S, timeout_s),
    )
    try:
        async with asyncio.timeout(timeout_s):
            return await (client.get(path) if body is None else client.post(path, body))
    except TimeoutError:
        raise CallTimeoutError(f"{client.origin} did not answer within {timeout_s:g} seconds") from None
    finally:
        await client.aclose()


def _usual_key(product: Product) -> str | None:
    """The variable that the product's users keep their key in; its list of models is public, its answers are not."""
    return "OPENROUTER_API_KEY" if product == "openrouter" else None


__all__ = ["Discovered", "Offer", "Product", "discover"]
