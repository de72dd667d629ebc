/** The pacing half of the delay measurement: sends each of 16 streams its tokens, from outside the isolate. */
import { setTimeout as wait } from "node:timers/promises";
import type { Miniflare } from "miniflare";
import { median, round } from "../result.ts";

const STREAMS = 16;
const STEP_MS = 25;
const TOKENS = 60;

/** Drafts off and on in turns: the 99th percentile of a token's delay in milliseconds, medians over rounds. */
export async function addedDelay(miniflare: Miniflare, rounds: number): Promise<{ off: number; on: number }> {
  const off: number[] = [];
  const on: number[] = [];
  for (let n = 0; n < Math.min(rounds - 1, 5); n++) {
    off.push(await delayP99(miniflare, ""));
    on.push(await delayP99(miniflare, "&drafts"));
  }
  return { off: round(median(off), 1), on: round(median(on), 1) };
}

async function delayP99(miniflare: Miniflare, drafts: string): Promise<number> {
  const streams = Array.from({ length: STREAMS }, (_, stream) =>
    pace(miniflare, `http://bench/?stream=${stream}${drafts}`, (stream * STEP_MS) / STREAMS),
  );
  const delays = (await Promise.all(streams)).flat().sort((a, b) => a - b);
  return delays[Math.floor(delays.length * 0.99)]!;
}

/** Sends one stream's tokens, the first after `offset` ms; returns how late each was. */
async function pace(miniflare: Miniflare, url: string, offset: number): Promise<number[]> {
  const { webSocket } = await miniflare.dispatchFetch(url, { headers: { upgrade: "websocket" } });
  if (!webSocket) throw new Error(`${url}: no socket`);
  const delays: number[] = [];
  webSocket.addEventListener("message", ({ data }) => {
    delays.push(Math.max(0, Number(data)));
  });
  webSocket.accept();
  await wait(offset);
  for (let n = 0; n < TOKENS; n++) {
    webSocket.send(String(performance.timeOrigin + performance.now()));
    await wait(STEP_MS);
  }
  while (delays.length < TOKENS) await wait(STEP_MS);
  webSocket.close();
  return delays;
}
