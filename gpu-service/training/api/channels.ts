/** Changes of a target's channel over HTTP, for the worker's chain: this service alone holds the key that signs them. */
import { Hono } from "hono";
import { type ChannelChange, channelChangeSchema } from "../../protocol/channel-change.ts";
import { PublishError } from "../publish/errors.ts";
import { requireBearer } from "./bearer.ts";
import { ApiError } from "./errors.ts";

/** Makes the change, or finds it made; throws PublishError where it cannot be. */
export type ChangeChannel = (target: string, change: ChannelChange) => Promise<void>;

/** To be mounted at /v1/channels. Undefined `change`: this service does not publish. */
export function channelsApi(token: string | undefined, change: ChangeChannel | undefined): Hono {
  const app = new Hono();
  app.use(requireBearer(token));
  app.post("/:target", async (context) => {
    if (!change)
      throw new ApiError(409, "this service has no bucket and edge configured (S3_ENDPOINT, EDGE_URL, ...)");
    const parsed = channelChangeSchema.safeParse(await context.req.json().catch(() => undefined));
    if (!parsed.success) {
      const issue = parsed.error.issues[0];
      const param = issue?.path.join(".") || "body";
      throw new ApiError(400, `${param}: ${issue?.message}`, param);
    }
    try {
      await change(context.req.param("target"), parsed.data);
    } catch (error) {
      if (error instanceof PublishError) throw new ApiError(409, error.message);
      throw error;
    }
    return context.json({ ok: true });
  });
  return app;
}
