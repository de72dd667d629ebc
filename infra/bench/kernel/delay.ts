/**
 * How long tokens wait in an isolate that drafts for its streams: 16 paced streams, of which as many draft with the
 * model as have a seat. A token is due at a fixed time and arrives when the isolate gets to it, as it would from a
 * socket: what drafting computes meanwhile is the difference between drafts on and drafts off.
 */
import { PortfolioDrafter } from "../../../edge/drafting/drafter.ts";
import { Lookup } from "../../../edge/drafting/lookup.ts";
import type { DraftEngine } from "../../../edge/drafting/model/index.ts";
import { seatedModel } from "../../../edge/drafting/model-seats.ts";

export const STREAMS = 16;
const STEP_MS = 25;
const TOKENS = 60;
const PROMPT = 300;
/** Share of hinted tokens that the paced target confirms: drafting must go on, and be refused now and then. */
const CONFIRMED = 0.7;

/** One stream, which must be a request of its own as it is at the edge: by how many milliseconds each token came late. */
export function tokenDelays(engine: DraftEngine, drafts: boolean, stream: number): Promise<number[]> {
  const drafter = drafts ? drafterOf(engine, stream) : undefined;
  return pacedStream(performance.now() + 20 + (stream * STEP_MS) / STREAMS, drafter);
}

type Hinted = { drafter: PortfolioDrafter; hintAt(position: number): number | undefined };

function drafterOf(engine: DraftEngine, seed: number): Hinted {
  const { rows } = engine.header.head;
  const prompt = Array.from({ length: PROMPT }, (_, i) => (i * i * 31 + seed * 977) % rows);
  const sampling = { temperature: 0, seed: "0" } as Parameters<typeof seatedModel>[1];
  const model = seatedModel({ id: "bench", engine }, sampling, `stream ${seed}`);
  const drafter = new PortfolioDrafter(prompt, 10 * TOKENS, [new Lookup(), ...(model ? [model] : [])]);
  const hints = new Map<number, number>();
  drafter.prepare();
  drafter.start(({ at, ids }) => {
    ids.forEach((id, i) => {
      hints.set(at + i, id);
    });
  });
  return { drafter, hintAt: (position) => hints.get(position) };
}

/** Receives its tokens from `due` on; returns by how much each came late. */
async function pacedStream(due: number, hinted: Hinted | undefined): Promise<number[]> {
  const delays: number[] = [];
  for (let n = 0; n < TOKENS; n++, due += STEP_MS) {
    await new Promise((resolve) => setTimeout(resolve, due - performance.now()));
    delays.push(Math.max(0, performance.now() - due));
    const hint = hinted?.hintAt(PROMPT + n);
    const confirmed = hint !== undefined && Math.random() < CONFIRMED ? hint : (n * 7919) % 1000;
    hinted?.drafter.confirm([confirmed]);
  }
  hinted?.drafter.stop();
  return delays;
}
