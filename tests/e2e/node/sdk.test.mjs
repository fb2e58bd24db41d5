// The official Node SDKs against a running gateway.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import Anthropic from "@anthropic-ai/sdk";
import { GoogleGenAI, ApiError as GoogleError } from "@google/genai";
import OpenAI from "openai";

import { ASK, KEY, PROVIDERS, TINY_PNG, start } from "./gateway.mjs";

/** The API version of Anthropic's SDK itself, and each version by name. */
const VERSIONS = [undefined, "2023-06-01", "2026-10-21"];

let gateway, openai, anthropic, anthropics, google;

before(async () => {
  gateway = await start();
  openai = new OpenAI({ baseURL: gateway.url + "/v1", apiKey: KEY, maxRetries: 0 });
  anthropics = VERSIONS.map((version) => {
    const defaultHeaders = version ? { "anthropic-version": version } : {};
    return new Anthropic({ baseURL: gateway.url, apiKey: KEY, maxRetries: 0, defaultHeaders });
  });
  [anthropic] = anthropics;
  google = new GoogleGenAI({ apiKey: KEY, httpOptions: { baseUrl: gateway.url } });
});
after(() => gateway?.stop());

const PARAMETERS = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const PERSON = {
  type: "object",
  properties: { name: { type: "string" }, age: { type: "integer" } },
  required: ["name", "age"],
  additionalProperties: false,
};
const keys = (text) => Object.keys(JSON.parse(text)).sort();

for (const provider of PROVIDERS) {
  for (const stream of [false, true]) {
    describe(`${provider}, ${stream ? "stream" : "whole"}`, () => {
      const model = `${provider}-ok`;
      const chat = (body) =>
        stream
          ? openai.chat.completions.stream({ model, stream_options: { include_usage: true }, ...body }).finalChatCompletion()
          : openai.chat.completions.create({ model, ...body });
      const respond = (body) =>
        stream ? openai.responses.stream({ model, ...body }).finalResponse() : openai.responses.create({ model, ...body });
      const message = (body, client = anthropic) =>
        stream
          ? client.messages.stream({ model, max_tokens: 500, ...body }).finalMessage()
          : client.messages.create({ model, max_tokens: 500, ...body });
      const generate = async (body) => {
        if (!stream) return [await google.models.generateContent({ model, ...body })];
        const chunks = [];
        for await (const chunk of await google.models.generateContentStream({ model, ...body })) chunks.push(chunk);
        return chunks;
      };
      const parts = (chunks) => chunks.flatMap((chunk) => chunk.candidates?.[0]?.content?.parts ?? []);
      const joined = (chunks) => parts(chunks).map((part) => (part.thought ? "" : (part.text ?? ""))).join("");

      test("chat: text, image, structured output", async () => {
        const answer = await chat({
          messages: [
            { role: "user", content: [
              { type: "text", text: "What is this?" },
              { type: "image_url", image_url: { url: `data:image/png;base64,${TINY_PNG}` } },
            ] },
          ],
        });
        assert.ok(answer.choices[0].message.content);
        assert.equal(answer.choices[0].finish_reason, "stop");
        assert.ok(answer.usage.prompt_tokens > 0);
        const person = await chat({
          messages: [{ role: "user", content: "Invent a person" }],
          response_format: { type: "json_schema", json_schema: { name: "person", strict: true, schema: PERSON } },
        });
        assert.deepEqual(keys(person.choices[0].message.content), ["age", "name"]);
      });

      test("chat: tool round trip", async () => {
        const tools = [{ type: "function", function: { name: "get_weather", description: "Weather", parameters: PARAMETERS } }];
        const messages = [{ role: "user", content: ASK }];
        const first = await chat({ messages, tools });
        assert.equal(first.choices[0].finish_reason, "tool_calls");
        const [call] = first.choices[0].message.tool_calls;
        assert.deepEqual(JSON.parse(call.function.arguments), { city: "Oslo" });
        messages.push(first.choices[0].message, { role: "tool", tool_call_id: call.id, content: "3 degrees" });
        const second = await chat({ messages, tools });
        assert.ok(second.choices[0].message.content);
      });

      test("responses: text, structured output, tool round trip", async () => {
        const answer = await respond({ input: "Say hello" });
        assert.equal(answer.status, "completed");
        assert.ok(answer.output_text);
        const person = await respond({
          input: "Invent a person",
          text: { format: { type: "json_schema", name: "person", strict: true, schema: PERSON } },
        });
        assert.deepEqual(keys(person.output_text), ["age", "name"]);
        const tools = [{ type: "function", name: "get_weather", description: "Weather", parameters: PARAMETERS, strict: false }];
        const history = [{ role: "user", content: ASK }];
        const first = await respond({ input: history, tools, store: false });
        const call = first.output.find((item) => item.type === "function_call");
        assert.deepEqual(JSON.parse(call.arguments), { city: "Oslo" });
        history.push(...first.output.map(({ parsed_arguments, ...item }) => item));
        history.push({ type: "function_call_output", call_id: call.call_id, output: "3 degrees" });
        const second = await respond({ input: history, tools, store: false });
        assert.ok(second.output_text);
      });

      for (const [index, version] of VERSIONS.entries()) {
        test(`messages ${version ?? "as it comes"}: text, image, structured output, tool round trip`, async () => {
          const client = anthropics[index];
          const answer = await message({
            messages: [{ role: "user", content: [
              { type: "image", source: { type: "base64", media_type: "image/png", data: TINY_PNG } },
              { type: "text", text: "What is this?" },
            ] }],
          }, client);
          assert.equal(answer.stop_reason, "end_turn");
          assert.ok(answer.usage.input_tokens > 0);
          const person = await message({
            messages: [{ role: "user", content: "Invent a person" }],
            output_config: { format: { type: "json_schema", schema: PERSON } },
          }, client);
          assert.deepEqual(keys(person.content.find((block) => block.type === "text").text), ["age", "name"]);
          const tools = [{ name: "get_weather", description: "Weather", input_schema: PARAMETERS }];
          const messages = [{ role: "user", content: ASK }];
          const first = await message({ messages, tools }, client);
          const call = first.content.find((block) => block.type === "tool_use");
          assert.deepEqual(call.input, { city: "Oslo" });
          messages.push({ role: "assistant", content: first.content });
          messages.push({ role: "user", content: [{ type: "tool_result", tool_use_id: call.id, content: "3 degrees" }] });
          const second = await message({ messages, tools }, client);
          assert.equal(second.stop_reason, "end_turn");
        });
      }

      test("gemini: text, image, structured output, tool round trip", async () => {
        const chunks = await generate({
          contents: [{ role: "user", parts: [{ text: "What is this?" }, { inlineData: { mimeType: "image/png", data: TINY_PNG } }] }],
        });
        assert.ok(joined(chunks));
        assert.equal(chunks.at(-1).candidates[0].finishReason, "STOP");
        const person = await generate({
          contents: "Invent a person",
          config: { responseMimeType: "application/json", responseJsonSchema: PERSON },
        });
        assert.deepEqual(keys(joined(person)), ["age", "name"]);
        const config = { tools: [{ functionDeclarations: [{ name: "get_weather", description: "Weather", parametersJsonSchema: PARAMETERS }] }] };
        const contents = [{ role: "user", parts: [{ text: ASK }] }];
        const first = await generate({ contents, config });
        const call = parts(first).find((part) => part.functionCall);
        assert.deepEqual(call.functionCall.args, { city: "Oslo" });
        contents.push({ role: "model", parts: [call] });
        contents.push({ role: "user", parts: [{ functionResponse: { id: call.functionCall.id, name: "get_weather", response: { output: "3 degrees" } } }] });
        assert.ok(joined(await generate({ contents, config })));
      });

      for (const [status, wanted] of [[400, [400]], [401, [500, 502, 503, 529]], [404, [404]], [429, [429]], [500, [500, 502]], [503, [503, 529]]]) {
        test(`provider status ${status} is a typed error everywhere`, async () => {
          const model = `${provider}-fail-${status}`;
          const hi = [{ role: "user", content: "hi" }];
          for (const [call, type] of [
            [() => chat({ model, messages: hi }), OpenAI.APIError],
            [() => respond({ model, input: "hi" }), OpenAI.APIError],
            [() => message({ model, messages: hi }), Anthropic.APIError],
            [() => generate({ model, contents: "hi" }), GoogleError],
          ]) {
            await assert.rejects(call, (error) => {
              assert.ok(error instanceof type, `${error?.constructor?.name}: ${error}`);
              assert.ok(wanted.includes(error.status), `${error.status}: ${error}`);
              return true;
            });
          }
        });
      }
    });
  }

  for (const behaviour of ["cut", "error"]) {
    test(`${provider}: a stream that fails in the middle (${behaviour}) raises`, async () => {
      const model = `${provider}-${behaviour}`;
      const hi = [{ role: "user", content: "hi" }];
      await assert.rejects(openai.chat.completions.stream({ model, messages: hi }).finalChatCompletion(), OpenAI.APIError);
      await assert.rejects(async () => {
        for await (const event of await openai.responses.create({ model, input: "hi", stream: true })) {
          if (event.type === "response.failed") throw new OpenAI.APIError(500, event.response.error, "failed", undefined);
        }
      }, OpenAI.APIError);
      await assert.rejects(anthropic.messages.stream({ model, max_tokens: 9, messages: hi }).finalMessage(), Anthropic.APIError);
      await assert.rejects(async () => {
        for await (const _ of await google.models.generateContentStream({ model, contents: "hi" }));
      }, GoogleError);
    });
  }
}

test("a wrong key is an authentication error", async () => {
  const hi = [{ role: "user", content: "hi" }];
  const wrong = { apiKey: "wrong-key", maxRetries: 0 };
  await assert.rejects(
    new OpenAI({ baseURL: gateway.url + "/v1", ...wrong }).chat.completions.create({ model: "chat-ok", messages: hi }),
    OpenAI.AuthenticationError,
  );
  await assert.rejects(
    new Anthropic({ baseURL: gateway.url, ...wrong }).messages.create({ model: "chat-ok", max_tokens: 9, messages: hi }),
    Anthropic.AuthenticationError,
  );
});
