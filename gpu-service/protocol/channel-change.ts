/**
 * What the worker's chain asks of the training service, which alone can sign it: `POST /v1/channels/{target}`.
 *
 * Every change may be asked for twice. `promote`: only from the canary's place, or where nothing is current yet.
 */
import { z } from "zod";
import { releaseId } from "./manifest.ts";

export const channelChangeSchema = z.discriminatedUnion("action", [
  z.strictObject({ action: z.literal("canary"), release: releaseId, share: z.number().gt(0).max(1) }),
  z.strictObject({ action: z.literal("promote"), release: releaseId }),
  z.strictObject({ action: z.literal("end-canary"), release: releaseId }),
]);
export type ChannelChange = z.infer<typeof channelChangeSchema>;
