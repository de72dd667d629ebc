// Streams one answer and colours each token by where it came from.
import { events } from "./events.js";

const $ = (id) => document.getElementById(id);
const KEY = "outrider-key";
let running;

takeKeyFromAddress();
$("key").value = sessionStorage.getItem(KEY) ?? "";
$("key-label").hidden = $("key").value !== "";
$("key").addEventListener("change", () => sessionStorage.setItem(KEY, $("key").value.trim()));
$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  run();
});
$("stop").addEventListener("click", () => running?.abort());
$("prompt").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) run();
});

/** The key comes in the fragment, which no server sees, and leaves the address at once. */
function takeKeyFromAddress() {
  const key = new URLSearchParams(location.hash.slice(1)).get("key");
  if (!key) return;
  sessionStorage.setItem(KEY, key);
  history.replaceState(null, "", location.pathname);
}

async function run() {
  running?.abort();
  const mine = new AbortController();
  running = mine;
  begin();
  try {
    const response = await ask(mine.signal);
    const figures = newFigures();
    for await (const event of events(response.body)) {
      if (event === "[DONE]") return;
      show(JSON.parse(event), figures);
    }
    if ($("problem").hidden) complain("The answer broke off.");
  } catch (error) {
    if (error.name !== "AbortError") complain(error.message);
  } finally {
    if (running === mine) $("stop").disabled = true;
  }
}

function begin() {
  $("answer").replaceChildren();
  $("problem").hidden = true;
  $("stop").disabled = false;
  for (const id of ["speed", "count", "share", "per-step", "release"]) $(id).textContent = "–";
}

async function ask(signal) {
  const headers = {
    authorization: `Bearer ${sessionStorage.getItem(KEY) ?? $("key").value}`,
    "content-type": "application/json",
    "x-outrider-details": "1",
    "x-outrider-drafts": $("drafts").checked ? "on" : "off",
  };
  const models = await get("/v1/models", { headers, signal });
  const model = (await models.json()).data[0].id;
  const isChat = new FormData($("ask")).get("mode") === "chat";
  const prompt = $("prompt").value;
  const body = {
    model,
    stream: true,
    stream_options: { include_usage: true },
    max_tokens: Number($("tokens").value),
    temperature: Number($("temperature").value),
    ...(isChat ? { messages: [{ role: "user", content: prompt }] } : { prompt }),
  };
  const path = isChat ? "/v1/chat/completions" : "/v1/completions";
  return get(path, { method: "POST", headers, signal, body: JSON.stringify(body) });
}

async function get(path, init) {
  const response = await fetch(path, init);
  if (response.ok) return response;
  const problem = await response.json().catch(() => undefined);
  if (response.status === 401) $("key-label").hidden = false;
  throw new Error(problem?.error?.message ?? `${path} answered ${response.status}`);
}

const newFigures = () => ({ first: undefined, tokens: 0, firstTokens: 0, drafted: 0 });

function show(chunk, figures) {
  if (chunk.error) return complain(chunk.error.message);
  if (chunk.usage) $("count").textContent = chunk.usage.completion_tokens;
  const [choice] = chunk.choices;
  if (!choice) return;
  if (choice.finish_reason) return showDetails(chunk.outrider, figures);
  const text = choice.delta?.content ?? choice.text ?? "";
  const { source, accepted, ids } = chunk.outrider ?? {};
  if (ids) count(ids.length, accepted, figures);
  if (text) append(text, source);
}

function append(text, source) {
  const span = document.createElement("span");
  span.className = source ?? "target";
  span.title = source ? `drafted by ${source}` : "target";
  span.textContent = text;
  $("answer").append(span);
}

function count(tokens, accepted, figures) {
  const now = performance.now();
  figures.tokens += tokens;
  figures.drafted += accepted;
  if (figures.first === undefined) {
    figures.first = now;
    figures.firstTokens = figures.tokens;
  } else if (now > figures.first) {
    const speed = ((figures.tokens - figures.firstTokens) * 1000) / (now - figures.first);
    $("speed").textContent = speed.toFixed(1);
  }
  $("count").textContent = figures.tokens;
  $("share").textContent = `${Math.round((100 * figures.drafted) / figures.tokens)} %`;
}

function showDetails(details, figures) {
  if (!details) return;
  if (details.steps) $("per-step").textContent = (figures.tokens / details.steps).toFixed(2);
  $("release").textContent = details.release ?? `none: ${details.note ?? "unknown"}`;
}

function complain(message) {
  $("problem").textContent = message;
  $("problem").hidden = false;
}
