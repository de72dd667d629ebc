/** `/admin/channels/{target}`: reading and moving a target's channel. Only with the admin secret. */
import { type Context, Hono } from "hono";
import { type Envelope, envelopeSchema, type TrustedKey } from "../../gpu-service/protocol/manifest.ts";
import type { ChannelHistoryEntry, ChannelPut, ChannelPutResult, ChannelState } from "./channel.ts";

/** A Channel object, as it is reached from outside. */
export type ChannelHandle = {
  state(): Promise<ChannelState | null>;
  put(put: ChannelPut): Promise<ChannelPutResult>;
  history(): Promise<ChannelHistoryEntry[]>;
};
export type ChannelRoutesOptions = {
  channel(target: string): ChannelHandle;
  adminSecret: string;
  trusted: readonly TrustedKey[];
  now(): number;
};

const STATUS = { untrusted: 403, invalid: 400, changed: 412, replayed: 409 } as const;
const TARGET = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

/** To be mounted at /admin/channels. */
export function channelRoutes({ channel, adminSecret, trusted, now }: ChannelRoutesOptions): Hono {
  const app = new Hono();
  app.use(async (context, next) => {
    const given = /^Bearer (.+)$/.exec(context.req.header("authorization") ?? "")?.[1] ?? "";
    if (!(await isSameSecret(given, adminSecret)))
      return refuse(context, 401, "authorization: wrong admin secret");
    return next();
  });
  app.use("/:target/*", async (context, next) => {
    const target = context.req.param("target");
    return TARGET.test(target) ? next() : refuse(context, 400, `target "${target}": not a target id`);
  });
  app.get("/:target", async (context) => {
    const target = context.req.param("target");
    const state = await channel(target).state();
    if (!state) return refuse(context, 404, `channel ${target}: has no record yet`);
    return context.json(state.envelope, 200, { etag: `"${state.sequence}"`, "cache-control": "no-store" });
  });
  app.get("/:target/history", async (context) =>
    context.json({ data: await channel(context.req.param("target")).history() }),
  );
  app.put("/:target", async (context) => {
    const expected = /^"?(\d{1,15})"?$/.exec(context.req.header("if-match") ?? "")?.[1];
    if (expected === undefined)
      return refuse(context, 428, 'If-Match: the sequence now in force is needed, "0" for none');
    const envelope = await readEnvelope(context);
    if (!envelope) return refuse(context, 400, "the body is not a signed envelope");
    const target = context.req.param("target");
    const result = await channel(target).put({
      target,
      envelope,
      expected: Number(expected),
      trusted,
      now: now(),
    });
    if (result.kind !== "stored") return refuse(context, STATUS[result.kind], result.message);
    return context.json({ sequence: result.sequence }, 200, { etag: `"${result.sequence}"` });
  });
  return app;
}

async function readEnvelope(context: Context): Promise<Envelope | undefined> {
  const body: unknown = await context.req.json().catch(() => undefined);
  return envelopeSchema.safeParse(body).data;
}

/** Compares digests, so that the time taken tells nothing of the secret. */
async function isSameSecret(a: string, b: string): Promise<boolean> {
  const [left, right] = await Promise.all([digest(a), digest(b)]);
  let difference = 0;
  for (let i = 0; i < left.length; i++) difference |= left[i]! ^ right[i]!;
  return difference === 0;
}

const digest = async (text: string): Promise<Uint8Array> =>
  new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));

const refuse = (
  context: Context,
  status: 400 | 401 | 403 | 404 | 409 | 412 | 428,
  message: string,
): Response =>
  context.json({ error: { message, type: "invalid_request_error", param: null, code: null } }, status);
