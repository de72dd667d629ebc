/** `npm run retraining -- status | run-now`: the chains that retrain drafts, through the worker's admin API. */
import { z } from "zod";
import { type Admin, ask } from "./admin.ts";

export const USAGE = `npm run retraining -- COMMAND
  status    the chains, newest first, and what they did
  run-now   begins one now, however little new traffic there is
The worker is EDGE_URL, http://127.0.0.1:8787 when unset.`;

const text = z.string().nullable();
const statusSchema = z.object({
  chains: z.array(
    z.object({
      ...{ id: z.string(), target: z.string(), state: z.string(), started: z.string(), ended: text },
      ...{ requests: z.number().nullable(), job: text, parent: text, release: text, note: text },
    }),
  ),
  audit: z.array(z.object({ chain: z.string(), at: z.string(), done: z.string() })),
});
const begunSchema = z.object({ id: z.string() });

/** Returns the lines to print. Throws an Error whose message is for people. */
export async function retrainingCommand(args: readonly string[], admin: Admin): Promise<string[]> {
  const [command, ...more] = args;
  if (more.length > 0) throw new Error(USAGE);
  switch (command) {
    case "status":
      return describe(statusSchema.parse(await ask(admin, "GET", "/admin/retraining")));
    case "run-now":
      return [`${begunSchema.parse(await ask(admin, "POST", "/admin/retraining")).id} begins`];
    default:
      throw new Error(USAGE);
  }
}

function describe({ chains, audit }: z.output<typeof statusSchema>): string[] {
  if (chains.length === 0) return ["no chain yet"];
  return chains.flatMap((chain) => {
    const { requests, parent, job, release } = chain;
    const facts = [
      ...(requests === null ? [] : [`${requests} new requests`]),
      ...(parent === null ? [] : [`from ${parent}`]),
      ...(job === null ? [] : [job]),
      ...(release === null ? [] : [`makes ${release}`]),
    ];
    const done = audit.filter((entry) => entry.chain === chain.id).reverse();
    return [
      [`${chain.id}  ${chain.target}  ${chain.state}`, ...facts].join("  "),
      ...done.map((entry) => `    ${entry.at}  ${entry.done}`),
    ];
  });
}
