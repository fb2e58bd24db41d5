import { ChatReader, chatRequest } from './chat';
import { GeminiReader, geminiRequest } from './gemini';
import { MessagesReader, messagesRequest } from './messages';
import type { ClientProtocol, Draft, Reader, Wire } from './neutral';
import { ResponsesReader, responsesRequest } from './responses';

interface Speech {
  /** Writes a request down. */
  request: (draft: Draft) => Wire;
  reader: () => Reader;
  /** Headers besides the content type; the key stands where the protocol has it. */
  headers: (key: string) => Record<string, string>;
  /** Whether it knows efforts or budgets of reasoning. */
  budget: boolean;
}

export const SPEECH: Record<ClientProtocol, Speech> = {
  chat: { request: chatRequest, reader: () => new ChatReader(), headers: (key) => ({ authorization: `Bearer ${key}` }), budget: false },
  responses: { request: responsesRequest, reader: () => new ResponsesReader(), headers: (key) => ({ authorization: `Bearer ${key}` }), budget: false },
  messages: {
    request: messagesRequest,
    reader: () => new MessagesReader(),
    headers: (key) => ({ 'x-api-key': key, 'anthropic-version': '2023-06-01' }),
    budget: true,
  },
  gemini: { request: geminiRequest, reader: () => new GeminiReader(), headers: (key) => ({ 'x-goog-api-key': key }), budget: true },
};
