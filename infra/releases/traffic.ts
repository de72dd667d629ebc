/** `npm run traffic -- list | delete`: captured traffic of a worker that runs, through its admin API. */
import { parseArgs } from "node:util";
import { z } from "zod";
import { type Admin, ask } from "./admin.ts";

export const USAGE = `npm run traffic -- COMMAND
  list              what was captured, by API key
  delete --key ID   deletes what was captured of the key, stored or still queued, makes what the edge remembers of its
                    texts unreachable, and captures no more of it
The worker is EDGE_URL, http://127.0.0.1:8787 when unset.`;

const listSchema = z.object({
  data: z.array(
    z.object({
      ...{ key: z.string(), objects: z.number(), requests: z.number(), bytes: z.number() },
      ...{ first_day: z.string().nullable(), last_day: z.string().nullable() },
    }),
  ),
});
const deletedSchema = z.object({ key: z.string(), subject: z.string().nullable(), objects: z.number() });

/** Returns the lines to print. Throws an Error whose message is for people. */
export async function trafficCommand(args: readonly string[], admin: Admin): Promise<string[]> {
  const { command, key } = read(args);
  switch (command) {
    case "list": {
      const { data } = listSchema.parse(await ask(admin, "GET", "/admin/traffic"));
      return data.length > 0 ? data.map(describe) : ["nothing was captured"];
    }
    case "delete": {
      if (key === undefined) throw new Error(`--key is missing\n${USAGE}`);
      const path = `/admin/traffic/${encodeURIComponent(key)}`;
      const { subject, objects } = deletedSchema.parse(await ask(admin, "DELETE", path));
      return [
        `${key}: ${objects} batches deleted; nothing of it is captured any more`,
        ...(subject === null ? [] : ["Drafts that were trained on it are not changed: docs/operations.md"]),
      ];
    }
    default:
      throw new Error(USAGE);
  }
}

function read(args: readonly string[]): { command: string | undefined; key: string | undefined } {
  try {
    const options = { key: { type: "string" } } as const;
    const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
    return { command: positionals.length === 1 ? positionals[0] : undefined, key: values.key };
  } catch (error) {
    throw new Error(`${error instanceof Error ? error.message : error}\n${USAGE}`);
  }
}

function describe({
  key,
  objects,
  requests,
  bytes,
  first_day,
  last_day,
}: z.output<typeof listSchema>["data"][0]) {
  const days = first_day === null ? [] : [first_day === last_day ? first_day : `${first_day} to ${last_day}`];
  return [key, `${requests} completions`, `${objects} batches`, `${bytes} bytes`, ...days].join("  ");
}
