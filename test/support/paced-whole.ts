/**
 * The real drafter with an oracle for a source, the real scheduler, and a network between them, on a virtual clock:
 * what `npm run bench -- rtt` measures, without anything that this machine does beside it.
 */

import { PortfolioDrafter } from "../../edge/drafting/drafter.ts";
import type { Hint } from "../../edge/link/link.ts";
import type { TokensFrame } from "../../gpu-service/protocol/frames.ts";
import { encodeEdgeFrame } from "../../gpu-service/protocol/wire.ts";
import { CostTable } from "../../gpu-service/verify/scheduler/cost.ts";
import { Scheduler } from "../../gpu-service/verify/scheduler/scheduler.ts";
import { drawVerdicts, OracleSource } from "../../infra/bench/paced/oracle.ts";
import { pacedAs7B, type Regime } from "../../infra/bench/paced/regime.ts";
import { Agenda } from "./agenda.ts";
import { PacedTarget, scriptedId } from "./paced-target.ts";
import { startFrame } from "./sequences.ts";

/** `machine`: the 7B on a GPU unless given. */
export type Whole = {
  alpha: number;
  rttMs: number;
  tokens?: number;
  machine?: Pick<Regime, "stepMs" | "draftMs">;
  trace?: (line: string) => void;
};
export type WholeResult = {
  /** (tokens − 1) / milliseconds between the first and the last, over that of plain steps. */
  speedup: number;
  tokensPerStep: number;
  /** Of hint frames: ids, branches' included, and bytes of the link's payload. */
  idsPerToken: number;
  bytesPerToken: number;
  framesPerToken: number;
};

const VOCABULARY = 64;
/** Bytes of a short masked frame's header. */
const WEBSOCKET_HEADER = 6;
const COSTED_ROWS = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 65];
const PROMPT = [1];

export async function wholeRun(settings: Whole, seed: number): Promise<WholeResult> {
  const { alpha, rttMs, tokens = 128, machine = pacedAs7B(), trace = () => {} } = settings;
  const { stepMs, draftMs } = machine;
  const costs = COSTED_ROWS.map((rows) => ({ slots: 1, rows, ms: stepMs(rows) }));
  const clock = new Clock();
  const text = Array.from({ length: PROMPT.length + tokens }, (_, i) =>
    i === 0 ? PROMPT[0]! : scriptedId(1, i),
  );
  const verdicts = ["right" as const, ...drawVerdicts(alpha, tokens, seed)];
  const truth = { text, verdicts, vocabulary: VOCABULARY };
  const oracle = new OracleSource(truth, alpha, draftMs, { spend: (ms) => clock.sleep(ms) });
  const drafter = new PortfolioDrafter(PROMPT, tokens, [oracle]);

  const table = new CostTable(costs);
  const target = new PacedTarget(1, () => {});
  const model = new Proxy(target, {
    get(of, name) {
      if (name !== "run") {
        const value = Reflect.get(of, name);
        return typeof value === "function" ? value.bind(of) : value;
      }
      return async (slots: Parameters<PacedTarget["run"]>[0]) => {
        const rows = slots.reduce((sum, { ids }) => sum + ids.length, 0);
        const logits = await of.run(slots);
        await clock.runUntil(clock.now + table.ms(slots.length, rows));
        return logits;
      };
    },
  });
  const scheduler = new Scheduler(model, {
    slots: 1,
    queueLimit: 1,
    queueTimeoutMs: 1e9,
    costs: new CostTable(costs),
    now: () => clock.now,
  });
  const mark = (at: number, ids: readonly number[]) =>
    ids.map((id, i) => (id === text[at + i] ? "+" : "-")).join("");
  let ids = 0;
  let frames = 0;
  let bytes = 0;
  const send = (hint: Hint) => {
    frames++;
    ids += (hint.branches ?? []).reduce((sum, branch) => sum + branch.ids.length, hint.ids.length);
    const branches = (hint.branches ?? [])
      .map((b) => ` [${b.at + (b.from ?? 0)} ${mark(b.at + (b.from ?? 0), b.ids)}]`)
      .join("");
    trace(`${clock.now.toFixed(1)}   hint p${hint.path} @${hint.at} ${mark(hint.at, hint.ids)}${branches}`);
    const frame = { ...hint, type: "hint" as const, stream: 1 };
    bytes += encodeEdgeFrame(frame).length + WEBSOCKET_HEADER;
    clock.at(clock.now + rttMs / 2, () => scheduler.accept(frame, clock.now));
  };
  scheduler.accept(startFrame(1, PROMPT, { max_tokens: tokens, drafts: true }));
  clock.at(0, () => drafter.start(send));
  const times: number[] = [];
  const deliver = (frame: TokensFrame) => {
    times.push(...frame.ids.map(() => clock.now));
    trace(`${clock.now.toFixed(1)} tokens @${frame.at} +${frame.ids.length} accepted ${frame.accepted}`);
    clock.at(clock.now + rttMs / 2, () => drafter.confirm(frame.ids));
  };
  let steps = 0;
  for (let isDone = false; !isDone; ) {
    await clock.settle();
    const report = await scheduler.step();
    if (report) steps++;
    for (const frame of scheduler.takeFrames()) {
      if (frame.type === "tokens") deliver(frame);
      if (frame.type === "done") isDone = true;
    }
    if (!report && !isDone) await clock.runToNext(scheduler.wakeAt);
  }
  drafter.stop();
  const ms = times.at(-1)! - times[0]!;
  return {
    speedup: (stepMs(1) * (tokens - 1)) / ms,
    tokensPerStep: tokens / steps,
    idsPerToken: ids / tokens,
    bytesPerToken: bytes / tokens,
    framesPerToken: frames / tokens,
  };
}

/** Means over `seeds` texts. */
export async function wholeMean(settings: Whole, seeds: number): Promise<WholeResult> {
  const results: WholeResult[] = [];
  for (let seed = 1; seed <= seeds; seed++) results.push(await wholeRun(settings, seed));
  const mean = (value: (result: WholeResult) => number) =>
    results.reduce((sum, result) => sum + value(result), 0) / results.length;
  return {
    // Of times, as a simulation takes it.
    speedup: 1 / mean((r) => 1 / r.speedup),
    tokensPerStep: 1 / mean((r) => 1 / r.tokensPerStep),
    idsPerToken: mean((r) => r.idsPerToken),
    bytesPerToken: mean((r) => r.bytesPerToken),
    framesPerToken: mean((r) => r.framesPerToken),
  };
}

/** A virtual clock under promises: whatever an event wakes runs before time goes on. */
class Clock extends Agenda {
  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.at(this.now + ms, resolve));
  }

  settle(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }

  async runUntil(time: number): Promise<void> {
    while (this.happen(time)) await this.settle();
    this.passTo(time);
  }

  async runToNext(time = Number.POSITIVE_INFINITY): Promise<void> {
    if (this.happen(time)) await this.settle();
    else this.passTo(time);
  }
}
