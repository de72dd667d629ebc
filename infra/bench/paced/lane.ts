/** Lanes: each a paced verification service behind a network of its own. What runs in one does not wait for another. */

import type { Drafter } from "../../../edge/drafting/drafter.ts";
import { NetworkProxy } from "../../network/proxy.ts";
import { type Asking, AskingServer } from "./asking.ts";
import { NodeLink } from "./node-link.ts";
import type { Regime } from "./regime.ts";
import { type BenchTarget, runSession, type Timed } from "./session.ts";
import { type BenchVerifiers, readPaceKept, startTinyVerifiers } from "./verifier.ts";

export type Text = { prompt: readonly number[]; maxTokens: number };

export type Lane = {
  regime: Regime;
  target: BenchTarget;
  setRtt(ms: number): void;
  /** One completion on the real verifier; `drafter` absent: drafts are off. */
  complete(text: Text, drafter?: Drafter): Promise<Timed>;
  /** One completion in another form, on its emulated verifier. */
  ask(asking: Asking): Promise<Timed>;
  /** Share of the steps since the last call that took longer than their pace: this machine was too slow for them. */
  overrunShare(): Promise<number>;
  close(): Promise<void>;
};

export type Lanes = {
  /** Runs `work` for every item, on whichever lane is free; results in the items' order. */
  map<T, R>(items: readonly T[], work: (item: T, lane: Lane) => Promise<R>): Promise<R[]>;
  /** May be called twice. */
  close(): Promise<void>;
};

/** Throws StartError. */
export async function openLanes(
  count: number,
  regime: Regime,
  env: Record<string, string> = {},
): Promise<Lanes> {
  const verifiers = await startTinyVerifiers(count, regime, env);
  const asking = await AskingServer.listen();
  const lanes = await Promise.all(verifiers.ports.map((port) => openLane(port, verifiers, asking, regime)));
  return {
    async map(items, work) {
      const waiting = items.map((item, i) => ({ item, i }));
      const results: Awaited<ReturnType<typeof work>>[] = [];
      const runLane = async (lane: Lane) => {
        for (let next = waiting.shift(); next; next = waiting.shift()) {
          results[next.i] = await work(next.item, lane);
        }
      };
      await Promise.all(lanes.map(runLane));
      return results;
    },
    async close() {
      for (const lane of lanes.splice(0)) await lane.close();
      asking.close();
      await verifiers.stop();
    },
  };
}

async function openLane(
  port: number,
  { key, target }: BenchVerifiers,
  asking: AskingServer,
  regime: Regime,
): Promise<Lane> {
  const to = (at: number) => NetworkProxy.listen({ to: { host: "127.0.0.1", port: at } });
  const [network, askingNetwork] = await Promise.all([to(port), to(asking.port)]);
  const link = await NodeLink.connect(network.port, key);
  let before = await readPaceKept(port);
  return {
    ...{ regime, target },
    setRtt(ms) {
      for (const proxy of [network, askingNetwork]) proxy.conditions.delayMs = (ms / 2) * regime.dilation;
    },
    complete: (text, drafter) =>
      runSession({ target, seed: "1", temperature: 0.8, ...text }, [link], drafter),
    ask: (form) => asking.run(form, askingNetwork.port),
    async overrunShare() {
      const now = await readPaceKept(port);
      const share = (now.overruns - before.overruns) / Math.max(1, now.steps - before.steps);
      before = now;
      return share;
    },
    async close() {
      link.close();
      await Promise.all([network.close(), askingNetwork.close()]);
    },
  };
}
