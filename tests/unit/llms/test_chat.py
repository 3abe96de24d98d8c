"""Bodies of requests and responses, with the peculiarities of the servers that people run."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smcs.errors import BadRequestError, CallError, MalformedResponseError, RateLimitError
from smcs.llms._chat import completions_of, request_body
from smcs.llms._chat_stream import StreamedBody
from smcs.transport.failures import error_in_body
from smcs.types import Completion, Message, Request, Sampling

ASK = (Message("system", "Be brief."), Message("user", "Why?"))


def body(request: Request, **options: Any) -> dict[str, Any]:
    defaults: dict[str, Any] = {"max_tokens_field": "max_tokens", "omit": (), "logprobs": True}
    return request_body("m", request, **(defaults | options))


def read(choices: object, n: int = 1, **rest: Any) -> list[Completion]:
    def choice_error(choice: Any) -> CallError | None:
        return error_in_body(choice, where="http://host", redact=str)

    answer = {"choices": choices, **rest}
    return completions_of(answer, Request(ASK, n=n), llm="a", where="http://host", choice_error=choice_error)


def choice(text: object = "because", index: int = 0, **rest: Any) -> dict[str, Any]:
    return {"index": index, "message": {"role": "assistant", "content": text}, "finish_reason": "stop", **rest}


def logprobs(*values: object) -> dict[str, Any]:
    return {"content": [{"token": "t", "logprob": value} for value in values]}


class TestRequest:
    def test_only_what_is_set_is_sent(self) -> None:
        assert body(Request(ASK)) == {
            "model": "m",
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}],
        }

    def test_everything_that_is_set_is_sent(self) -> None:
        sampling = Sampling(
            temperature=0.0,
            top_p=0.9,
            top_k=40,
            max_tokens=100,
            presence_penalty=0.0,
            frequency_penalty=0.5,
            seed=0,
            stop=("\n",),
            logprobs=True,
            extra={"min_p": 0.1},
        )
        sent = body(Request(ASK, sampling, n=3))
        del sent["model"], sent["messages"]
        assert sent == {
            "temperature": 0.0,
            "top_p": 0.9,
            "top_k": 40,
            "max_tokens": 100,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.5,
            "seed": 0,
            "stop": ["\n"],
            "logprobs": True,
            "n": 3,
            "min_p": 0.1,
        }

    def test_names_and_omissions_of_an_endpoint(self) -> None:
        sampling = Sampling(temperature=0.7, max_tokens=100, presence_penalty=1.0, logprobs=True)
        sent = body(
            Request(ASK, sampling),
            max_tokens_field="max_completion_tokens",
            omit=("temperature", "presence_penalty"),
            logprobs=False,
        )
        assert sent.keys() == {"model", "messages", "max_completion_tokens"}


class TestResponse:
    def test_text_and_finish_reason(self) -> None:
        (made,) = read([choice(finish_reason="length")])
        assert (made.llm, made.text, made.reasoning, made.finish_reason) == ("a", "because", None, "length")

    @pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
    def test_reasoning_in_a_field_of_its_own(self, field: str) -> None:
        message = {"content": "so", field: "why"}
        (made,) = read([{"message": message}])
        assert (made.text, made.reasoning) == ("so", "why")

    def test_reasoning_between_tags(self) -> None:
        (made,) = read([choice("<think>why</think>so")])
        assert (made.text, made.reasoning) == ("so", "why")

    def test_an_empty_reasoning_field_is_no_reasoning(self) -> None:
        (made,) = read([{"message": {"content": "why</think>so", "reasoning_content": ""}}])
        assert (made.text, made.reasoning) == ("so", "why")

    def test_content_in_parts(self) -> None:
        parts = [
            {"type": "thinking", "thinking": [{"type": "text", "text": "why"}]},
            {"type": "text", "text": "so"},
            "odd",
        ]
        (made,) = read([choice(parts)])
        assert (made.text, made.reasoning) == ("so", "why")

    def test_a_refusal_is_what_the_llm_said(self) -> None:
        (made,) = read([{"message": {"content": None, "refusal": "I'd rather not."}}])
        assert made.text == "I'd rather not."

    def test_a_withheld_answer_is_not_asked_for_again(self) -> None:
        with pytest.raises(BadRequestError, match="content filter"):
            read([choice("", finish_reason="content_filter")])

    def test_choices_are_put_in_order_and_surplus_is_left_out(self) -> None:
        made = read([choice("c", 2), choice("a", 0), choice("b", 1)], n=2)
        assert [c.text for c in made] == ["a", "b"]

    def test_lone_surrogates_do_not_get_through(self) -> None:
        (made,) = read([choice("a\ud800b")])
        assert made.text == "a?b"

    @pytest.mark.parametrize("choices", [None, [], {}, "text", [None], ["x"], [{}], [{"message": None}], 3])
    def test_no_usable_choice(self, choices: object) -> None:
        with pytest.raises(MalformedResponseError):
            read(choices)

    def test_an_error_in_the_only_choice(self) -> None:
        with pytest.raises(RateLimitError):
            read([choice("half", error={"code": 429, "message": "slow down"}, finish_reason="error")])

    def test_an_error_in_one_of_several_choices_loses_only_that(self) -> None:
        made = read([choice("a", 0), choice("", 1, error={"code": 502, "message": "down"})], n=2)
        assert [c.text for c in made] == ["a"]


class TestLogprobs:
    def test_they_are_read(self) -> None:
        (made,) = read([choice(logprobs=logprobs(-0.5, -1, 0))])
        assert made.token_logprobs == (-0.5, -1.0, 0.0)

    def test_rounding_above_zero_is_cut(self) -> None:
        (made,) = read([choice(logprobs=logprobs(1e-9))])
        assert made.token_logprobs == (0.0,)

    @pytest.mark.parametrize(
        "given",
        [None, {}, {"content": None}, {"content": []}, logprobs(-0.5, None), logprobs(float("nan")), logprobs("x"), []],
    )
    def test_what_is_not_given_for_every_token_is_not_given(self, given: object) -> None:
        (made,) = read([choice(logprobs=given)])
        assert made.token_logprobs is None


class TestUsage:
    def test_as_reported(self) -> None:
        (made,) = read([choice()], usage={"prompt_tokens": 7, "completion_tokens": 30})
        assert (made.prompt_tokens, made.completion_tokens) == (7, 30)

    @pytest.mark.parametrize("usage", [None, {}, [], {"prompt_tokens": None, "completion_tokens": "many"}, {"x": -1}])
    def test_estimated_where_it_is_not_reported(self, usage: object) -> None:
        (made,) = read([choice("because of this")], usage=usage)
        assert made.prompt_tokens > 0
        assert made.completion_tokens > 0

    def test_a_prompt_counts_once(self) -> None:
        made = read([choice("a", 0), choice("b", 1)], n=2, usage={"prompt_tokens": 7, "completion_tokens": 2})
        assert [c.prompt_tokens for c in made] == [7, 0]

    def test_tokens_with_logprobs_are_counted_for_each_sample(self) -> None:
        # llama.cpp's server reports the tokens of one choice.
        choices = [choice("a", 0, logprobs=logprobs(-1, -1)), choice("b", 1, logprobs=logprobs(-1, -1, -1))]
        made = read(choices, n=2, usage={"prompt_tokens": 7, "completion_tokens": 3})
        assert [c.completion_tokens for c in made] == [2, 3]

    @given(st.lists(st.text(max_size=30), min_size=1, max_size=6), st.integers(0, 10_000))
    def test_shares_add_up(self, texts: list[str], total: int) -> None:
        choices = [choice(text, i) for i, text in enumerate(texts)]
        made = read(choices, n=len(texts), usage={"prompt_tokens": 1, "completion_tokens": total})
        assert sum(c.completion_tokens for c in made) == total
        assert min(c.completion_tokens for c in made) >= 0

    def test_a_price_that_the_endpoint_names(self) -> None:
        made = read([choice("a", 0), choice("b", 1)], n=2, usage={"cost": 0.25})
        assert [c.cost_usd for c in made] == [0.25, 0.0]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["index", "message", "delta", "content", "logprobs", "logprob", "finish_reason", "text", "error"]
            ),
            inner,
        )
    ),
    max_leaves=20,
)


@given(st.lists(json_values, max_size=4), json_values)
def test_no_response_breaks_the_reading(choices: list[Any], usage: Any) -> None:
    try:
        made = read(choices, n=2, usage=usage)
    except CallError:
        return
    assert 1 <= len(made) <= 2


@given(st.lists(st.dictionaries(st.sampled_from(["choices", "usage", "model"]), json_values), max_size=5))
def test_no_stream_breaks_the_reading(chunks: list[dict[str, Any]]) -> None:
    collected = StreamedBody(lambda _: None)
    for chunk in chunks:
        collected.add(chunk)
    try:
        read(collected.body()["choices"], n=2)
    except CallError:
        return


def test_a_stream_reports_its_tokens() -> None:
    counts: list[int] = []
    collected = StreamedBody(counts.append)
    collected.add({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]})
    collected.add({"choices": [{"index": 0, "delta": {"content": "one"}}]})
    collected.add({"choices": [{"index": 1, "delta": {"content": "a b"}, "logprobs": logprobs(-1, -1)}]})
    assert not collected.ended()
    collected.add({"choices": [{"index": i, "delta": {}, "finish_reason": "stop"} for i in (0, 1)]})
    assert collected.ended()
    assert counts == [1, 3]
