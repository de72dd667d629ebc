/** The channels at the edge: read, and moved by compare-and-swap. */
import { z } from "zod";
import {
  type ChannelRecord,
  channelRecordSchema,
  type Envelope,
  openEnvelope,
} from "../../protocol/manifest.ts";
import type { PublishingConfig } from "../config.ts";
import type { Published } from "./draft-release.ts";
import { PublishError } from "./errors.ts";
import type { SigningKeys } from "./signing-keys.ts";

const SWAP_TRIES = 5;
const NETWORK_TRIES = 4;
const FIRST_WAIT_MS = 500;
const TIMEOUT_MS = 15_000;
const errorSchema = z.object({ error: z.object({ message: z.string() }) });

export type ChannelsOptions = Pick<PublishingConfig, "EDGE_URL" | "ADMIN_SECRET"> & {
  keys: SigningKeys;
  wait?: (ms: number) => Promise<unknown>;
};
/** What stands at the edge. Without a record, `problem` says why there is none that can be trusted. */
type State = { sequence: number; record: ChannelRecord | null; problem: string | null };
/** Returns the record to put in place of the one now there; null when nothing is to change. */
type Change = (now: State) => ChannelRecord | null;

export class Channels {
  readonly #options: ChannelsOptions;
  readonly #wait: (ms: number) => Promise<unknown>;

  constructor(options: ChannelsOptions) {
    this.#options = options;
    this.#wait = options.wait ?? ((ms) => new Promise((resolve) => setTimeout(resolve, ms)));
  }

  /** Null before the first record. Throws PublishError when its signature is not of a trusted key. */
  async read(target: string, signal?: AbortSignal): Promise<ChannelRecord | null> {
    const { record, problem } = await this.#state(target, signal);
    if (problem !== null) throw new PublishError(problem);
    return record;
  }

  /**
   * Makes a release current, which ends a canary; what was current becomes previous. `onlyFirst`: only where there is no record yet.
   * `onlyCanary`: where there is one, only from the canary's place; throws PublishError where another has that.
   * A record that a revoked key has signed is replaced like none: its releases are not to be trusted either.
   */
  promote(
    release: Published,
    options: { onlyFirst?: boolean; onlyCanary?: boolean; signal?: AbortSignal } = {},
  ): Promise<boolean> {
    const { id, target, manifestSha256 } = release;
    return this.#swap(target, options.signal, ({ record, sequence }) => {
      const isCurrent = record?.current.release === id;
      if (options.onlyCanary && record && !isCurrent && record.canary?.release !== id)
        throw new PublishError(`channel ${target}: ${id} is no longer the canary`);
      if (record && (options.onlyFirst || (isCurrent && !record.canary))) return null;
      return {
        target,
        sequence: sequence + 1,
        current: { release: id, manifest_sha256: manifestSha256 },
        canary: null,
        previous: (isCurrent ? record.previous : record?.current) ?? null,
      };
    });
  }

  /**
   * Lets a release serve a share (above 0, at most 1) of the requests beside the current one, in place of another
   * canary if there is one. Without effect for the release that is current.
   */
  async startCanary({ id, target, manifestSha256 }: Published, share: number): Promise<boolean> {
    if (!(share > 0 && share <= 1)) throw new PublishError(`share ${share}: must be above 0 and at most 1`);
    return this.#swap(target, undefined, ({ record, sequence, problem }) => {
      if (problem !== null) throw new PublishError(problem);
      if (!record) throw new PublishError(`channel ${target}: there is no current release beside a canary`);
      const { current, canary } = record;
      if (current.release === id || (canary?.release === id && canary.share === share)) return null;
      return {
        ...record,
        sequence: sequence + 1,
        canary: { release: id, manifest_sha256: manifestSha256, share },
      };
    });
  }

  /** All requests go to the current release again. `release`: only where it is this one that is the canary. */
  endCanary(target: string, release?: string): Promise<boolean> {
    return this.#swap(target, undefined, ({ record, sequence, problem }) => {
      if (problem !== null) throw new PublishError(problem);
      if (!record?.canary || (release !== undefined && record.canary.release !== release)) return null;
      return { ...record, sequence: sequence + 1, canary: null };
    });
  }

  /** Makes the previous release current again, by a new record, which ends a canary. */
  rollback(target: string): Promise<boolean> {
    return this.#swap(target, undefined, ({ record, sequence, problem }) => {
      if (problem !== null) throw new PublishError(problem);
      if (!record?.previous)
        throw new PublishError(`channel ${target}: there is no previous release to go back to`);
      const { current, previous } = record;
      return { target, sequence: sequence + 1, current: previous, canary: null, previous: current };
    });
  }

  /** True when the channel was changed. Reads again when somebody else was faster. */
  async #swap(target: string, signal: AbortSignal | undefined, change: Change): Promise<boolean> {
    for (let attempt = 0; attempt < SWAP_TRIES; attempt++) {
      const now = await this.#state(target, signal);
      const next = change(now);
      if (next === null) return false;
      const envelope = await this.#options.keys.seal("channel", JSON.stringify(next));
      const response = await this.#request("PUT", target, { envelope, sequence: now.sequence }, signal);
      if (response.ok) return true;
      if (response.status !== 412) throw await this.#refusal(target, response);
    }
    throw new PublishError(`channel ${target}: changed under us ${SWAP_TRIES} times; try again`);
  }

  async #state(target: string, signal: AbortSignal | undefined): Promise<State> {
    const response = await this.#request("GET", target, undefined, signal);
    if (response.status === 404) return { sequence: 0, record: null, problem: null };
    if (!response.ok) throw await this.#refusal(target, response);
    const body: unknown = await response.json().catch(() => null);
    const opened = await openEnvelope("channel", body, this.#options.keys.trusted, channelRecordSchema);
    if (opened.ok) return { sequence: opened.value.sequence, record: opened.value, problem: null };
    const sequence = Number(/^(?:W\/)?"(\d+)"$/.exec(response.headers.get("etag") ?? "")?.[1]);
    if (!Number.isSafeInteger(sequence)) throw new PublishError(`channel ${target}: no sequence in its ETag`);
    return { sequence, record: null, problem: `channel ${target}: ${opened.message}` };
  }

  /** Waits out an edge that restarts. A PUT sent twice meets 412 the second time and is then found done. */
  async #request(
    method: "GET" | "PUT",
    target: string,
    body: { envelope: Envelope; sequence: number } | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Response> {
    const url = new URL(`/admin/channels/${encodeURIComponent(target)}`, this.#options.EDGE_URL);
    const headers = new Headers({ authorization: `Bearer ${this.#options.ADMIN_SECRET}` });
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
        if (outcome instanceof Response) return outcome;
        throw new PublishError(
          `channel ${target}: the edge at ${this.#options.EDGE_URL} does not answer (${outcome.message})`,
        );
      }
      await this.#wait(FIRST_WAIT_MS * 2 ** (attempt - 1));
    }
  }

  async #refusal(target: string, response: Response): Promise<PublishError> {
    const body = errorSchema.safeParse(await response.json().catch(() => null));
    const message = body.success ? body.data.error.message : response.statusText;
    return new PublishError(`channel ${target}: the edge answered ${response.status}: ${message}`);
  }
}
