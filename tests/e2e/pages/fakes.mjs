// One small server that stands for every provider: the path says which protocol is spoken, the model what happens.
import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

import { makeIssuer } from "./issuer.mjs";

/** What the beginning of a model's name leads to; the lists of models name one of each. */
export const BEHAVIOURS = {
  fast: "answers at once",
  deep: "thinks first, and says so",
  tool: "calls the first tool of the request, and answers once it has a result",
  slow: "answers in 20 pieces, ten a second",
  long: "answers in 2,000 pieces at once",
  limit: "429 with Retry-After",
  broken: "500",
  refuse: "400",
  cut: "breaks off in the middle of its answer",
  silent: "never answers",
};
export const MODELS = Object.keys(BEHAVIOURS).map((name) => `${name}-1`);

/** The figures that every answer tells. */
export const USAGE = { input: 12, output: 7, reasoning: 3, cached: 4 };

const THOUGHT = "The reader wants a short answer.";
const WORDS = "Hello from the fake provider. 你好。";

/**
 * Starts it on a port of its own. Base URLs: `chat`, `responses`, `messages`, `gemini`; `silent` takes everything and never answers; `token` is the token
 * endpoint of OAuth, which knows refresh tokens that begin with `good`. Keys that hold `wrong` are refused (401), those that hold `spent` are out of
 * allowance (429). `requests` holds what came, the latest last; `pages` HTML by path, as a site of somebody else; `lists` the
 * models by protocol and `answers` what models say, a function from request to
 * `{ thought, text }`, where it is to be something else; `issuer` is an identity provider (`issuer.mjs`).
 */
export async function startFakes() {
  const requests = [];
  const pages = new Map();
  const lists = new Map();
  const answers = new Map();
  const state = { requests, pages, lists, answers };
  const server = createServer((request, response) => {
    answer(request, response, state).catch((error) => {
      if (!response.headersSent) json(response, 500, { error: { message: String(error) } });
      else response.destroy();
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${server.address().port}`;
  state.issuer = makeIssuer(`${url}/issuer`);
  return {
    url,
    issuer: state.issuer,
    chat: `${url}/chat/v1`,
    responses: `${url}/responses/v1`,
    messages: `${url}/messages`,
    gemini: `${url}/gemini`,
    silent: `${url}/silent/v1`,
    token: `${url}/token`,
    requests,
    pages,
    lists,
    answers,
    last: (protocol) => requests.findLast((request) => request.protocol === protocol),
    stop: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

function json(response, status, body, headers = {}) {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(body));
}

async function body(request) {
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}

async function answer(request, response, { requests, pages, lists, answers, issuer }) {
  const { pathname, searchParams } = new URL(request.url, "http://fake");
  const page = pages.get(pathname);
  if (page !== undefined) {
    response.writeHead(200, { "content-type": "text/html; charset=utf-8" });
    return response.end(page);
  }
  if (pathname === "/favicon.ico") return response.writeHead(204).end();
  const text = await body(request);
  if (pathname === "/token") return token(response, new URLSearchParams(text));
  const [, protocol, ...rest] = pathname.split("/");
  if (protocol === "issuer") {
    const { status, headers, body } = issuer.answer(`/${rest.join("/")}`, searchParams, new URLSearchParams(text));
    return response.writeHead(status, headers).end(body);
  }
  const key = keyOf(request, searchParams);
  let sent = {};
  if (text) sent = JSON.parse(text);
  requests.push({ protocol, method: request.method, path: `/${rest.join("/")}`, key, body: sent });
  if (protocol === "silent") return;
  const speak = PROTOCOLS[protocol];
  if (!speak) return json(response, 404, { error: { message: `no protocol ${protocol}` } });
  if (!key || key.includes("wrong")) return json(response, 401, speak.error(401, "Incorrect API key provided"));
  if (key.includes("spent")) return json(response, 429, speak.error(429, "You exceeded your current quota"), { "retry-after": "60" });
  if (request.method === "GET") return json(response, 200, speak.list(lists.get(protocol) ?? MODELS));
  const { model, stream } = speak.read(sent, pathname);
  // Patterns of the configuration keep the name as it was asked for: `chat-fast-1`.
  const behaviour = model.replace(/^(chat|responses|messages|gemini)-/, "").split("-")[0];
  if (behaviour === "silent") return;
  if (behaviour === "limit") return json(response, 429, speak.error(429, "Rate limit reached"), { "retry-after": "30" });
  if (behaviour === "broken") return json(response, 500, speak.error(500, "The server had an error"));
  if (behaviour === "refuse") return json(response, 400, speak.error(400, "This request is not possible"));
  const other = answers.get(model)?.(sent);
  const said = other ? { thought: other.thought, pieces: inPieces(other.text) } : says(behaviour, speak.tool(sent));
  if (!stream) return json(response, 200, speak.whole(model, said));
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
  let left = behaviour === "cut" ? 4 : Infinity;
  for (const event of speak.events(model, said)) {
    if (left-- === 0) return response.destroy();
    response.write(event);
    if (behaviour === "slow") await sleep(100);
  }
  response.end();
}

function token(response, form) {
  const refresh = form.get("refresh_token") ?? "";
  if (!refresh.startsWith("good")) return json(response, 400, { error: "invalid_grant", error_description: "Token has been expired or revoked." });
  json(response, 200, { access_token: `access-of-${refresh}`, token_type: "Bearer", expires_in: 3600 });
}

function keyOf(request, query) {
  const { headers } = request;
  return headers.authorization?.replace(/^Bearer /, "") ?? headers["x-api-key"] ?? headers["x-goog-api-key"] ?? query.get("key") ?? "";
}

/** What is said: a thought, text in pieces, or a call of a tool. */
function says(behaviour, tool) {
  const thought = behaviour === "deep" ? THOUGHT : "";
  if (behaviour === "tool" && tool) return { thought, pieces: [], call: { id: "call_fake_1", name: tool, arguments: '{"city":"Oslo"}' } };
  if (behaviour === "long") return { thought, pieces: Array.from({ length: 2000 }, (_, at) => `word ${at} `) };
  if (behaviour === "slow") return { thought, pieces: Array.from({ length: 20 }, (_, at) => `piece ${at + 1} `) };
  return { thought, pieces: inPieces(WORDS) };
}

const inPieces = (text) => text.split(/(?<= )/);

const sse = (value, name) => `${name ? `event: ${name}\n` : ""}data: ${typeof value === "string" ? value : JSON.stringify(value)}\n\n`;
const openAiError = (status, message) => ({ error: { message, type: status === 429 ? "rate_limit_error" : "invalid_request_error", code: status === 401 ? "invalid_api_key" : null, param: null } });
const openAiList = (models) => ({ object: "list", data: models.map((id) => ({ id, object: "model", created: 1750000000, owned_by: "fake" })) });

const PROTOCOLS = {
  chat: {
    error: openAiError,
    list: openAiList,
    read: (sent) => ({ model: sent.model ?? "", stream: sent.stream === true }),
    tool: (sent) => (sent.messages?.some((message) => message.role === "tool") ? undefined : sent.tools?.[0]?.function?.name),
    usage: () => ({
      prompt_tokens: USAGE.input,
      completion_tokens: USAGE.output,
      total_tokens: USAGE.input + USAGE.output,
      prompt_tokens_details: { cached_tokens: USAGE.cached },
      completion_tokens_details: { reasoning_tokens: USAGE.reasoning },
    }),
    whole(model, { thought, pieces, call }) {
      const message = { role: "assistant", content: call ? null : pieces.join("") };
      if (thought) message.reasoning_content = thought;
      if (call) message.tool_calls = [{ id: call.id, type: "function", function: { name: call.name, arguments: call.arguments } }];
      const choices = [{ index: 0, message, finish_reason: call ? "tool_calls" : "stop" }];
      return { id: "chatcmpl-fake", object: "chat.completion", created: 1750000000, model, choices, usage: this.usage() };
    },
    *events(model, { thought, pieces, call }) {
      const chunk = (delta, finish = null, more = {}) =>
        sse({ id: "chatcmpl-fake", object: "chat.completion.chunk", created: 1750000000, model, choices: [{ index: 0, delta, finish_reason: finish }], ...more });
      yield chunk({ role: "assistant", content: "" });
      if (thought) yield chunk({ reasoning_content: thought });
      for (const piece of pieces) yield chunk({ content: piece });
      if (call) yield chunk({ tool_calls: [{ index: 0, id: call.id, type: "function", function: { name: call.name, arguments: call.arguments } }] });
      yield chunk({}, call ? "tool_calls" : "stop");
      yield sse({ id: "chatcmpl-fake", object: "chat.completion.chunk", created: 1750000000, model, choices: [], usage: this.usage() });
      yield sse("[DONE]");
    },
  },

  responses: {
    error: openAiError,
    list: openAiList,
    read: (sent) => ({ model: sent.model ?? "", stream: sent.stream === true }),
    tool: (sent) => (Array.isArray(sent.input) && sent.input.some((item) => item.type === "function_call_output") ? undefined : sent.tools?.[0]?.name),
    output({ thought, pieces, call }) {
      const items = [];
      if (thought) items.push({ id: "rs_fake", type: "reasoning", summary: [{ type: "summary_text", text: thought }] });
      if (call) items.push({ id: "fc_fake", type: "function_call", status: "completed", call_id: call.id, name: call.name, arguments: call.arguments });
      else items.push({ id: "msg_fake", type: "message", role: "assistant", status: "completed", content: [{ type: "output_text", text: pieces.join(""), annotations: [] }] });
      return items;
    },
    whole(model, said, status = "completed", output = this.output(said)) {
      const usage = {
        input_tokens: USAGE.input,
        input_tokens_details: { cached_tokens: USAGE.cached },
        output_tokens: USAGE.output,
        output_tokens_details: { reasoning_tokens: USAGE.reasoning },
        total_tokens: USAGE.input + USAGE.output,
      };
      return { id: "resp_fake", object: "response", created_at: 1750000000, status, model, output, error: null, usage: status === "completed" ? usage : null };
    },
    *events(model, said) {
      let sequence = 0;
      const event = (type, more) => sse({ type, sequence_number: sequence++, ...more }, type);
      yield event("response.created", { response: this.whole(model, said, "in_progress", []) });
      yield event("response.in_progress", { response: this.whole(model, said, "in_progress", []) });
      for (const [output_index, item] of this.output(said).entries()) {
        const at = { item_id: item.id, output_index };
        yield event("response.output_item.added", { output_index, item: { ...item, status: "in_progress", ...(item.content && { content: [] }), ...(item.summary && { summary: [] }), ...(item.arguments && { arguments: "" }) } });
        if (item.type === "reasoning") {
          yield event("response.reasoning_summary_part.added", { ...at, summary_index: 0, part: { type: "summary_text", text: "" } });
          yield event("response.reasoning_summary_text.delta", { ...at, summary_index: 0, delta: said.thought });
          yield event("response.reasoning_summary_text.done", { ...at, summary_index: 0, text: said.thought });
          yield event("response.reasoning_summary_part.done", { ...at, summary_index: 0, part: item.summary[0] });
        } else if (item.type === "function_call") {
          yield event("response.function_call_arguments.delta", { ...at, delta: item.arguments });
          yield event("response.function_call_arguments.done", { ...at, arguments: item.arguments });
        } else {
          yield event("response.content_part.added", { ...at, content_index: 0, part: { type: "output_text", text: "", annotations: [] } });
          for (const delta of said.pieces) yield event("response.output_text.delta", { ...at, content_index: 0, delta });
          yield event("response.output_text.done", { ...at, content_index: 0, text: said.pieces.join("") });
          yield event("response.content_part.done", { ...at, content_index: 0, part: item.content[0] });
        }
        yield event("response.output_item.done", { output_index, item });
      }
      yield event("response.completed", { response: this.whole(model, said) });
    },
  },

  messages: {
    error: (status, message) => ({ type: "error", error: { type: status === 401 ? "authentication_error" : status === 429 ? "rate_limit_error" : status === 500 ? "api_error" : "invalid_request_error", message } }),
    list: (models) => ({ data: models.map((id) => ({ type: "model", id, display_name: id, created_at: "2025-06-15T00:00:00Z" })), has_more: false, first_id: models[0], last_id: models.at(-1) }),
    read: (sent) => ({ model: sent.model ?? "", stream: sent.stream === true }),
    tool: (sent) => {
      const has = sent.messages?.some(({ content }) => Array.isArray(content) && content.some((block) => block.type === "tool_result"));
      return has ? undefined : sent.tools?.[0]?.name;
    },
    blocks({ thought, pieces, call }) {
      const blocks = [];
      if (thought) blocks.push({ type: "thinking", thinking: thought, signature: "ZmFrZSBzaWduYXR1cmU=" });
      if (call) blocks.push({ type: "tool_use", id: call.id, name: call.name, input: JSON.parse(call.arguments) });
      else blocks.push({ type: "text", text: pieces.join("") });
      return blocks;
    },
    usage: (output) => ({ input_tokens: USAGE.input - USAGE.cached, cache_read_input_tokens: USAGE.cached, cache_creation_input_tokens: 0, output_tokens: output }),
    whole(model, said, content = this.blocks(said), stop = said.call ? "tool_use" : "end_turn") {
      return { id: "msg_fake", type: "message", role: "assistant", model, content, stop_reason: stop, stop_sequence: null, usage: this.usage(stop ? USAGE.output : 1) };
    },
    *events(model, said) {
      const event = (type, more) => sse({ type, ...more }, type);
      yield event("message_start", { message: this.whole(model, said, [], null) });
      for (const [index, block] of this.blocks(said).entries()) {
        const delta = (delta) => event("content_block_delta", { index, delta });
        if (block.type === "thinking") {
          yield event("content_block_start", { index, content_block: { type: "thinking", thinking: "", signature: "" } });
          yield delta({ type: "thinking_delta", thinking: block.thinking });
          yield delta({ type: "signature_delta", signature: block.signature });
        } else if (block.type === "tool_use") {
          yield event("content_block_start", { index, content_block: { ...block, input: {} } });
          yield delta({ type: "input_json_delta", partial_json: JSON.stringify(block.input) });
        } else {
          yield event("content_block_start", { index, content_block: { type: "text", text: "" } });
          for (const text of said.pieces) yield delta({ type: "text_delta", text });
        }
        yield event("content_block_stop", { index });
      }
      yield event("message_delta", { delta: { stop_reason: said.call ? "tool_use" : "end_turn", stop_sequence: null }, usage: { output_tokens: USAGE.output } });
      yield event("message_stop", {});
    },
  },

  gemini: {
    error: (code, message) => ({ error: { code, message, status: code === 401 ? "UNAUTHENTICATED" : code === 429 ? "RESOURCE_EXHAUSTED" : code === 500 ? "INTERNAL" : "INVALID_ARGUMENT" } }),
    list: (models) => ({ models: models.map((id) => ({ name: `models/${id}`, displayName: id, inputTokenLimit: 100000, outputTokenLimit: 8192, supportedGenerationMethods: ["generateContent", "streamGenerateContent", "countTokens"] })) }),
    read: (_sent, path) => {
      const [, model, verb] = /models\/([^:/]+):(\w+)/.exec(decodeURIComponent(path)) ?? [null, "", ""];
      return { model, stream: verb === "streamGenerateContent" };
    },
    tool: (sent) => {
      const has = sent.contents?.some(({ parts }) => parts?.some((part) => part.functionResponse));
      return has ? undefined : sent.tools?.[0]?.functionDeclarations?.[0]?.name;
    },
    piece: (model, parts, more = {}) => ({ candidates: [{ index: 0, content: { role: "model", parts }, ...more }], modelVersion: model, responseId: "gemini-fake" }),
    usage: () => ({
      promptTokenCount: USAGE.input,
      cachedContentTokenCount: USAGE.cached,
      candidatesTokenCount: USAGE.output - USAGE.reasoning,
      thoughtsTokenCount: USAGE.reasoning,
      totalTokenCount: USAGE.input + USAGE.output,
    }),
    last: ({ thought, call, pieces }) => [
      ...(thought ? [{ text: thought, thought: true }] : []),
      call ? { functionCall: { name: call.name, args: JSON.parse(call.arguments) } } : { text: pieces.join("") },
    ],
    whole(model, said) {
      return { ...this.piece(model, this.last(said), { finishReason: "STOP" }), usageMetadata: this.usage() };
    },
    *events(model, said) {
      if (said.thought) yield sse(this.piece(model, [{ text: said.thought, thought: true }]));
      for (const text of said.pieces) yield sse(this.piece(model, [{ text }]));
      const parts = said.call ? [{ functionCall: { name: said.call.name, args: JSON.parse(said.call.arguments) } }] : [{ text: "" }];
      yield sse({ ...this.piece(model, parts, { finishReason: "STOP" }), usageMetadata: this.usage() });
    },
  },
};
