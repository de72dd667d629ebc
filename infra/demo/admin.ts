/** What the demonstration asks of the worker's operator's API. */
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";

export type Operator = { address: string; secret: string };

const GET_TRIES = 5;
const GET_WAIT_MS = 500;
const keySchema = z.object({ key: z.string() });
const trafficSchema = z.object({ data: z.array(z.object({ requests: z.int() })) });
const chainsSchema = z.object({
  chains: z.array(
    z.object({
      ...{ id: z.string(), state: z.string(), ended: z.string().nullable(), note: z.string().nullable() },
      ...{ parent: z.string().nullable(), release: z.string().nullable(), job: z.string().nullable() },
    }),
  ),
  audit: z.array(z.object({ chain: z.string(), at: z.string(), done: z.string() })),
});
export type Chains = z.output<typeof chainsSchema>;

export async function makeKey(operator: Operator, name: string, capture: boolean): Promise<string> {
  return keySchema.parse(await ask(operator, "/admin/keys", { name, capture })).key;
}

export async function capturedRequests(operator: Operator): Promise<number> {
  const { data } = trafficSchema.parse(await ask(operator, "/admin/traffic"));
  return data.reduce((sum, { requests }) => sum + requests, 0);
}

export const chainsOf = async (operator: Operator): Promise<Chains> =>
  chainsSchema.parse(await ask(operator, "/admin/retraining"));

/** The worker's schedule at this time, as Cloudflare would call it. */
export async function tick({ address }: Operator, cron: string, time: number): Promise<void> {
  const url = `${address}/cdn-cgi/handler/scheduled?cron=${encodeURIComponent(cron)}&time=${time}`;
  const response = await getAgain(url, {});
  if (!response.ok) throw new Error(`the schedule's handler answered ${response.status}`);
}

async function ask({ address, secret }: Operator, path: string, body?: object): Promise<unknown> {
  const authorization = `Bearer ${secret}`;
  const response = body
    ? await fetch(`${address}${path}`, {
        method: "POST",
        headers: { authorization, "content-type": "application/json" },
        body: JSON.stringify(body),
      })
    : await getAgain(`${address}${path}`, { authorization });
  if (response.ok) return response.json();
  throw new Error(`${path} answered ${response.status}: ${await response.text()}`);
}

/** A kept connection may be closed just when it is used again: what changes nothing twice is asked again. */
async function getAgain(url: string, headers: Record<string, string>): Promise<Response> {
  for (let left = GET_TRIES; ; left--) {
    try {
      return await fetch(url, { headers });
    } catch (error) {
      if (left === 1) throw error;
      await sleep(GET_WAIT_MS);
    }
  }
}
