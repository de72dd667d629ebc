/** A few of `npm run check:swaps`, then traffic through the real queue: captured, counted, deleted. */
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { statisticsSchema } from "../../gpu-service/protocol/statistics.ts";
import { startTemporarySystem } from "../../infra/bench/temporary-system.ts";
import { checkSwaps } from "../../infra/check/swap-run.ts";
import { ask } from "../../infra/releases/admin.ts";
import { keysCommand } from "../../infra/releases/api-keys.ts";
import { trafficCommand } from "../../infra/releases/traffic.ts";
import { ROOT } from "../../infra/start/paths.ts";
import type { System } from "../../infra/start/system.ts";

const QUEUE_TIMEOUT_MS = 60_000;
let system: System;
beforeAll(async () => {
  system = await startTemporarySystem({ target: "tiny" });
});
afterAll(() => system?.stop());

const admin = () => ({ address: system.address, secret: system.secrets.admin, fetch });

it("fails no completion and changes no text while releases are promoted, tried and taken back", async () => {
  const draft = join(ROOT, "infra/models/tiny/draft");
  const report = await checkSwaps(system, { draft, swaps: 4 });
  expect(report.failures).toEqual([]);
  expect(report).toMatchObject({ swaps: 4, texts: 1 });
  expect(Math.max(...report.uptakeS)).toBeLessThan(30);

  // Every one of them is counted, under the release that it began with.
  const counted = async () => {
    const { served } = statisticsSchema.parse(
      await ask(admin(), "GET", `/admin/statistics/${system.target}`),
    );
    const totals: Record<string, number> = {};
    for (const { release, requests } of served) totals[`${release}`] = (totals[`${release}`] ?? 0) + requests;
    return totals;
  };
  await expect.poll(counted, { timeout: QUEUE_TIMEOUT_MS, interval: 500 }).toEqual(report.byRelease);
});

it("captures a key that agreed through the queue, and deletes by key", async () => {
  const [made] = await keysCommand(["create", "captured", "--capture"], admin());
  const [id = "", key = ""] = made!.split("  ");
  const response = await fetch(`${system.address}/v1/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: JSON.stringify({ model: system.target, prompt: "def add", max_tokens: 16 }),
  });
  expect(response.status).toBe(200);
  await response.text();
  const listed = () => trafficCommand(["list"], admin()).then((lines) => lines.join());
  await expect
    .poll(listed, { timeout: QUEUE_TIMEOUT_MS, interval: 500 })
    .toContain(`${id}  1 completions  1 batches`);
  const [said] = await trafficCommand(["delete", "--key", id], admin());
  expect(said).toBe(`${id}: 1 batches deleted; nothing of it is captured any more`);
  expect(await listed()).toBe("nothing was captured");
});
