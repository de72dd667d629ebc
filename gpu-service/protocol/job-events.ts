/**
 * What the training service tells the worker of its jobs: `POST /admin/retraining/events`, one event a request.
 *
 * Sent again until it is taken, so the same event may come twice: `id` tells. The signature is over the body's text.
 */
import { z } from "zod";
import { hmacKey } from "./hmac.ts";
import { jobState } from "./jobs.ts";
import { hex } from "./manifest.ts";

export const JOB_EVENTS_PATH = "/admin/retraining/events";
export const JOB_EVENT_SIGNATURE = "x-outrider-signature";

/** A job has come into this state. */
export const jobEventSchema = z.object({
  id: z.string(),
  job: z.string(),
  state: jobState,
  release: z.string(),
  time: z.iso.datetime(),
});
export type JobEvent = z.infer<typeof jobEventSchema>;

/** Hex HMAC-SHA256 of the body under the training token. */
export async function signJobEvent(body: string, token: string): Promise<string> {
  const signature = await crypto.subtle.sign("HMAC", await hmacKey(token, "sign"), encode(body));
  return hex(new Uint8Array(signature));
}

/** Takes the same time for every wrong signature. */
export async function isSignedJobEvent(body: string, token: string, signature: string): Promise<boolean> {
  if (!/^[0-9a-f]{64}$/.test(signature)) return false;
  const bytes = Uint8Array.from(signature.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
  return crypto.subtle.verify("HMAC", await hmacKey(token, "verify"), bytes, encode(body));
}

const encode = (text: string): Uint8Array<ArrayBuffer> => Uint8Array.from(new TextEncoder().encode(text));
