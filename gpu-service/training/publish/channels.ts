/** The channels at the edge: read, and moved by compare-and-swap. */
import type { ChannelRecord } from "../../protocol/manifest.ts";
import type { PublishingConfig } from "../config.ts";
import { ChannelRecords, type ChannelState } from "./channel-records.ts";
import type { Published } from "./draft-release.ts";
import { PublishError } from "./errors.ts";
import type { SigningKeys } from "./signing-keys.ts";

const SWAP_TRIES = 5;

export type ChannelsOptions = Pick<PublishingConfig, "EDGE_URL" | "ADMIN_SECRET"> & {
  keys: SigningKeys;
  /** Whether a release's manifest is in the bucket. */
  isWhole(release: string): Promise<boolean>;
  wait?: (ms: number) => Promise<unknown>;
};
/** Returns the record to put in place of the one now there; null when nothing is to change. */
type Change = (now: ChannelState) => ChannelRecord | null;

export class Channels {
  readonly #keys: SigningKeys;
  readonly #records: ChannelRecords;
  readonly #isWhole: ChannelsOptions["isWhole"];

  constructor({ keys, isWhole, wait, ...edge }: ChannelsOptions) {
    this.#keys = keys;
    this.#isWhole = isWhole;
    this.#records = new ChannelRecords({
      ...edge,
      trusted: keys.trusted,
      wait: wait ?? ((ms) => new Promise((resolve) => setTimeout(resolve, ms))),
    });
  }

  /** Null before the first record. Throws PublishError when its signature is not of a trusted key. */
  async read(target: string, signal?: AbortSignal): Promise<ChannelRecord | null> {
    const { record, problem } = await this.#records.read(target, signal);
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
      const now = await this.#records.read(target, signal);
      const next = change(now);
      if (next === null) return false;
      if (!(await this.#put(now.sequence, next, signal))) continue;
      await this.#takeBackUnlessWhole(next, now.record, signal);
      return true;
    }
    throw new PublishError(`channel ${target}: changed under us ${SWAP_TRIES} times; try again`);
  }

  /** False where somebody else was faster. */
  async #put(sequence: number, next: ChannelRecord, signal: AbortSignal | undefined): Promise<boolean> {
    const envelope = await this.#keys.seal("channel", JSON.stringify(next));
    return this.#records.swap(next.target, envelope, sequence, signal);
  }

  /** A release may have been thrown away while the channel was moved to it (`collectGarbage`). */
  async #takeBackUnlessWhole(
    moved: ChannelRecord,
    before: ChannelRecord | null,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    for (const release of [moved.current.release, ...(moved.canary ? [moved.canary.release] : [])]) {
      if (await this.#isWhole(release)) continue;
      if (before) await this.#put(moved.sequence, { ...before, sequence: moved.sequence + 1 }, signal);
      throw new PublishError(`channel ${moved.target}: release ${release} is not in the bucket (any more)`);
    }
  }
}
