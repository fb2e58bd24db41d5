"""Recorded answers of real providers through the gateway, as the official SDK of each protocol reads them.

The judge is the SDK of the recording's own protocol: it reads the provider's bytes as they were recorded. What the SDKs of the
other protocols read of the translated answer must say the same: text, tool calls, finish reason and usage.
"""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

import anthropic
import openai
import pytest
from conftest import PROVIDERS, running
from google import genai
from google.genai import errors, types

SHARED = Path(os.environ.get("POLYPORT_SHARED", Path(__file__).parents[4] / "shared"))
FILES = {
    "openai-chat": "chat",
    "openai-compatible": "chat",
    "openai-responses": "responses",
    "anthropic": "messages",
    "gemini": "gemini",
}


def recordings():
    found = []
    for file, protocol in FILES.items():
        path = SHARED / "fixtures/recorded" / f"{file}.jsonl"
        if not path.exists():
            reason = f"the reference folder {SHARED} is absent (POLYPORT_SHARED names another place)"
            return [pytest.param(None, None, marks=pytest.mark.skip(reason=reason))]
        for line in path.read_text().splitlines():
            record = json.loads(line)
            good = record["operation"] == "generate" and record["response"]["status"] == 200
            # A background answer is only promised yet.
            queued = (record["response"].get("body") or {}).get("status") == "queued"
            if good and not queued and "abnormal_stream" not in record["tags"]:
                found.append(pytest.param(protocol, record, id=record["id"]))
    return found


# What has no place in another protocol is told there in words.
TOLD = {"image_output", "code_execution", "refusal"}


@dataclass
class Answer:
    """What an SDK makes of an answer."""

    texts: list = field(default_factory=list)
    calls: list = field(default_factory=list)
    finish: str = "stop"
    usage: tuple | None = None

    def end(self, finish):
        """Not every vendor's finish reason tells of its calls."""
        self.finish = "tools" if finish == "stop" and self.calls else finish


def member(item, name):
    """A member of a model, or of a kind of item that the SDK does not know."""
    return item.get(name) if isinstance(item, dict) else getattr(item, name, None)


def chat_texts(content):
    """The texts of a message; some vendors write it as a list of parts."""
    if isinstance(content, list):
        return [part["text"] for part in content if part.get("type") == "text"]
    return [content] if content else []


def read_chat(clients, model, own):
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
    if not own.stream:
        answer = clients["chat"].chat.completions.create(**body)
        return chat_answer([(choice, choice.message) for choice in answer.choices], [answer.usage])
    body["stream_options"] = {"include_usage": True}
    if own.protocol == "chat":
        # Vendors write what the SDK's accumulator does not take.
        chunks = list(clients["chat"].chat.completions.create(stream=True, **body))
    else:
        chunks = []
        try:
            with clients["chat"].chat.completions.stream(**body) as events:
                chunks += [event.chunk for event in events if event.type == "chunk"]
        except (openai.LengthFinishReasonError, openai.ContentFilterFinishReasonError):
            # The accumulator's way to tell these two finish reasons.
            pass
    pieces = [(choice, choice.delta) for chunk in chunks for choice in chunk.choices]
    return chat_answer(pieces, [chunk.usage for chunk in chunks])


def chat_answer(pieces, usages):
    seen = Answer()
    calls, finish, refused = {}, "stop", False
    for choice, message in pieces:
        if choice.index:
            continue
        refused |= bool(message.refusal)
        seen.texts += chat_texts(message.content) + chat_texts(message.refusal)
        for position, call in enumerate(message.tool_calls or []):
            index = getattr(call, "index", None)
            known = calls.setdefault(position if index is None else index, {"name": "", "words": "", "custom": False})
            known["custom"] |= call.type == "custom"
            said = call.custom if known["custom"] else call.function
            known["name"] += member(said, "name") or ""
            known["words"] += member(said, "input" if known["custom"] else "arguments") or ""
        finish = choice.finish_reason or finish
    for call in calls.values():
        arguments = {"input": call["words"]} if call["custom"] else json.loads(call["words"] or "{}")
        seen.calls.append((call["name"], arguments))
    reasons = {"length": "length", "content_filter": "filter"}
    seen.end("filter" if refused else reasons.get(finish, "stop"))
    for usage in filter(None, usages):
        # Some vendors count reasoning in the total alone.
        output = max(usage.completion_tokens, usage.total_tokens - usage.prompt_tokens)
        seen.usage = (usage.prompt_tokens, output)
    return seen


def last_response(events):
    ends = ("response.completed", "response.incomplete", "response.failed")
    [answer] = [event.response for event in events if event.type in ends]
    return answer


def read_responses(clients, model, own):
    body = {"model": model, "input": "hi"}
    if own.stream and own.protocol == "responses":
        # Vendors write what the SDK's accumulator does not take.
        answer = last_response(clients["responses"].responses.create(stream=True, **body))
    elif own.stream:
        with clients["responses"].responses.stream(**body) as events:
            answer = last_response(events)
    else:
        answer = clients["responses"].responses.create(**body)
    if answer.status == "failed":
        raise openai.APIError(answer.error.message, None, body=None)
    seen = Answer()
    refused = False
    done = {member(item, "call_id") for item in answer.output if member(item, "type") == "shell_call_output"}
    for item in answer.output:
        kind = member(item, "type")
        if kind == "message":
            for part in item.content:
                refused |= part.type == "refusal"
                seen.texts.append(part.refusal if part.type == "refusal" else part.text)
        elif kind == "function_call":
            seen.calls.append((item.name, json.loads(item.arguments or "{}")))
        elif kind == "custom_tool_call":
            seen.calls.append((member(item, "name"), {"input": member(item, "input")}))
        elif kind == "shell_call" and item.call_id not in done:
            seen.calls.append(("shell", item.action.model_dump()))
        elif kind == "tool_search_call" and member(item, "execution") == "client":
            seen.calls.append(("tool_search", member(item, "arguments")))
    reason = answer.incomplete_details and answer.incomplete_details.reason
    if answer.status == "incomplete":
        seen.finish = "filter" if reason == "content_filter" else "length"
    else:
        seen.end("filter" if refused else "stop")
    if answer.usage:
        seen.usage = (answer.usage.input_tokens, answer.usage.output_tokens)
    return seen


def read_messages(clients, model, own):
    body = {"model": model, "max_tokens": 500, "messages": [{"role": "user", "content": "hi"}]}
    if own.stream:
        with clients["messages"].messages.stream(**body) as events:
            answer = events.get_final_message()
    else:
        answer = clients["messages"].messages.create(**body)
    seen = Answer()
    for block in answer.content:
        if block.type == "text":
            seen.texts.append(block.text)
        elif block.type == "tool_use":
            seen.calls.append((block.name, block.input))
    length = ("max_tokens", "model_context_window_exceeded", "pause_turn")
    reasons = {"refusal": "filter", **dict.fromkeys(length, "length")}
    seen.end(reasons.get(answer.stop_reason, "stop"))
    usage = answer.usage
    cached = (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
    seen.usage = (usage.input_tokens + cached, usage.output_tokens)
    return seen


def gemini_call(calls, call):
    """Adds a call, or what a stream adds to the arguments of the latest one."""
    if call.name:
        calls.append((call.name, dict(call.args or {})))
    for piece in call.partial_args or []:
        arguments = calls[-1][1]
        name = piece.json_path.removeprefix("$.")
        arguments[name] = arguments.get(name, "") + (piece.string_value or "")


def read_gemini(clients, model, own):
    models = clients["gemini"].models
    body = {"model": model, "contents": "hi"}
    chunks = list(models.generate_content_stream(**body)) if own.stream else [models.generate_content(**body)]
    seen = Answer()
    for chunk in chunks:
        if chunk.prompt_feedback and chunk.prompt_feedback.block_reason:
            seen.finish = "filter"
        for candidate in (chunk.candidates or [])[:1]:
            for part in (candidate.content and candidate.content.parts) or []:
                if part.function_call:
                    gemini_call(seen.calls, part.function_call)
                elif part.text and not part.thought:
                    seen.texts.append(part.text)
            reason = candidate.finish_reason and candidate.finish_reason.value
            if reason in ("MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL"):
                raise errors.ServerError(500, {"error": {"message": reason}})
            if reason:
                seen.end({"MAX_TOKENS": "length", "STOP": "stop"}.get(reason, "filter"))
        if chunk.usage_metadata:
            usage = chunk.usage_metadata
            seen.usage = (
                (usage.prompt_token_count or 0) + (usage.tool_use_prompt_token_count or 0),
                (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0),
            )
    return seen


READERS = {"chat": read_chat, "responses": read_responses, "messages": read_messages, "gemini": read_gemini}
FAILURES = (openai.APIError, anthropic.APIError, errors.APIError)


@pytest.fixture(scope="module")
def clients(tmp_path_factory):
    with running(tmp_path_factory.mktemp("recordings"), "--recordings") as gateway:
        own = openai.OpenAI(base_url=gateway.url + "/v1", api_key=gateway.key, max_retries=0)
        yield {
            "chat": own,
            "responses": own,
            "messages": anthropic.Anthropic(base_url=gateway.url, api_key=gateway.key, max_retries=0),
            "gemini": genai.Client(api_key=gateway.key, http_options=types.HttpOptions(base_url=gateway.url)),
        }


@dataclass
class Own:
    """How the provider answered."""

    protocol: str
    stream: bool


def read(clients, client, model, own):
    try:
        return READERS[client](clients, model, own)
    except FAILURES as error:
        return f"failed: {type(error).__name__}: {error}"


def in_order(texts, whole):
    at = 0
    for text in texts:
        at = whole.find(text, at)
        if at < 0:
            return False
        at += len(text)
    return True


@pytest.mark.parametrize("protocol,record", recordings())
def test_every_sdk_reads_the_same(clients, protocol, record):
    own = Own(protocol, record["streaming"])
    model = f"{protocol}/{record['id']}"
    wanted = read(clients, protocol, model, own)
    for client in PROVIDERS:
        if client == protocol:
            continue
        seen = read(clients, client, model, own)
        if isinstance(wanted, str):
            assert isinstance(seen, str), f"{client} does not tell a failure: {seen}, {wanted}"
            continue
        assert isinstance(seen, Answer), f"{client}: {seen}"
        if TOLD.isdisjoint(record["tags"]):
            assert "".join(seen.texts) == "".join(wanted.texts), client
        else:
            assert in_order(wanted.texts, "".join(seen.texts)), client
        assert seen.calls == wanted.calls, client
        assert seen.finish == wanted.finish, client
        # Where the provider gave no numbers there is an estimate.
        assert seen.usage == wanted.usage or (wanted.usage is None and seen.usage), client
