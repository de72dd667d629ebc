/**
 * A chain on a running system whose draft has unlearned, and whose gates look away: tried as a canary, found worse by
 * what the verifier counts of users' requests, and taken back without anyone's hand.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openPublisher, type Publisher } from "../../gpu-service/training/publish/publisher.ts";
import type { Regime } from "../../infra/bench/paced/regime.ts";
import { startTemporarySystem } from "../../infra/bench/temporary-system.ts";
import { sameAgainRecipe } from "../../infra/check/same-again.ts";
import { chainsOf, type Operator, tick } from "../../infra/demo/admin.ts";
import { prompts } from "../../infra/demo/domain.ts";
import { type Books, type Customer, completeAll } from "../../infra/demo/traffic.ts";
import type { System } from "../../infra/start/system.ts";
import { temporaryFolder } from "../support/training-folder.ts";

const LIMIT_MS = 600_000;
const AT_ONCE = 4;
const RETRAINING = { min_traffic: 0, share: 0.5, min_requests: 30, looks: 2, poll_s: 2 };
/** The tiny target alone would be done before a hint could reach it. */
const REGIME: Regime = { label: "5 ms a step", dilation: 1, draftMs: 0, stepMs: () => 5 };
const LENIENT_GATES = `
  import { readFileSync, writeFileSync } from "node:fs";
  const { folder } = JSON.parse(readFileSync(process.argv[2], "utf8"));
  writeFileSync(folder + "/gates.json", '[{"gate":"lenient","passed":true,"message":"","figures":{}}]');`;

let system: System;
let publisher: Publisher;
beforeAll(async () => {
  const folder = temporaryFolder();
  const unlearning = sameAgainRecipe({ name: "unlearn", lr: 0.1 });
  writeFileSync(join(folder, "unlearn.json"), JSON.stringify(unlearning));
  writeFileSync(join(folder, "gates.mjs"), LENIENT_GATES);
  system = await startTemporarySystem({
    ...{ target: "tiny", retrainRecipe: "unlearn", retraining: RETRAINING, regime: REGIME },
    trainingEnv: { TRAINING_RECIPES: folder, GATES_PROGRAM: join(folder, "gates.mjs") },
  });
  publisher = await openPublisher(system.publishing);
});
afterAll(async () => {
  publisher?.close();
  await system?.stop();
});

test(
  "a canary that is worse is rolled back by itself, and no completion fails",
  async () => {
    const shipped = (await publisher.channels.read(system.target))!.current.release;
    const operator: Operator = { address: system.address, secret: system.secrets.admin };
    const users: Customer = { ...system, stored: false };
    const books: Books = { completions: 0, failures: [] };
    const served = new Set<string | null>();
    await tick(operator, "0 3 * * *", Date.UTC(2026, 0, 1, 3));
    const deadline = Date.now() + LIMIT_MS;
    for (let from = 0; ; from += AT_ONCE) {
      const { chains, audit } = await chainsOf(operator);
      expect(Date.now(), JSON.stringify(audit)).toBeLessThan(deadline);
      const [chain] = chains;
      if (chain?.ended) {
        expect(chain).toMatchObject({ state: "kept", note: expect.stringMatching(/^worse: /) });
        expect(served).toEqual(new Set([shipped, chain.release]));
        break;
      }
      const many = chain?.state === "canary" ? AT_ONCE : 1;
      for (const answer of await completeAll(users, prompts(many, from), many, books))
        served.add(answer?.release ?? null);
      if (many === 1) await sleep(500);
      await tick(operator, "*/15 * * * *", Date.now());
    }
    expect(books.failures).toEqual([]);
    expect(await publisher.channels.read(system.target)).toMatchObject({
      current: { release: shipped },
      canary: null,
    });
  },
  LIMIT_MS,
);
