/** Channel records at the edge: read with their signature, put in place of the one before; a busy edge waited out. */
import { z } from "zod";
import {
  type ChannelRecord,
  channelRecordSchema,
  type Envelope,
  openEnvelope,
  type TrustedKey,
} from "../../protocol/manifest.ts";
import type { PublishingConfig } from "../config.ts";
import { PublishError, UnreachableError } from "./errors.ts";

const NETWORK_TRIES = 4;
const FIRST_WAIT_MS = 500;
const TIMEOUT_MS = 15_000;
const errorSchema = z.object({ error: z.object({ message: z.string() }) });

export type RecordsOptions = Pick<PublishingConfig, "EDGE_URL" | "ADMIN_SECRET"> & {
  trusted: readonly TrustedKey[];
  wait: (ms: number) => Promise<unknown>;
};
/** What stands at the edge. Without a record, `problem` says why there is none that can be trusted. */
export type ChannelState = { sequence: number; record: ChannelRecord | null; problem: string | null };

/** Methods throw PublishError for what the edge refuses, UnreachableError where it does not answer. */
export class ChannelRecords {
  readonly #options: RecordsOptions;

  constructor(options: RecordsOptions) {
    this.#options = options;
  }

  async read(target: string, signal: AbortSignal | undefined): Promise<ChannelState> {
    const response = await this.#request("GET", target, undefined, signal);
    if (response.status === 404) return { sequence: 0, record: null, problem: null };
    if (!response.ok) throw await refusal(target, response);
    const body: unknown = await response.json().catch(() => null);
    const opened = await openEnvelope("channel", body, this.#options.trusted, channelRecordSchema);
    if (opened.ok) return { sequence: opened.value.sequence, record: opened.value, problem: null };
    const sequence = Number(/^(?:W\/)?"(\d+)"$/.exec(response.headers.get("etag") ?? "")?.[1]);
    if (!Number.isSafeInteger(sequence)) throw new PublishError(`channel ${target}: no sequence in its ETag`);
    return { sequence, record: null, problem: `channel ${target}: ${opened.message}` };
  }

  /** False where the record that stands there is not that of `sequence` any more. */
  async swap(
    target: string,
    envelope: Envelope,
    sequence: number,
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    const response = await this.#request("PUT", target, { envelope, sequence }, signal);
    if (response.ok) return true;
    if (response.status === 412) return false;
    throw await refusal(target, response);
  }

  /** Waits out an edge that restarts. A PUT sent twice meets 412 the second time and is then found done. */
  async #request(
    method: "GET" | "PUT",
    target: string,
    body: { envelope: Envelope; sequence: number } | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Response> {
    const { EDGE_URL, ADMIN_SECRET, wait } = this.#options;
    const url = new URL(`/admin/channels/${encodeURIComponent(target)}`, EDGE_URL);
    const headers = new Headers({ authorization: `Bearer ${ADMIN_SECRET}` });
    if (body) {
      headers.set("if-match", `"${body.sequence}"`);
      headers.set("content-type", "application/json");
    }
    for (let attempt = 1; ; attempt++) {
      signal?.throwIfAborted();
      const timeout = AbortSignal.timeout(TIMEOUT_MS);
      const outcome = await fetch(url, {
        method,
        headers,
        ...(body && { body: JSON.stringify(body.envelope) }),
        signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
      }).catch((error: unknown) => (error instanceof Error ? error : new Error(String(error))));
      if (outcome instanceof Response && outcome.status < 500) return outcome;
      if (attempt === NETWORK_TRIES) {
        const how = outcome instanceof Response ? `answers ${outcome.status}` : "does not answer";
        const why = outcome instanceof Response ? outcome.statusText : outcome.message;
        throw new UnreachableError(`channel ${target}: the edge at ${EDGE_URL} ${how} (${why})`);
      }
      await wait(FIRST_WAIT_MS * 2 ** (attempt - 1));
    }
  }
}

async function refusal(target: string, response: Response): Promise<PublishError> {
  const body = errorSchema.safeParse(await response.json().catch(() => null));
  const message = body.success ? body.data.error.message : response.statusText;
  return new PublishError(`channel ${target}: the edge answered ${response.status}: ${message}`);
}
