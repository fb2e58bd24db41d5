// Vercel's AI SDK on the four client protocols.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { createAnthropic } from "@ai-sdk/anthropic";
import { createGoogleGenerativeAI } from "@ai-sdk/google";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, streamText, tool } from "ai";
import { z } from "zod";

import { ASK, KEY, PROVIDERS, start } from "./gateway.mjs";

let gateway, models;

before(async () => {
  gateway = await start();
  const openai = createOpenAI({ baseURL: gateway.url + "/v1", apiKey: KEY });
  const anthropic = createAnthropic({ baseURL: gateway.url + "/v1", apiKey: KEY });
  const google = createGoogleGenerativeAI({ baseURL: gateway.url + "/v1beta", apiKey: KEY });
  const compatible = createOpenAICompatible({ name: "polyport", baseURL: gateway.url + "/v1", apiKey: KEY });
  models = (name) => ({
    chat: openai.chat(name),
    compatible: compatible(name),
    responses: openai(name),
    messages: anthropic(name),
    gemini: google(name),
  });
});
after(() => gateway?.stop());

for (const provider of PROVIDERS) {
  for (const client of [...PROVIDERS, "compatible"]) {
    test(`${client} client, ${provider} provider: text, stream, tool`, async () => {
      const model = models(`${provider}-ok`)[client];
      const whole = await generateText({ model, prompt: "Say hello", maxRetries: 0 });
      assert.ok(whole.text);
      assert.equal(whole.finishReason, "stop");
      const streamed = streamText({ model, prompt: "Say hello", maxRetries: 0 });
      let text = "";
      for await (const piece of streamed.textStream) text += piece;
      assert.ok(text);
      const weather = tool({ description: "Current weather", inputSchema: z.object({ city: z.string() }) });
      const called = await generateText({ model, prompt: ASK, tools: { get_weather: weather }, maxRetries: 0 });
      assert.equal(called.toolCalls.length, 1);
      assert.deepEqual(called.toolCalls[0].input, { city: "Oslo" });
    });
  }
}
