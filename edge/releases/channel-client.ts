/** A target's Channel object as the worker reaches it. */
import type { Envelope } from "../../gpu-service/protocol/manifest.ts";
import type { ChannelHandle } from "./channel-routes.ts";

export type ChannelStub = ChannelHandle & {
  /** The signed record in force, or null before the first one. */
  current(): Promise<Envelope | null>;
};
