"""What the OpenAI routes take: types and bounds of a request's body. Unknown keys are refused, null means absent."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

MAX_TEXT = 2_000_000
_DEEPEST = 40

Name: TypeAlias = Annotated[str, Field(min_length=1, max_length=500)]
Text: TypeAlias = Annotated[str, Field(max_length=MAX_TEXT)]
Penalty: TypeAlias = Annotated[float, Field(ge=-2, le=2, allow_inf_nan=False)]
TokenLimit: TypeAlias = Annotated[int, Field(ge=1, le=10_000_000)]
Stop: TypeAlias = Annotated[str, Field(min_length=1, max_length=500)]


def _sendable(value: dict[str, Any]) -> dict[str, Any]:
    """Check that free JSON can be sent on: no deeper than any schema, and valid Unicode."""
    if _depth(value) > _DEEPEST:
        raise ValueError(f"it is nested deeper than {_DEEPEST} levels")
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:
        raise ValueError("it holds text that is not valid Unicode") from None
    except ValueError:
        raise ValueError("it holds numbers that JSON does not know") from None
    return value


def _depth(value: object) -> int:
    deepest, level = 0, [value]
    while level and deepest <= _DEEPEST:
        deepest += 1
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return deepest


FreeJson: TypeAlias = Annotated[dict[str, Any], AfterValidator(_sendable)]


class Body(BaseModel):
    """Base of all: exact types, unknown keys refused, a key that is null is one that is absent."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, values: Any) -> Any:
        return {k: v for k, v in values.items() if v is not None} if isinstance(values, dict) else values


class TextPart(Body):
    """A part of a message. Images, sound and files are not taken."""

    type: Literal["text"]
    text: Text

    @model_validator(mode="before")
    @classmethod
    def _only_text(cls, values: Any) -> Any:
        kind = values.get("type") if isinstance(values, dict) else None
        if isinstance(kind, str) and kind != "text":
            raise ValueError(f"parts of type {kind[:40]!r} are not supported; send text")
        return values


Content: TypeAlias = Text | Annotated[list[TextPart], Field(min_length=1, max_length=1000)]


class FunctionCall(Body):
    """The function that was called, and its arguments as JSON."""

    name: Name
    arguments: Text


class ToolCallBody(Body):
    """A call of a tool."""

    id: Name
    type: Literal["function"] = "function"
    function: FunctionCall
    index: int | None = None


class SystemTurn(Body):
    """Instructions; they go to every LLM."""

    role: Literal["system", "developer"]
    content: Content
    name: Name | None = None


class UserTurn(Body):
    """What the user says. The last one is the question."""

    role: Literal["user"]
    content: Content
    name: Name | None = None


class AssistantTurn(Body):
    """What was answered before. `reasoning_content` is taken and left out."""

    role: Literal["assistant"]
    content: Content | None = None
    refusal: Text | None = None
    reasoning_content: Text | None = None
    tool_calls: Annotated[list[ToolCallBody], Field(max_length=128)] | None = None
    name: Name | None = None


class ToolTurn(Body):
    """What a tool gave."""

    role: Literal["tool"]
    content: Content
    tool_call_id: Name
    name: Name | None = None


Turn: TypeAlias = Annotated[SystemTurn | UserTurn | AssistantTurn | ToolTurn, Field(discriminator="role")]


class FunctionBody(Body):
    """A function that may be called."""

    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
    description: Annotated[str, Field(max_length=20_000)] | None = None
    parameters: FreeJson | None = None
    strict: bool | None = None


class ToolBody(Body):
    """A tool; only functions are known."""

    type: Literal["function"]
    function: FunctionBody


class ChosenFunction(Body):
    """A function by its name."""

    name: Name


class ChosenTool(Body):
    """The tool that must be called."""

    type: Literal["function"]
    function: ChosenFunction


class JsonSchema(Body):
    """The schema that the answer has to follow."""

    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
    description: Annotated[str, Field(max_length=20_000)] | None = None
    schema_: FreeJson | None = Field(default=None, alias="schema")
    strict: bool | None = None


class TextFormat(Body):
    """Any text."""

    type: Literal["text"]


class JsonFormat(Body):
    """Any JSON object."""

    type: Literal["json_object"]


class SchemaFormat(Body):
    """JSON of a schema."""

    type: Literal["json_schema"]
    json_schema: JsonSchema


ResponseFormat: TypeAlias = Annotated[TextFormat | JsonFormat | SchemaFormat, Field(discriminator="type")]


class StreamOptions(Body):
    """How to stream. `include_obfuscation` is taken and has no effect: there is none."""

    include_usage: bool = False
    include_obfuscation: bool | None = None


class SamplingBody(Body):
    """How references are generated, where not as configured."""

    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = None
    top_k: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    max_tokens: TokenLimit | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None


class Extras(Body):
    """What this server alone knows: the strategy, the method's settings, and limits, for this request."""

    strategy: Name | None = None
    k: Annotated[int, Field(ge=1, le=1000)] | None = None
    n_aggregations: Annotated[int, Field(ge=1, le=128)] | None = None
    n_drop: Annotated[int, Field(ge=0, le=1000)] | None = None
    n_base: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    gamma: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = None
    lambda_: Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)] | None = Field(default=None, alias="lambda")
    ppl_score: Literal["linear", "inverse"] | None = None
    prior: Literal["retrieval", "global", "random"] | None = None
    drop: Literal["prior", "random", "none"] | None = None
    posterior: Literal["both", "similarity", "perplexity", "first"] | None = None
    aggregator: Name | None = None
    adaptive: bool | None = None
    agreement: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = None
    tolerance: Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)] | None = None
    skip_agreeing: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    sampling: SamplingBody | None = None
    budget_calls: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    budget_tokens: Annotated[int, Field(ge=1, le=10**12)] | None = None
    budget_usd: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)] | None = None
    deadline_s: Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)] | None = None
    explain: bool = False
    progress: bool = True


class ChatRequest(Body):
    """A request for a chat completion.

    What OpenAI's API knows besides (audio, stored completions, service tiers, ...) is refused by name, except for the
    value that means "none of it".
    """

    model: Name
    messages: Annotated[list[Turn], Field(min_length=1, max_length=5000)]
    stream: bool = False
    stream_options: StreamOptions | None = None
    n: Annotated[int, Field(ge=1, le=128)] = 1
    max_tokens: TokenLimit | None = None
    max_completion_tokens: TokenLimit | None = None
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    seed: Annotated[int, Field(ge=-(2**63), le=2**63 - 1)] | None = None
    stop: Stop | Annotated[list[Stop], Field(max_length=16)] | None = None
    response_format: ResponseFormat | None = None
    logprobs: bool = False
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    tools: Annotated[list[ToolBody], Field(max_length=128)] | None = None
    tool_choice: Literal["none", "auto", "required"] | ChosenTool | None = None
    parallel_tool_calls: bool | None = None
    user: Annotated[str, Field(max_length=512)] | None = None
    store: Literal[False] | None = None
    modalities: Annotated[list[Literal["text"]], Field(max_length=1)] | None = None
    service_tier: Literal["auto", "default"] | None = None
    smcs: Extras = Extras()


class EmbeddingOptions(Body):
    """What this server alone knows: whether the texts are searched for or searched in."""

    kind: Literal["query", "document"] = "document"


class EmbeddingRequest(Body):
    """A request for embeddings of texts. Token arrays are not taken: the embedder reads text."""

    model: Name
    input: (
        Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]
        | Annotated[
            list[Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]], Field(min_length=1, max_length=2048)
        ]
    )
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    user: Annotated[str, Field(max_length=512)] | None = None
    smcs: EmbeddingOptions = EmbeddingOptions()
