/** A few of `npm run check:faults`: random faults between the edge and two real replicas never change a text. */
import { expect, it } from "vitest";
import { checkFaults } from "../../infra/check/fault-run.ts";

it("gives the undisturbed text under 40 random schedules of faults", async () => {
  const report = await checkFaults(40, 1);
  expect(report.failures).toEqual([]);
  expect(report.schedules).toBe(40);
  // Some of them really broke: a completion took more than one connection.
  expect(report.connections).toBeGreaterThan(45);
});
