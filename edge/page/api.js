// Requests to the API that this page is served with.
import { events } from "./events.js";
import { readKey } from "./key.js";

/** An answer that is no success; `status` tells which. */
export class Refused extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

export async function get(path, signal) {
  return (await send(path, { headers: authorization(), signal })).json();
}

/**
 * The chunks of a streamed answer. `wish`: `{mode, prompt, prediction, tokens, temperature, seed}`;
 * `run`: `{model, drafts, alone}`, where `alone` leaves nothing behind for the next request and uses nothing of others'.
 */
export async function* stream({ mode, prompt, prediction, tokens, temperature, seed }, run, signal) {
  const isChat = mode === "chat";
  const body = {
    model: run.model,
    stream: true,
    stream_options: { include_usage: true },
    ...{ max_tokens: tokens, temperature, seed },
    ...(isChat ? { messages: [{ role: "user", content: prompt }] } : { prompt }),
    ...(prediction && { prediction: { type: "content", content: prediction } }),
  };
  const headers = {
    ...authorization(),
    "content-type": "application/json",
    "x-outrider-details": "1",
    ...(!run.drafts && { "x-outrider-drafts": "off" }),
    ...(run.alone && { "cache-control": "no-store" }),
  };
  const path = isChat ? "/v1/chat/completions" : "/v1/completions";
  const response = await send(path, { method: "POST", headers, body: JSON.stringify(body), signal });
  for await (const data of events(response.body)) {
    if (data === "[DONE]") return;
    const chunk = JSON.parse(data);
    if (chunk.error) throw new Error(chunk.error.message);
    yield chunk;
  }
  throw new Error("The answer broke off.");
}

const authorization = () => ({ authorization: `Bearer ${readKey()}` });

async function send(path, init) {
  const response = await fetch(path, init);
  if (response.ok) return response;
  const problem = await response.json().catch(() => undefined);
  throw new Refused(problem?.error?.message ?? `${path} answered ${response.status}`, response.status);
}
