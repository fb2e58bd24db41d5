// A small server around llama.cpp (npm's node-llama-cpp), for Polyport to start when it is first asked:
//
//   providers:
//     llama:
//       models: [tiny]
//       server: { command: node, args: [llama-server.mjs, /models/tiny.gguf, "{{ port }}"] }
//
// It speaks as much of Chat Completions as Polyport needs for text: plain messages, `max_tokens`, `temperature`, streams.
import { createServer } from "node:http";
import { getLlama, LlamaCompletion } from "node-llama-cpp";

const [path, port, threads] = process.argv.slice(2);
// Asked before the model is here, it says that it is not ready.
let model = null;

/** One completion after the other: each has a context of its own, so that nothing is left of the one before. */
let before = Promise.resolve();
const inTurn = (work) => (before = before.then(work, work));

async function complete(asked, signal, say) {
  const context = await model.createContext({ contextSize: { max: 2048 }, threads: threads ? Number(threads) : undefined });
  try {
    const completion = new LlamaCompletion({ contextSequence: context.getSequence() });
    const words = asked.messages.map(({ role, content }) => `<|im_start|>${role}\n${content}<|im_end|>\n`);
    const { metadata } = await completion.generateCompletionWithMeta(words.join("") + "<|im_start|>assistant\n", {
      maxTokens: asked.max_tokens ?? 128,
      temperature: asked.temperature ?? 0,
      signal,
      stopOnAbortSignal: true,
      onTextChunk: say,
    });
    return metadata.stopReason === "maxTokens" ? "length" : "stop";
  } finally {
    await context.dispose();
  }
}

async function answer(request, response) {
  const json = (status, body) => response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  const failed = (status, message) => json(status, { error: { message, type: status < 500 ? "invalid_request_error" : "api_error" } });
  if (request.url === "/health") return json(model ? 200 : 503, { status: model ? "ok" : "loading model" });
  if (request.method !== "POST" || request.url !== "/v1/chat/completions") return failed(404, "there is no such address");
  if (!model) return failed(503, "the model is being loaded");
  const body = [];
  for await (const chunk of request) body.push(chunk);
  const asked = JSON.parse(Buffer.concat(body));
  const gone = new AbortController();
  response.on("close", () => gone.abort());
  const about = { id: `chatcmpl-${Date.now()}`, created: Math.floor(Date.now() / 1000), model: asked.model };
  await inTurn(async () => {
    if (gone.signal.aborted) return;
    if (!asked.stream) {
      let text = "";
      const finish_reason = await complete(asked, gone.signal, (chunk) => (text += chunk));
      const message = { role: "assistant", content: text, refusal: null };
      return json(200, { ...about, object: "chat.completion", choices: [{ index: 0, message, logprobs: null, finish_reason }] });
    }
    response.writeHead(200, { "content-type": "text/event-stream" });
    const chunk = (delta, finish_reason = null) =>
      response.write(`data: ${JSON.stringify({ ...about, object: "chat.completion.chunk", choices: [{ index: 0, delta, finish_reason }] })}\n\n`);
    chunk({ role: "assistant", content: "" });
    chunk({}, await complete(asked, gone.signal, (content) => chunk({ content })));
    response.end("data: [DONE]\n\n");
  });
}

createServer((request, response) => {
  answer(request, response).catch((error) => {
    console.error(error);
    if (response.headersSent) return response.destroy();
    response.writeHead(500, { "content-type": "application/json" }).end(JSON.stringify({ error: { message: String(error), type: "api_error" } }));
  });
}).listen(Number(port), "127.0.0.1");

const llama = await getLlama({ gpu: false, build: "never" });
model = await llama.loadModel({ modelPath: path });
