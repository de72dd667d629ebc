/** What a verifier that runs writes greedily from prompts, asked over its link as an edge asks. */
import { WebSocket } from "ws";
import { tokenFor } from "../../edge/link/credentials.ts";
import {
  MAX_STOP_IDS,
  NEUTRAL_SAMPLING,
  type OpenFrame,
  type Sampling,
  type VerifierFrame,
} from "../../gpu-service/protocol/frames.ts";
import type { GatesEnvironment } from "../../gpu-service/protocol/gates.ts";
import { offerOf } from "../../gpu-service/protocol/versions.ts";
import { encodeEdgeFrame, parseVerifierFrame } from "../../gpu-service/protocol/wire.ts";
import type { Written } from "../bench/acceptance/written.ts";
import type { Held } from "./evidence.ts";

const TOKENS = 64;
const TENANT = "gates";
/** Prompts at a time: users of the same verifier go on. */
const AT_ONCE = 4;

const GREEDY: Sampling = { temperature: 0, seed: "0", ...NEUTRAL_SAMPLING, logit_bias: [] };

type Asked = Held & { target: string; tokenizer: string };

/** A prompt that is too long for the target is left out. Throws an Error when the verifier refuses, or goes away. */
export async function writeTexts(environment: GatesEnvironment, asked: Asked): Promise<Written[]> {
  const link = await openLink(environment.VERIFIER_URL);
  const key = { id: environment.LINK_KEY_ID, secret: environment.LINK_SECRET };
  const written: (Written | null)[] = [];
  const waiting = [...asked.prompts.entries()];
  const writer = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const [index, { domain, ids: prompt }] = next;
      const request = {
        ...{ target: asked.target, tokenizer: asked.tokenizer, prompt, max_tokens: TOKENS },
        ...{ stop_ids: asked.stop_ids.slice(0, MAX_STOP_IDS), sampling: GREEDY },
        ...{ tenant: TENANT, drafts: false },
      };
      const token = await tokenFor(request, key);
      const stream = index + 1;
      const ids = await link.complete({
        type: "open",
        stream,
        ...offerOf(),
        ...request,
        token,
      });
      written[index] = ids && ids.length > 0 ? { domain, prompt, ids } : null;
    }
  };
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, writer));
  } finally {
    link.close();
  }
  return written.filter((text) => text !== null);
}

type Link = {
  /** The output; null for a prompt that is longer than the target's context. */
  complete(open: OpenFrame): Promise<number[] | null>;
  close(): void;
};

async function openLink(url: string): Promise<Link> {
  const socket = new WebSocket(new URL("/link", url).href);
  await new Promise((resolve, reject) => {
    socket.once("open", resolve);
    socket.once("error", (error) => reject(new Error(`no verifier answers at ${url}: ${error.message}`)));
  });
  const streams = new Map<number, (frame: VerifierFrame | Error) => void>();
  const fail = (error: Error) => {
    for (const take of streams.values()) take(error);
  };
  socket.on("message", (data) => {
    const parsed = parseVerifierFrame(String(data));
    if (!parsed.ok) return fail(new Error(`the verifier sent a bad ${parsed.message}`));
    streams.get(parsed.frame.stream)?.(parsed.frame);
  });
  socket.on("close", () => fail(new Error(`the verifier at ${url} closed its link`)));
  socket.on("error", fail);
  return {
    complete: (open) =>
      new Promise((resolve, reject) => {
        const ids: number[] = [];
        streams.set(open.stream, (frame) => {
          if (frame instanceof Error) return reject(frame);
          if (frame.type === "opened") socket.send(encodeEdgeFrame({ type: "seen", stream: open.stream }));
          if (frame.type === "tokens") ids.push(...frame.ids);
          if (frame.type !== "done" && frame.type !== "error") return;
          streams.delete(open.stream);
          if (frame.type === "done") return resolve(ids);
          if (frame.code === "context_too_long") return resolve(null);
          reject(new Error(`the verifier refused: ${frame.code}: ${frame.message}`));
        });
        socket.send(encodeEdgeFrame(open));
      }),
    close: () => socket.close(),
  };
}
