"""LangChain on the four client protocols."""

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_google_genai import ChatGoogleGenerativeAI
from langchain_openai import ChatOpenAI

CLIENTS = ["chat", "responses", "messages", "gemini"]


@pytest.fixture(params=CLIENTS)
def model(gateway, provider, request):
    name = f"{provider}-ok"
    if request.param in ("chat", "responses"):
        return ChatOpenAI(
            model=name,
            base_url=gateway.url + "/v1",
            api_key=gateway.key,
            max_retries=0,
            use_responses_api=request.param == "responses",
        )
    if request.param == "messages":
        return ChatAnthropic(model=name, base_url=gateway.url, api_key=gateway.key, max_retries=0)
    return ChatGoogleGenerativeAI(model=name, base_url=gateway.url, google_api_key=gateway.key, max_retries=1)


def get_weather(city: str) -> str:
    """Current weather of a city."""
    return "3 degrees"


def test_text_stream_and_tool(model):
    assert model.invoke("Say hello").text
    assert "".join(chunk.text for chunk in model.stream("Say hello"))
    answer = model.bind_tools([get_weather]).invoke('call get_weather with {"city":"Oslo"}')
    [call] = answer.tool_calls
    assert call["name"] == "get_weather" and call["args"] == {"city": "Oslo"}
