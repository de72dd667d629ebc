/**
 * How long tokens wait in an isolate that drafts for its streams: 16 paced streams, a request and a socket each as at
 * the edge, of which as many draft with the model as have a seat. A message carries the time when it was sent; what
 * drafting computes meanwhile is the difference between drafts on and drafts off.
 */
import { PortfolioDrafter } from "../../../edge/drafting/drafter.ts";
import { Lookup } from "../../../edge/drafting/lookup.ts";
import type { DraftEngine } from "../../../edge/drafting/model/index.ts";
import { seatedModel } from "../../../edge/drafting/model-seats.ts";

const PROMPT = 300;
/** Share of hinted tokens that the paced target confirms: drafting must go on, and be refused now and then. */
const CONFIRMED = 0.7;

/**
 * Serves one stream: a message is a token and says when it was sent (Unix milliseconds); each is answered with the
 * milliseconds that it was late.
 */
export function serveStream(engine: DraftEngine, drafts: boolean, stream: number): Response {
  const { 0: client, 1: server } = new WebSocketPair();
  server.accept();
  const hinted = drafts ? drafterOf(engine, stream) : undefined;
  let position = PROMPT;
  server.addEventListener("message", ({ data }) => {
    server.send(String(Date.now() - Number(data)));
    const hint = hinted?.hintAt(position++);
    const confirmed = hint !== undefined && Math.random() < CONFIRMED ? hint : (position * 7919) % 1000;
    hinted?.drafter.confirm([confirmed]);
  });
  server.addEventListener("close", () => hinted?.drafter.stop());
  return new Response(null, { status: 101, webSocket: client });
}

type Hinted = { drafter: PortfolioDrafter; hintAt(position: number): number | undefined };

function drafterOf(engine: DraftEngine, seed: number): Hinted {
  const { rows } = engine.header.head;
  const prompt = Array.from({ length: PROMPT }, (_, i) => (i * i * 31 + seed * 977) % rows);
  const sampling = { temperature: 0, seed: "0" } as Parameters<typeof seatedModel>[1];
  const model = seatedModel({ id: "bench", engine }, sampling, `stream ${seed}`);
  const drafter = new PortfolioDrafter(prompt, 1000, [new Lookup(), ...(model ? [model] : [])]);
  const hints = new Map<number, number>();
  drafter.prepare();
  drafter.start(({ at, ids }) => {
    ids.forEach((id, i) => {
      hints.set(at + i, id);
    });
  });
  return { drafter, hintAt: (position) => hints.get(position) };
}
