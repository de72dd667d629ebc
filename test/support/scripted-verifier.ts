/**
 * A verifier without a model, for tests of the edge: the next token is a function of the text, a step takes a while,
 * and hints are followed as the protocol says. It speaks frames over anything that sends and receives text.
 */
import type {
  EdgeFrame,
  HintFrame,
  HintSource,
  OpenFrame,
  VerifierFrame,
} from "../../gpu-service/protocol/frames.ts";
import { encodeVerifierFrame, parseEdgeFrame } from "../../gpu-service/protocol/wire.ts";

export type Script = {
  next: (text: readonly number[]) => number;
  stepMs?: number;
  /** Answers `open` with this error. */
  refuse?: { code: "overloaded" | "context_too_long" | "internal"; retryable: boolean };
  /** Closes the connection after so many output tokens, once, or `breaks` times. */
  breakAfter?: number | undefined;
  breaks?: number;
  /** Numerics of the first replica that is opened, the next, and so on; "script" for those beyond. */
  numerics?: string[];
  /** Of every output token of a sequence; -0.5 where absent. */
  logprob?: (open: OpenFrame) => number;
  /** Positions at most, whatever the request's cap. */
  context?: number;
};
type Connection = { send(text: string): void; close(): void };

export class ScriptedVerifier {
  readonly opens: OpenFrame[] = [];
  readonly hints: HintFrame[] = [];
  readonly bad: string[] = [];
  cancels = 0;
  seen = 0;
  /** Sequences that have begun and not ended. */
  running = 0;
  closed = 0;
  script: Script;

  constructor(script: Script) {
    this.script = script;
  }

  /** A new connection: returns what to call with each message, and on close. */
  connect(connection: Connection): { receive(text: string): void; close(): void } {
    const sequences = new Map<number, ScriptedSequence>();
    return {
      receive: (text) => {
        const parsed = parseEdgeFrame(text);
        if (!parsed.ok) {
          this.bad.push(parsed.message);
          return connection.close();
        }
        this.#handle(parsed.frame, sequences, connection);
      },
      close: () => {
        this.closed++;
        for (const sequence of sequences.values()) sequence.stop();
        this.running -= sequences.size;
        sequences.clear();
      },
    };
  }

  #handle(frame: EdgeFrame, sequences: Map<number, ScriptedSequence>, connection: Connection): void {
    const { stream } = frame;
    const send = (answer: VerifierFrame) => {
      if (answer.type === "done" && sequences.delete(stream)) this.running--;
      connection.send(encodeVerifierFrame(answer));
    };
    switch (frame.type) {
      case "open":
        this.#open(frame, sequences, connection, send);
        break;
      case "hint":
        this.hints.push(frame);
        sequences.get(stream)?.hint(frame);
        break;
      case "cancel":
        this.cancels++;
        sequences.get(stream)?.finish("cancelled");
        break;
      case "seen":
        this.seen++;
    }
  }

  #open(
    frame: OpenFrame,
    sequences: Map<number, ScriptedSequence>,
    connection: Connection,
    send: (answer: VerifierFrame) => void,
  ): void {
    const { stream } = frame;
    this.opens.push(frame);
    const { refuse } = this.script;
    if (refuse) {
      send({ type: "error", stream, message: "refused by the script", ...refuse });
      return;
    }
    const numerics = this.script.numerics?.[this.opens.length - 1] ?? "script";
    if (frame.numerics !== undefined && frame.numerics !== numerics) {
      const refusal = { code: "numerics_mismatch", message: "other numerics", retryable: false } as const;
      send({ type: "error", stream, ...refusal });
      return;
    }
    const opened = new ScriptedSequence(frame, this.script, numerics, send, () => {
      const breaks = (this.script.breaks ?? 1) - 1;
      this.script = { ...this.script, breaks, breakAfter: breaks ? this.script.breakAfter : undefined };
      connection.close();
    });
    sequences.set(stream, opened);
    this.running++;
    opened.start();
  }
}

class ScriptedSequence {
  readonly #open: OpenFrame;
  readonly #script: Script;
  readonly #numerics: string;
  readonly #send: (frame: VerifierFrame) => void;
  readonly #breakOff: () => void;
  readonly #text: number[];
  #waiting: HintFrame[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #steps = 0;
  readonly #drafted: Partial<Record<HintSource, number[]>> = {};
  readonly #accepted: Partial<Record<HintSource, number[]>> = {};

  constructor(
    open: OpenFrame,
    script: Script,
    numerics: string,
    send: (frame: VerifierFrame) => void,
    breakOff: () => void,
  ) {
    this.#open = open;
    this.#numerics = numerics;
    this.#script = script;
    this.#send = send;
    this.#breakOff = breakOff;
    this.#text = [...open.prompt, ...(open.confirmed ?? [])];
  }

  start(): void {
    const { stream, prompt, prompt_logprobs } = this.#open;
    const scored = prompt.map((id, i) =>
      i === 0 ? null : { logprob: -1, top: [[id, -1] as [number, number]] },
    );
    const limits = { hint_ids: 64, context: 512 };
    this.#send({
      type: "opened",
      stream,
      limits,
      prompt_tokens: prompt.length,
      cached_tokens: 0,
      numerics: this.#numerics,
      ...(prompt_logprobs !== undefined && { prompt_logprobs: scored }),
    });
    if (this.#open.max_tokens === 0) this.finish("length");
    else this.#schedule();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  hint(frame: HintFrame): void {
    if (!this.#open.drafts) return;
    this.#waiting = [...this.#waiting.filter((hint) => hint.path >= frame.path), frame];
  }

  finish(reason: "stop" | "length" | "cancelled"): void {
    this.stop();
    const counts = { steps: this.#steps, drafted: this.#drafted, accepted: this.#accepted };
    const timings = { queued_ms: 0, prefill_ms: 0, decode_ms: 0 };
    this.#send({ type: "done", stream: this.#open.stream, reason, counts, timings });
  }

  #schedule(): void {
    this.#timer = setTimeout(() => this.#step(), this.#script.stepMs ?? 1);
  }

  get #made(): number {
    return this.#text.length - this.#open.prompt.length;
  }

  #step(): void {
    this.#steps++;
    const at = this.#text.length;
    const hinted = this.#hintedIds();
    const ids: number[] = [];
    let accepted = 0;
    for (;;) {
      const id = this.#script.next(this.#text);
      this.#text.push(id);
      ids.push(id);
      const foretold = hinted?.ids[ids.length - 1] === id;
      if (foretold) accepted++;
      if (!foretold || this.#isEnd(id)) break;
    }
    if (hinted) this.#count(hinted, accepted);
    const logprob = this.#script.logprob?.(this.#open) ?? -0.5;
    this.#send({
      type: "tokens",
      stream: this.#open.stream,
      at,
      ids,
      accepted,
      ...(hinted && { source: hinted.source }),
      ...(this.#open.logprobs !== undefined && {
        logprobs: ids.map((id) => ({ logprob, top: [[id, logprob] as [number, number]] })),
      }),
    });
    const last = ids.at(-1)!;
    if (this.#script.breakAfter !== undefined && this.#made >= this.#script.breakAfter) this.#breakOff();
    else if (!this.#isEnd(last)) this.#schedule();
    else this.finish(this.#open.stop_ids.includes(last) ? "stop" : "length");
  }

  #isEnd(id: number): boolean {
    const isFull = this.#text.length >= (this.#script.context ?? Number.POSITIVE_INFINITY);
    return this.#open.stop_ids.includes(id) || this.#made >= this.#open.max_tokens || isFull;
  }

  #hintedIds(): { ids: number[]; source: HintSource } | undefined {
    const end = this.#text.length;
    for (const { at, ids, source } of this.#waiting) {
      const skip = end - at;
      const agrees =
        skip >= 0 && skip < ids.length && ids.slice(0, skip).every((id, i) => id === this.#text[at + i]);
      if (agrees) return { ids: ids.slice(skip), source };
    }
    return undefined;
  }

  #count({ ids, source }: { ids: number[]; source: HintSource }, accepted: number): void {
    const drafted = this.#drafted[source] ?? [];
    const confirmed = this.#accepted[source] ?? [];
    ids.forEach((_, i) => {
      drafted[i] = (drafted[i] ?? 0) + 1;
      confirmed[i] = (confirmed[i] ?? 0) + (i < accepted ? 1 : 0);
    });
    this.#drafted[source] = drafted;
    this.#accepted[source] = confirmed;
  }
}
