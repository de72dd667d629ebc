/** The admin API of a worker that runs, as the operator's commands ask it. */
import { z } from "zod";

export type Admin = { address: string; secret: string; fetch: typeof fetch };
/** Returns the lines to print. Throws an Error whose message is for people. */
export type AdminCommand = (args: readonly string[], admin: Admin) => Promise<string[]>;

const errorSchema = z.object({ error: z.object({ message: z.string() }) });

/** The answer's JSON. `path`: from /admin on. Throws an Error with the worker's own words. */
export async function ask(
  { address, secret, fetch }: Admin,
  method: "GET" | "POST" | "DELETE",
  path: string,
  body?: object,
): Promise<unknown> {
  const response = await fetch(`${address}${path}`, {
    method,
    headers: { authorization: `Bearer ${secret}`, ...(body && { "content-type": "application/json" }) },
    ...(body && { body: JSON.stringify(body) }),
  }).catch((error) => {
    throw new Error(`no worker answers at ${address}: ${error.cause?.message ?? error.message}`);
  });
  const answer: unknown = await response.json().catch(() => null);
  if (response.ok) return answer;
  const known = errorSchema.safeParse(answer);
  throw new Error(
    known.success ? known.data.error.message : `the worker answered ${response.status} at ${path}`,
  );
}

/** Prints what the command says; its settings stand in the environment. */
export async function runAdminCommand(command: AdminCommand): Promise<void> {
  const { EDGE_URL: address = "", ADMIN_SECRET: secret = "" } = process.env;
  try {
    for (const line of await command(process.argv.slice(2), { address, secret, fetch })) console.log(line);
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    process.exitCode = 2;
  }
}
