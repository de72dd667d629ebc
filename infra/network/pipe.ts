/** Moves what one socket says to another, each chunk when its `Way` lets it out. */
import type { Socket } from "node:net";
import type { Conditions, Way } from "./conditions.ts";

/** Timers are good to a millisecond: what is due within half of one is due. */
const TIMER_SLACK_MS = 0.5;
/** The reader waits while so much is under way, as it would for TCP's window. */
const MAX_UNDER_WAY_BYTES = 4 * 2 ** 20;

type Item = { outAt: number; chunk: Buffer | "end" };

export class Pipe {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #way: Way;
  readonly #conditions: () => Conditions;
  readonly #count: (bytes: number) => void;
  #items: Item[] = [];
  #underWay = 0;
  #timer: NodeJS.Timeout | undefined;
  #isSilent = false;

  constructor(
    from: Socket,
    to: Socket,
    way: Way,
    conditions: () => Conditions,
    count: (bytes: number) => void,
  ) {
    this.#from = from;
    this.#to = to;
    this.#way = way;
    this.#conditions = conditions;
    this.#count = count;
    from.on("data", (chunk: Buffer) => this.#put(chunk, chunk.length));
    from.once("end", () => this.#put("end", 0));
    // An end that came without a FIN (a reset) shows at the other side after the delay too.
    from.once("close", () => this.#put("end", 0));
    to.on("drain", () => this.#sendDue());
  }

  /** Nothing comes out before `time`. */
  stallUntil(time: number): void {
    this.#way.stallUntil(time);
    for (const item of this.#items) item.outAt = Math.max(item.outAt, time);
  }

  /** From now on everything vanishes, the end included: what an idle NAT does. */
  silence(): void {
    this.#isSilent = true;
    this.stop();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#items = [];
  }

  #put(chunk: Item["chunk"], bytes: number): void {
    if (this.#isSilent) return;
    this.#count(bytes);
    this.#underWay += bytes;
    if (this.#underWay > MAX_UNDER_WAY_BYTES) this.#from.pause();
    this.#items.push({ outAt: this.#way.outAt(performance.now(), bytes, this.#conditions()), chunk });
    if (this.#items.length === 1) this.#sendDue();
  }

  #sendDue(): void {
    clearTimeout(this.#timer);
    while (this.#items[0]) {
      const { outAt, chunk } = this.#items[0];
      const waitMs = outAt - performance.now();
      if (waitMs > TIMER_SLACK_MS) {
        this.#timer = setTimeout(() => this.#sendDue(), Math.max(1, Math.round(waitMs)));
        return;
      }
      if (this.#to.writableNeedDrain) return;
      this.#items.shift();
      if (chunk === "end") this.#to.end();
      else this.#send(chunk);
    }
  }

  #send(chunk: Buffer): void {
    this.#underWay -= chunk.length;
    if (this.#underWay <= MAX_UNDER_WAY_BYTES && this.#from.isPaused()) this.#from.resume();
    if (this.#to.writable) this.#to.write(chunk);
  }
}
