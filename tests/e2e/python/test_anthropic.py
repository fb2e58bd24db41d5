"""The Anthropic SDK: Messages, both API versions."""

import json

import anthropic
import pytest
from conftest import TINY_PNG

WEATHER = {
    "name": "get_weather",
    "description": "Current weather of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
ASK = 'call get_weather with {"city":"Oslo"}'


@pytest.fixture(params=[None, "2023-06-01", "2026-10-21"])
def client(gateway, request):
    """The API version of the SDK itself, and each version by name."""
    headers = {"anthropic-version": request.param} if request.param else {}
    return anthropic.Anthropic(base_url=gateway.url, api_key=gateway.key, max_retries=0, default_headers=headers)


def ask(client, stream, **arguments):
    arguments.setdefault("max_tokens", 500)
    if not stream:
        return client.messages.create(**arguments)
    with client.messages.stream(**arguments) as events:
        return events.get_final_message()


def text(answer):
    return "".join(block.text for block in answer.content if block.type == "text")


def test_text_and_usage(client, provider, stream):
    answer = ask(
        client,
        stream,
        model=f"{provider}-ok",
        system="Be brief.",
        messages=[{"role": "user", "content": "Say hello"}],
    )
    assert text(answer)
    assert answer.stop_reason == "end_turn"
    assert answer.model == f"{provider}-ok"
    assert answer.usage.input_tokens > 0 and answer.usage.output_tokens > 0


def test_tool_round_trip(client, provider, stream):
    messages = [{"role": "user", "content": ASK}]
    first = ask(client, stream, model=f"{provider}-ok", messages=messages, tools=[WEATHER])
    assert first.stop_reason == "tool_use"
    [call] = [block for block in first.content if block.type == "tool_use"]
    assert call.name == "get_weather" and call.input == {"city": "Oslo"}
    messages.append({"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in first.content]})
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "3 degrees"}
    messages.append({"role": "user", "content": [result]})
    second = ask(client, stream, model=f"{provider}-ok", messages=messages, tools=[WEATHER])
    assert second.stop_reason == "end_turn" and text(second)


def test_image(client, provider, stream):
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": TINY_PNG}}
    content = [image, {"type": "text", "text": "What is this?"}]
    answer = ask(client, stream, model=f"{provider}-ok", messages=[{"role": "user", "content": content}])
    assert text(answer)


def test_structured_output(client, provider, stream):
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
        "required": ["name", "age"],
        "additionalProperties": False,
    }
    answer = ask(
        client,
        stream,
        model=f"{provider}-ok",
        messages=[{"role": "user", "content": "Invent a person"}],
        output_config={"format": {"type": "json_schema", "schema": schema}},
    )
    assert set(json.loads(text(answer))) == {"name", "age"}


def test_count_tokens(client, provider):
    counted = client.messages.count_tokens(model=f"{provider}-ok", messages=[{"role": "user", "content": "Say hello"}])
    assert counted.input_tokens > 0


# A refused credential of the gateway is a failure of the gateway, and rests (529) from then on.
REFUSED = (anthropic.InternalServerError, getattr(anthropic, "OverloadedError", anthropic.InternalServerError))
ERRORS = [
    (400, anthropic.BadRequestError),
    (401, REFUSED),
    (404, anthropic.NotFoundError),
    (429, anthropic.RateLimitError),
    (500, anthropic.InternalServerError),
    (503, anthropic.APIStatusError),
]


@pytest.mark.parametrize("status,error", ERRORS)
def test_errors_are_typed(client, provider, stream, status, error):
    with pytest.raises(error) as caught:
        ask(client, stream, model=f"{provider}-fail-{status}", messages=[{"role": "user", "content": "hi"}])
    if status == 503:
        assert caught.value.status_code in (503, 529)


def test_wrong_key(gateway):
    stranger = anthropic.Anthropic(base_url=gateway.url, api_key="wrong-key", max_retries=0)
    with pytest.raises(anthropic.AuthenticationError):
        ask(stranger, False, model="chat-ok", messages=[{"role": "user", "content": "hi"}])


@pytest.mark.parametrize("behaviour", ["cut", "error"])
def test_failure_in_the_middle_is_an_error(client, provider, behaviour):
    with pytest.raises(anthropic.APIError):
        ask(client, True, model=f"{provider}-{behaviour}", messages=[{"role": "user", "content": "hi"}])
