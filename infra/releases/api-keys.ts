/** `npm run keys -- create | list | revoke`: the API keys of a worker that runs, through its admin API. */
import { parseArgs } from "node:util";
import { z } from "zod";
import { type Admin, ask } from "./admin.ts";

export const USAGE = `npm run keys -- COMMAND
  create NAME [--scopes completions,admin] [--expires ISO-TIME] [--quota TOKENS/PERIOD] [--capture]
              makes an API key and shows it, once; PERIOD is hour, day, month or ever
  list        all API keys, without what would open anything
  revoke ID   the key is refused within 30 s
  signing …   the keys that releases are signed with
The worker is EDGE_URL, http://127.0.0.1:8787 when unset.`;

const madeSchema = z.object({ id: z.string(), key: z.string() });
const listSchema = z.object({
  data: z.array(
    z.object({
      ...{ id: z.string(), prefix: z.string(), name: z.string(), scopes: z.array(z.string()) },
      ...{ expires: z.string().nullable(), revoked: z.string().nullable() },
      quota: z.object({ tokens: z.number(), period: z.string() }).nullable(),
    }),
  ),
});

/** Returns the lines to print. Throws an Error whose message is for people. */
export async function keysCommand(args: readonly string[], admin: Admin): Promise<string[]> {
  const [command, ...rest] = args;
  switch (command) {
    case "create": {
      const { id, key } = madeSchema.parse(await ask(admin, "POST", "/admin/keys", newKey(rest)));
      return [`${id}  ${key}`];
    }
    case "list": {
      const { data } = listSchema.parse(await ask(admin, "GET", "/admin/keys"));
      return data.map(describe);
    }
    case "revoke": {
      const [id] = rest;
      if (!id) throw new Error(`ID is missing\n${USAGE}`);
      await ask(admin, "DELETE", `/admin/keys/${encodeURIComponent(id)}`);
      return [`${id} revoked`];
    }
    default:
      throw new Error(USAGE);
  }
}

function newKey(args: readonly string[]): object {
  const text = { type: "string" } as const;
  const options = { scopes: text, expires: text, quota: text, capture: { type: "boolean" } } as const;
  const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
  const [name, ...more] = positionals;
  if (!name || more.length > 0) throw new Error(`one NAME is needed\n${USAGE}`);
  const { scopes, expires, quota, capture } = values;
  return {
    name,
    ...(scopes && { scopes: scopes.split(",") }),
    ...(expires && { expires: new Date(expires).toISOString() }),
    ...(quota && { quota: quotaOf(quota) }),
    ...(capture && { capture }),
  };
}

function quotaOf(text: string): object {
  const [, tokens, period] = /^(\d+)\/([a-z]+)$/.exec(text) ?? [];
  if (!period) throw new Error(`--quota ${text}: is not TOKENS/PERIOD, such as 100000/day`);
  return { tokens: Number(tokens), period };
}

function describe({
  id,
  prefix,
  name,
  scopes,
  quota,
  expires,
  revoked,
}: z.output<typeof listSchema>["data"][0]) {
  const facts = [
    scopes.join(","),
    ...(quota ? [`${quota.tokens}/${quota.period}`] : []),
    ...(expires ? [`expires ${expires}`] : []),
    ...(revoked ? [`revoked ${revoked}`] : []),
  ];
  return [id, `${prefix}…`, name, ...facts].join("  ");
}
