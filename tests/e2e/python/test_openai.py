"""The OpenAI SDK: Chat Completions and Responses."""

import base64
import json

import openai
import pytest
from conftest import TINY_PNG

WEATHER = {
    "name": "get_weather",
    "description": "Current weather of a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
ASK = 'call get_weather with {"city":"Oslo"}'
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


@pytest.fixture
def client(gateway):
    return openai.OpenAI(base_url=gateway.url + "/v1", api_key=gateway.key, max_retries=0)


def chat(client, stream, **arguments):
    """One answer, as the SDK's own accumulator sees it."""
    if not stream:
        return client.chat.completions.create(**arguments)
    with client.chat.completions.stream(stream_options={"include_usage": True}, **arguments) as events:
        return events.get_final_completion()


def respond(client, stream, **arguments):
    if not stream:
        return client.responses.create(**arguments)
    with client.responses.stream(**arguments) as events:
        for _ in events:
            pass
        return events.get_final_response()


def test_chat_text_and_usage(client, provider, stream):
    answer = chat(client, stream, model=f"{provider}-ok", messages=[{"role": "user", "content": "Say hello"}])
    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == f"{provider}-ok"
    assert answer.usage.prompt_tokens > 0 and answer.usage.completion_tokens > 0
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_chat_stream_has_no_usage_chunk_unless_asked(client, provider):
    messages = [{"role": "user", "content": "Say hello"}]
    chunks = list(client.chat.completions.create(model=f"{provider}-ok", messages=messages, stream=True))
    assert all(chunk.choices for chunk in chunks)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_chat_tool_round_trip(client, provider, stream):
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": ASK}]
    tools = [{"type": "function", "function": WEATHER}]
    first = chat(client, stream, model=f"{provider}-ok", messages=messages, tools=tools)
    assert first.choices[0].finish_reason == "tool_calls"
    [call] = first.choices[0].message.tool_calls
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments) == {"city": "Oslo"}
    messages.append(first.choices[0].message.model_dump(exclude_none=True, exclude={"parsed"}))
    for entry in messages[-1]["tool_calls"]:
        entry["function"].pop("parsed_arguments", None)
        entry.pop("index", None)
    messages.append({"role": "tool", "tool_call_id": call.id, "content": "3 degrees"})
    second = chat(client, stream, model=f"{provider}-ok", messages=messages, tools=tools)
    assert second.choices[0].finish_reason == "stop"
    assert second.choices[0].message.content


def test_chat_image(client, provider, stream):
    content = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{TINY_PNG}"}},
    ]
    answer = chat(client, stream, model=f"{provider}-ok", messages=[{"role": "user", "content": content}])
    assert answer.choices[0].message.content


def test_chat_structured_output(client, provider, stream):
    form = {"type": "json_schema", "json_schema": {"name": "person", "strict": True, "schema": SCHEMA}}
    messages = [{"role": "user", "content": "Invent a person"}]
    answer = chat(client, stream, model=f"{provider}-ok", messages=messages, response_format=form)
    assert set(json.loads(answer.choices[0].message.content)) == {"name", "age"}


def test_responses_text_and_usage(client, provider, stream):
    answer = respond(client, stream, model=f"{provider}-ok", input="Say hello", instructions="Be brief.")
    assert answer.status == "completed"
    assert answer.output_text
    assert answer.model == f"{provider}-ok"
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens > 0


def test_responses_tool_round_trip(client, provider, stream):
    tools = [{"type": "function", **WEATHER, "strict": False}]
    history = [{"role": "user", "content": ASK}]
    first = respond(client, stream, model=f"{provider}-ok", input=history, tools=tools, store=False)
    [call] = [item for item in first.output if item.type == "function_call"]
    assert json.loads(call.arguments) == {"city": "Oslo"}
    history += [item.model_dump(exclude_none=True, exclude={"parsed_arguments"}) for item in first.output]
    history.append({"type": "function_call_output", "call_id": call.call_id, "output": "3 degrees"})
    second = respond(client, stream, model=f"{provider}-ok", input=history, tools=tools, store=False)
    assert second.status == "completed" and second.output_text


def test_responses_remembers_the_previous_answer(client, provider):
    first = client.responses.create(model=f"{provider}-ok", input="My name is Ana")
    second = client.responses.create(model=f"{provider}-ok", input="Who am I?", previous_response_id=first.id)
    assert second.previous_response_id == first.id
    if provider == "responses":
        # This provider keeps its answers itself; looking them up is not relayed yet.
        return
    assert client.responses.retrieve(first.id).output_text == first.output_text
    items = client.responses.input_items.list(second.id).data
    assert items
    client.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first.id)


def test_responses_image_and_structured_output(client, provider, stream):
    content = [
        {"type": "input_text", "text": "Who is this?"},
        {"type": "input_image", "image_url": f"data:image/png;base64,{TINY_PNG}", "detail": "auto"},
    ]
    form = {"format": {"type": "json_schema", "name": "person", "strict": True, "schema": SCHEMA}}
    history = [{"role": "user", "content": content}]
    answer = respond(client, stream, model=f"{provider}-ok", input=history, text=form)
    assert set(json.loads(answer.output_text)) == {"name", "age"}


ERRORS = [
    (400, openai.BadRequestError),
    (401, openai.InternalServerError),
    (404, openai.NotFoundError),
    (429, openai.RateLimitError),
    (500, openai.InternalServerError),
    (503, openai.InternalServerError),
]


@pytest.mark.parametrize("status,error", ERRORS)
def test_errors_are_typed(client, provider, stream, status, error):
    model = f"{provider}-fail-{status}"
    with pytest.raises(error):
        chat(client, stream, model=model, messages=[{"role": "user", "content": "hi"}])
    with pytest.raises(error):
        respond(client, stream, model=model, input="hi")


def test_wrong_key_and_unknown_model(gateway):
    stranger = openai.OpenAI(base_url=gateway.url + "/v1", api_key="wrong-key", max_retries=0)
    with pytest.raises(openai.AuthenticationError):
        stranger.chat.completions.create(model="chat-ok", messages=[{"role": "user", "content": "hi"}])
    known = openai.OpenAI(base_url=gateway.url + "/v1", api_key=gateway.key, max_retries=0)
    with pytest.raises(openai.NotFoundError) as caught:
        known.chat.completions.create(model="nobody-knows", messages=[{"role": "user", "content": "hi"}])
    assert caught.value.code == "model_not_found"


@pytest.mark.parametrize("behaviour", ["cut", "error"])
def test_failure_in_the_middle_is_an_error(client, provider, behaviour):
    model = f"{provider}-{behaviour}"
    with pytest.raises(openai.APIError):
        for _ in client.chat.completions.create(model=model, messages=[{"role": "user", "content": "hi"}], stream=True):
            pass
    with pytest.raises((openai.APIError, RuntimeError)):
        respond(client, True, model=model, input="hi")


def test_models_and_embeddings_of_the_tiny_image(client):
    assert base64.b64decode(TINY_PNG).startswith(b"\x89PNG")
    names = [model.id for model in client.models.list().data]
    assert all(isinstance(name, str) for name in names)
