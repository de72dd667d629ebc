/** The verifier's own account of a sequence: it comes after the text, and not always. */
import type { DoneFrame } from "../../gpu-service/protocol/frames.ts";
import type { SequenceEvent } from "../link/link.ts";

/** Longer than a round trip takes. */
const TIMEOUT_MS = 1_000;

export class Report {
  readonly #came: Promise<DoneFrame | null>;
  #come: (report: DoneFrame | null) => void = () => {};

  constructor() {
    this.#came = new Promise((resolve) => {
      this.#come = resolve;
    });
  }

  hear(event: SequenceEvent): void {
    if (event.type === "done") this.#come(event);
    else if (event.type === "broken" || event.type === "error") this.#come(null);
  }

  /** To be asked once the sequence was cancelled or has ended. Null where the account does not come. */
  async arrival(): Promise<DoneFrame | null> {
    const timer = setTimeout(() => this.#come(null), TIMEOUT_MS);
    const report = await this.#came;
    clearTimeout(timer);
    return report;
  }
}
