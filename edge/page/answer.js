// One answer on the page: its text, each token coloured by where it came from, and its figures.
import { Tally } from "./tally.js";

const NAMES = {
  model: "the draft model",
  lookup: "lookup",
  memory: "memory",
  prediction: "your prediction",
  guess: "the verifier's own guess",
};

export class AnswerView {
  #text;
  #figures = {};
  #tally;

  /** `section`: where it is shown. */
  constructor(section) {
    const template = document.getElementById("answer-template");
    section.append(template.content.cloneNode(true));
    this.#text = section.querySelector(".answer");
    for (const cell of section.querySelectorAll("[data-figure]")) {
      this.#figures[cell.dataset.figure] = cell;
    }
  }

  begin() {
    this.#tally = new Tally(performance.now());
    this.#text.replaceChildren();
    for (const cell of Object.values(this.#figures)) cell.textContent = "–";
    return this.#tally;
  }

  show(chunk) {
    const [choice] = chunk.choices;
    if (!choice) return;
    if (choice.finish_reason) this.#tally.details = chunk.outrider;
    const { source = null, accepted = 0, ids = [] } = choice.finish_reason ? {} : (chunk.outrider ?? {});
    const text = choice.delta?.content ?? choice.text ?? "";
    this.#tally.add(text, ids.length, accepted, performance.now());
    if (text) this.#append(text, source);
    this.#showFigures();
  }

  #append(text, source) {
    const span = document.createElement("span");
    span.className = source ?? "target";
    span.title = source ? `drafted by ${NAMES[source]}` : "written by the target";
    span.textContent = text;
    this.#text.append(span);
  }

  #showFigures() {
    const { tokens, speed, share, perStep, firstMs, details } = this.#tally;
    this.#set("tokens", tokens);
    this.#set("speed", speed?.toFixed(1));
    this.#set("share", `${Math.round(100 * share)} %`);
    this.#set("per-step", perStep?.toFixed(2));
    this.#set("first", firstMs && `${Math.round(firstMs)} ms`);
    if (details) this.#set("release", details.release ?? `none: ${details.note ?? "unknown"}`);
  }

  #set(name, value) {
    this.#figures[name].textContent = value ?? "–";
  }
}
