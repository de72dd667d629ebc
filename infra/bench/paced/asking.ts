/**
 * The forms of speculative decoding that ours is compared with, over the same network, pace and oracle:
 * ask-and-wait (draft a block, send it, wait for the answer), the same drafting its next block during the flight,
 * and the draft beside the target (on the verifier's own core, between its steps).
 *
 * Their verifier is emulated whole: it knows the target's text, and takes for each step the regime's time and what a
 * step of the real service takes beyond that.
 */
import type { AddressInfo } from "node:net";
import { WebSocket, WebSocketServer } from "ws";
import { Queue } from "../../../edge/completion/queue.ts";
import { type OracleTruth, wrongIds } from "./oracle.ts";
import type { Regime } from "./regime.ts";
import { Schedule } from "./schedule.ts";
import type { Timed } from "./session.ts";

export type Form = "ask_wait" | "ask_wait_flight" | "beside";
export const FORMS = ["ask_wait", "ask_wait_flight", "beside"] as const;
export const BLOCKS = [1, 2, 3, 4, 6, 8, 12, 16];

/** `overheadMs`: what a step of the real service takes beyond its pace, which any form would pay. */
export type Asking = {
  form: Form;
  block: number;
  truth: OracleTruth;
  promptLength: number;
  regime: Regime;
  overheadMs: number;
};

/** How many guesses in a row are right from `position` on, `most` at most. */
function rightFrom({ verdicts, text }: OracleTruth, position: number, most: number): number {
  let right = 0;
  while (right < most && position + right < text.length && verdicts[position + right] === "right") right++;
  return right;
}

/** The block with which all of them together take the least time, by arithmetic. */
export function bestBlock(askings: readonly Omit<Asking, "block">[], rttMs: number): number {
  const times = BLOCKS.map((block) =>
    askings.reduce((total, asking) => total + expectedMs({ ...asking, block }, rttMs), 0),
  );
  return BLOCKS[times.indexOf(Math.min(...times))]!;
}

function expectedMs({ form, block, truth, promptLength, regime, overheadMs }: Asking, rttMs: number): number {
  const { draftMs, stepMs } = regime;
  const flightMs = (form === "beside" ? 0 : rttMs) + stepMs(1 + block) + overheadMs;
  let ms = 0;
  let isReady = false;
  for (let at = promptLength + 1; at < truth.text.length; ) {
    ms += flightMs + (isReady ? Math.max(0, (block + 1) * draftMs - flightMs) : block * draftMs);
    const right = rightFrom(truth, at, block);
    at += right + 1;
    isReady = isDrafted({ form, block, truth }, at - 1 - right);
  }
  return ms;
}

/** Whether the block after the one at `at` could be drafted in its flight: all of it right, and the id behind it. */
function isDrafted({ form, block, truth }: Pick<Asking, "form" | "block" | "truth">, at: number): boolean {
  return form === "ask_wait_flight" && rightFrom(truth, at, block + 1) === block + 1;
}

/** The emulated verifier of all forms: one socket per completion. */
export class AskingServer {
  readonly #server: WebSocketServer;
  /** Completions to come, by the path that their socket asks for. */
  readonly #expected = new Map<string, Asking>();
  #count = 0;

  private constructor(server: WebSocketServer) {
    this.#server = server;
    server.on("connection", (socket, request) => {
      const asking = this.#expected.get(request.url ?? "");
      this.#expected.delete(request.url ?? "");
      if (asking) verify(socket, asking);
      else socket.terminate();
    });
  }

  static listen(): Promise<AskingServer> {
    const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
    return new Promise((resolve) => server.once("listening", () => resolve(new AskingServer(server))));
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Runs one completion over `port`, which leads here. */
  async run(asking: Asking, port: number): Promise<Timed> {
    const path = `/${++this.#count}`;
    this.#expected.set(path, asking);
    const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`);
    await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
    try {
      return await ask(socket, asking);
    } finally {
      socket.terminate();
    }
  }

  close(): void {
    for (const socket of this.#server.clients) socket.terminate();
    this.#server.close();
  }
}

/** The verifier's side: prefill, then a step for each block; beside the target, the drafts are its own work. */
function verify(socket: WebSocket, asking: Asking): void {
  const { form, block, truth, promptLength, regime, overheadMs } = asking;
  // One step's lateness is made good in the next, however long after it.
  const schedule = new Schedule(Number.POSITIVE_INFINITY);
  const answer = (at: number, right: number) => {
    socket.send(JSON.stringify(truth.text.slice(at, at + right + 1)));
    return at + right + 1;
  };
  socket.on("message", async (data) => {
    const [at, ids] = JSON.parse(String(data)) as [number, number[]];
    await schedule.spend(regime.stepMs(at === promptLength ? promptLength : 1 + ids.length) + overheadMs);
    const wrongAt = ids.findIndex((id, i) => id !== truth.text[at + i]);
    let end = answer(at, wrongAt < 0 ? ids.length : wrongAt);
    while (form === "beside" && end < truth.text.length && socket.readyState === WebSocket.OPEN) {
      await schedule.spend(block * regime.draftMs + regime.stepMs(1 + block) + overheadMs);
      end = answer(end, rightFrom(truth, end, block));
    }
  });
}

/** The edge's side. */
async function ask(socket: WebSocket, asking: Asking): Promise<Timed> {
  const { block, truth, promptLength, regime, form } = asking;
  const timed: Timed = { ids: [], times: [], startedAt: performance.now(), report: undefined };
  const inbox = new Queue<number[]>();
  socket.on("message", (data) => inbox.push(JSON.parse(String(data))));
  const drafting = new Schedule();
  const end = () => promptLength + timed.ids.length;
  const hear = async () => {
    const ids = await inbox.next();
    timed.ids.push(...ids);
    timed.times.push(...ids.map(() => performance.now()));
  };
  socket.send(JSON.stringify([promptLength, []]));
  await hear();
  for (let readyMs = block * regime.draftMs; end() < truth.text.length; ) {
    if (form !== "beside") {
      if (readyMs > 0) await drafting.spend(readyMs);
      const at = end();
      socket.send(JSON.stringify([at, guessed(truth, at, block)]));
      const sentAt = performance.now();
      await hear();
      const inFlightMs = (block + 1) * regime.draftMs - (performance.now() - sentAt);
      readyMs = isDrafted(asking, at) ? inFlightMs : block * regime.draftMs;
    } else await hear();
  }
  return timed;
}

/** A block as the oracle drafts it. */
const guessed = (truth: OracleTruth, at: number, block: number): number[] =>
  truth.text
    .slice(at, at + block)
    .map((id, i) => (truth.verdicts[at + i] === "right" ? id : wrongIds(truth, at + i)[0]));
