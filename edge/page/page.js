// The page: takes a request, runs it with drafts (and without, to compare), and shows what comes.
import { AnswerView } from "./answer.js";
import { get, stream } from "./api.js";
import { drawShares } from "./chart.js";
import { keepKey, readKey, takeKeyFromAddress } from "./key.js";
import { showOperations } from "./operations.js";

const $ = (id) => document.getElementById(id);
const drafted = new AnswerView($("drafted"));
const plain = new AnswerView($("plain"));
let running;

takeKeyFromAddress();
$("key").value = readKey();
$("key-label").hidden = readKey() !== "";
drawShares($("chart"), []);
if (readKey()) operations();

$("key").addEventListener("change", () => {
  keepKey($("key").value);
  operations();
});
$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  run();
});
$("stop").addEventListener("click", () => running?.abort());
$("prompt").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $("ask").requestSubmit();
});

function operations() {
  showOperations($("operations")).catch((error) => complain(error.message));
}

async function run() {
  running?.abort();
  const mine = new AbortController();
  running = mine;
  begin();
  try {
    await answers(wish(), mine.signal);
  } catch (error) {
    if (error.status === 401) $("key-label").hidden = false;
    if (error.name === "AbortError") say("Stopped.");
    else complain(error.message);
  } finally {
    if (running === mine) $("stop").disabled = true;
  }
}

function begin() {
  $("problem").hidden = true;
  $("verdict").hidden = true;
  $("stop").disabled = false;
  $("plain").hidden = !$("compare").checked;
  $("drafted-title").textContent = $("compare").checked ? "With drafts" : "Answer";
  say("Running.");
}

const wish = () => ({
  mode: new FormData($("ask")).get("mode"),
  prompt: $("prompt").value,
  prediction: $("prediction").value,
  tokens: $("tokens").valueAsNumber,
  temperature: $("temperature").valueAsNumber,
  seed: crypto.getRandomValues(new Uint32Array(1))[0],
});

/** One after the other where they are compared: at the same time they would slow each other down. */
async function answers(wanted, signal) {
  const model = (await get("/v1/models", signal)).data[0].id;
  const alone = $("compare").checked;
  const ours = drafted.begin();
  const theirs = plain.begin();
  for await (const chunk of stream(wanted, { model, drafts: true, alone }, signal)) {
    drafted.show(chunk);
    drawShares($("chart"), ours.shares);
  }
  say(`Done: ${ours.tokens} tokens, ${Math.round(100 * ours.share)} % of them drafted ahead.`);
  if (!alone) return;
  const { prediction: _, ...undrafted } = wanted;
  for await (const chunk of stream(undrafted, { model, drafts: false, alone }, signal)) plain.show(chunk);
  judge(ours, theirs);
}

function judge(ours, theirs) {
  const same = ours.text === theirs.text ? "the same text" : "another text (which must not be)";
  const times = ours.speed && theirs.speed ? `${(ours.speed / theirs.speed).toFixed(2)} times as fast` : "too short";
  $("verdict").textContent = `With drafts: ${times}, ${same}.`;
  $("verdict").hidden = false;
  say($("verdict").textContent);
}

function say(text) {
  $("status").textContent = text;
}

function complain(message) {
  $("problem").textContent = message;
  $("problem").hidden = false;
}
