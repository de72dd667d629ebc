/** What the worker asks of a target's Channel object: the signed record of what it serves. */
import type { Envelope } from "../../gpu-service/protocol/manifest.ts";

export type ChannelStub = {
  /** The record now in force, or null before the first one. */
  current(): Promise<Envelope | null>;
  fetch(request: Request): Promise<Response>;
};
