"""What the entry of an endpoint's list of models means for a pool file, product by product."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias
from urllib.parse import urlsplit

Item: TypeAlias = dict[str, Any]
OfferKind: TypeAlias = Literal["llm", "embedder", "other"]
Product: TypeAlias = Literal["vllm", "sglang", "llama.cpp", "ollama", "openrouter", "openai", "smcs", "unknown"]

_EMBEDDERS = re.compile(r"embed|(?:^|[/_-])(?:bge|e5|gte|minilm|mpnet|nomic-bert)(?=[-_:/.]|$)", re.IGNORECASE)
_NO_CHAT = re.compile(
    r"rerank|whisper|transcri|moderation|guard(?=[-_:/.]|$)|dall-e|gpt-image|stable-diffusion|flux|sora|veo"
    r"|(?:^|[/_-])tts(?=[-_:/.]|$)|realtime|gpt-audio|-audio-|babbage-|davinci-|-instruct-0914|gpt-3\.5-turbo-instruct"
    r"|computer-use|codex-mini|deep-research|search-api",
    re.IGNORECASE,
)
_OPENAI_REASONING = re.compile(r"(?:^|/)(?:o\d|gpt-(?:[5-9]|\d\d))(?!.*chat)", re.IGNORECASE)
_PER_MILLION = 1e6
_BY_OWNER: dict[str, Product] = {"vllm": "vllm", "sglang": "sglang", "llamacpp": "llama.cpp", "smcs": "smcs"}


@dataclass(frozen=True, slots=True)
class Offer:
    """One model of an endpoint.

    Attributes:
        id: what the endpoint calls it.
        kind: an LLM that answers, an embedder, or something that a pool has no use for.
        settings: keys of its ``[[llm]]`` table beyond name, backend, base_url, model and key.
        extra: its ``sampling.extra``.
        notes: sentences for people, written as comments.
    """

    id: str
    kind: OfferKind
    settings: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def product_of(base_url: str, items: Sequence[Item]) -> Product:
    """Which server writes such a list; ``unknown`` where it could be many."""
    owners = {str(item.get("owned_by")) for item in items}
    for owner, product in _BY_OWNER.items():
        if owner in owners:
            return product
    if any(isinstance(item.get("pricing"), dict) and "supported_parameters" in item for item in items):
        return "openrouter"
    host = urlsplit(base_url).hostname or ""
    by_openai = host == "api.openai.com" or bool(owners & {"openai-internal", "system"})
    return "openai" if by_openai else "unknown"


def offer_of(item: Item, product: str, details: Item) -> Offer:
    """What one entry of a list offers.

    Args:
        item: the entry.
        product: see `product_of`.
        details: what the product told beyond the list.
    """
    readers = {
        "vllm": _vllm,
        "sglang": _vllm,
        "llama.cpp": _llama_cpp,
        "ollama": _ollama,
        "openrouter": _openrouter,
        "openai": _openai,
    }
    reader = readers.get(product, _unknown)
    return reader(item, details)


def _kind_by_name(name: str) -> OfferKind:
    if _NO_CHAT.search(name):
        return "other"
    return "embedder" if _EMBEDDERS.search(name) else "llm"


def _vllm(item: Item, details: Item) -> Offer:
    return Offer(item["id"], _kind_by_name(item["id"]), _known(context_length=_count(item.get("max_model_len"))))


def _unknown(item: Item, details: Item) -> Offer:
    context = (
        _count(item.get("context_length")) or _count(item.get("context_window")) or _count(item.get("max_model_len"))
    )
    return Offer(item["id"], _kind_by_name(item["id"]), _known(context_length=context))


def _llama_cpp(item: Item, details: Item) -> Offer:
    meta = _table(item.get("meta"))
    context = _count(_table(details.get("default_generation_settings")).get("n_ctx")) or _count(meta.get("n_ctx"))
    trained = _count(meta.get("n_ctx_train"))
    notes: tuple[str, ...] = ()
    if context is None and trained is not None:
        notes = (f"Trained for {trained} tokens. Set context_length to what the server was started with (-c).",)
    settings = _known(context_length=context, max_concurrency=_count(details.get("total_slots")))
    return Offer(item["id"], _kind_by_name(item["id"]), settings, {"top_logprobs": 1}, notes)


def _ollama(item: Item, details: Item) -> Offer:
    capabilities = details.get("capabilities")
    kind = _kind_by_name(item["id"])
    if isinstance(capabilities, list) and capabilities:
        kind = "llm" if "completion" in capabilities else "embedder" if "embedding" in capabilities else "other"
    set_in_model = re.search(r"^\s*num_ctx\s+(\d+)", str(details.get("parameters") or ""), re.MULTILINE)
    context = _count(int(set_in_model[1][:12])) if set_in_model else None
    notes: list[str] = []
    if context is None:
        most = _trained_context(details)
        notes = [f"The model takes {most} tokens."] if most else []
        notes.append("Set context_length to what the server gives it (OLLAMA_CONTEXT_LENGTH; ollama ps shows it):")
        notes.append("longer prompts are cut without a word.")
    settings = _known(context_length=context, multiple_samples=False, max_concurrency=2)
    return Offer(item["id"], kind, settings, {}, tuple(notes))


def _trained_context(details: Item) -> int | None:
    info = _table(details.get("model_info"))
    return _count(info.get(f"{info.get('general.architecture')}.context_length"))


_SENT_ALWAYS = ("temperature", "top_p", "top_k", "presence_penalty", "frequency_penalty", "seed", "stop")


def _openrouter(item: Item, details: Item) -> Offer:
    modalities = _table(item.get("architecture")).get("output_modalities")
    gives = set(map(str, modalities)) if isinstance(modalities, list) else {"text"}
    kind: OfferKind = _kind_by_name(item["id"]) if "text" in gives else "embedder" if "embeddings" in gives else "other"
    pricing = _table(item.get("pricing"))
    prices = {"price_prompt": _price(pricing.get("prompt")), "price_completion": _price(pricing.get("completion"))}
    given = item.get("supported_parameters")
    supported = set(map(str, given)) if isinstance(given, list) and given else None
    logprobs = supported is None or "logprobs" in supported
    omit = [name for name in _SENT_ALWAYS if supported is not None and name not in supported]
    settings = _known(
        context_length=_count(item.get("context_length")),
        **prices,
        logprobs=None if logprobs else False,
        multiple_samples=False,
        omit=omit or None,
    )
    notes = () if None not in prices.values() else ("Its price varies, so what an answer cost will be unknown.",)
    extra = {"provider": {"require_parameters": True}} if logprobs and supported else {}
    return Offer(item["id"], kind, settings, extra, notes)


def _openai(item: Item, details: Item) -> Offer:
    kind = _kind_by_name(item["id"])
    if kind != "llm" or not _OPENAI_REASONING.search(item["id"]):
        return Offer(item["id"], kind)
    settings = {
        "max_tokens_field": "max_completion_tokens",
        "logprobs": False,
        "omit": ["temperature", "top_p", "presence_penalty", "frequency_penalty", "stop"],
    }
    return Offer(item["id"], kind, settings, {}, ("A reasoning LLM: it refuses what is omitted here.",))


def _table(value: Any) -> Item:
    return value if isinstance(value, dict) else {}


def _count(value: Any) -> int | None:
    """A number of tokens or places, or None where it is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**40 else None


def _price(value: Any) -> float | None:
    """US dollars per million tokens, from dollars a token; a negative one means that it varies."""
    try:
        price = float(value) * _PER_MILLION
    except (TypeError, ValueError):
        return None
    return round(price, 6) if math.isfinite(price) and price >= 0 else None


def _known(**settings: Any) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if value is not None}
