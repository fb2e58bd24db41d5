"""The Google GenAI SDK."""

import base64
import json

import pytest
from conftest import TINY_PNG
from google import genai
from google.genai import errors, types

ASK = 'call get_weather with {"city":"Oslo"}'
WEATHER = types.Tool(
    function_declarations=[
        types.FunctionDeclaration(
            name="get_weather",
            description="Current weather of a city",
            parameters_json_schema={
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
        )
    ]
)


@pytest.fixture
def client(gateway):
    return genai.Client(api_key=gateway.key, http_options=types.HttpOptions(base_url=gateway.url))


def ask(client, stream, **arguments):
    """All chunks of the answer; one when not streamed."""
    if not stream:
        return [client.models.generate_content(**arguments)]
    return list(client.models.generate_content_stream(**arguments))


def parts(chunks):
    return [
        part
        for chunk in chunks
        for candidate in chunk.candidates or []
        for part in (candidate.content and candidate.content.parts) or []
    ]


def text(chunks):
    return "".join(part.text or "" for part in parts(chunks) if not part.thought)


def test_text_and_usage(client, provider, stream):
    config = types.GenerateContentConfig(system_instruction="Be brief.")
    chunks = ask(client, stream, model=f"{provider}-ok", contents="Say hello", config=config)
    assert text(chunks)
    assert chunks[-1].candidates[0].finish_reason == types.FinishReason.STOP
    usage = chunks[-1].usage_metadata
    assert usage.prompt_token_count > 0 and usage.candidates_token_count > 0
    assert chunks[-1].model_version == f"{provider}-ok"


def test_tool_round_trip(client, provider, stream):
    config = types.GenerateContentConfig(
        tools=[WEATHER], automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True)
    )
    history = [types.Content(role="user", parts=[types.Part(text=ASK)])]
    first = ask(client, stream, model=f"{provider}-ok", contents=history, config=config)
    [call] = [part for part in parts(first) if part.function_call]
    assert call.function_call.name == "get_weather" and call.function_call.args == {"city": "Oslo"}
    history.append(types.Content(role="model", parts=[call]))
    response = types.FunctionResponse(
        id=call.function_call.id, name="get_weather", response={"output": "3 degrees"}
    )
    history.append(types.Content(role="user", parts=[types.Part(function_response=response)]))
    second = ask(client, stream, model=f"{provider}-ok", contents=history, config=config)
    assert text(second)


def test_image(client, provider, stream):
    image = types.Part.from_bytes(data=base64.b64decode(TINY_PNG), mime_type="image/png")
    assert text(ask(client, stream, model=f"{provider}-ok", contents=["What is this?", image]))


def test_structured_output(client, provider, stream):
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
        "required": ["name", "age"],
    }
    config = types.GenerateContentConfig(response_mime_type="application/json", response_json_schema=schema)
    chunks = ask(client, stream, model=f"{provider}-ok", contents="Invent a person", config=config)
    assert set(json.loads(text(chunks))) == {"name", "age"}


def test_count_tokens(client, provider):
    assert client.models.count_tokens(model=f"{provider}-ok", contents="Say hello").total_tokens > 0


@pytest.mark.parametrize(
    "status,error,code",
    [
        (400, errors.ClientError, 400),
        (401, errors.ServerError, None),
        (404, errors.ClientError, 404),
        (429, errors.ClientError, 429),
        (500, errors.ServerError, 500),
        (503, errors.ServerError, 503),
    ],
)
def test_errors_are_typed(client, provider, stream, status, error, code):
    with pytest.raises(error) as caught:
        ask(client, stream, model=f"{provider}-fail-{status}", contents="hi")
    if code:
        assert caught.value.code == code


def test_wrong_key(gateway):
    stranger = genai.Client(api_key="wrong-key", http_options=types.HttpOptions(base_url=gateway.url))
    with pytest.raises(errors.ClientError) as caught:
        ask(stranger, False, model="chat-ok", contents="hi")
    assert caught.value.code == 401


@pytest.mark.parametrize("behaviour", ["cut", "error"])
def test_failure_in_the_middle_is_an_error(client, provider, behaviour):
    with pytest.raises(errors.APIError):
        ask(client, True, model=f"{provider}-{behaviour}", contents="hi")
