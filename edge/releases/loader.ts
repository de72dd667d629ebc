/**
 * The draft releases in this isolate: what the channel says, and which release a request begins with.
 *
 * A request never waits for a load and never fails for one: without a good release there are no model drafts, without
 * a loaded canary the current release serves its share, and the reason is logged and shown in the request's details.
 * A loaded image is used only once its digest has matched.
 */
import type { ChannelRecord, TargetManifest } from "../../gpu-service/protocol/manifest.ts";
import type { Arm } from "../../gpu-service/protocol/statistics.ts";
import type { DraftEngine } from "../drafting/model/index.ts";
import { Loads } from "./loads.ts";
import { DoesNotFit, type Loaded, Roles } from "./roles.ts";
import { isDrawn } from "./share.ts";
import { type ReleaseSource, readManifest, readRecord, type Wanted } from "./wanted.ts";

export type Release = { readonly id: string; readonly engine: DraftEngine };
/** What a request is told: the release it began with, and why there is none or not the one it was drawn for. */
export type DraftState = { release: string | null; note: string | null };
/** What a request begins with. `arm`: the share of the requests that it belongs to, whatever could be loaded for it. */
export type Served = { arm: Arm; release: Release | undefined; state: DraftState };
type News = { record: ChannelRecord; target: TargetManifest };

/** Whom this Worker serves: everyone as the channel says, or a canary's share only. */
export type Serves = "channel" | "canary";

const LOOK_INTERVAL_MS = 5_000;
/** A request of an isolate that has not looked for so long waits for the channel's answer, if not for any load. */
const STALE_MS = 20_000;
const MOST_WAIT_MS = 1_000;

export class ReleaseLoader {
  readonly #serves: Serves;
  readonly #roles: Roles;
  readonly #loads = new Loads();
  /** The newest record that was read, and when it was found to be in force. */
  #record: ChannelRecord | undefined;
  #readAt = Number.NEGATIVE_INFINITY;
  #note: string | null = "no draft release is loaded yet";
  /** Why a canary could not be loaded. */
  #lost: { canary: string; note: string; isTooBig: boolean } | undefined;
  #lookAgainAt = 0;
  #looking: Promise<void> = Promise.resolve();
  /** Resolves when the channel has answered the last look, or has not. */
  #answered: Promise<unknown> = Promise.resolve();

  /** `kernel`: the compiled draft.wasm. `limitBytes`: most linear memory for drafts. Made once per isolate. */
  constructor(kernel: WebAssembly.Module, limitBytes: number, serves: Serves = "channel") {
    this.#roles = new Roles(kernel, limitBytes);
    this.#serves = serves;
  }

  /** The current release, as far as it is loaded. */
  get release(): Release | undefined {
    return this.#roles.current && releaseOf(this.#roles.current);
  }

  get state(): DraftState {
    const { release } = this;
    return release ? { release: release.id, note: null } : { release: null, note: this.#note };
  }

  /** What the request with this id begins with. */
  serve(requestId: string): Served {
    const canary = this.#record?.canary;
    const { release, state } = this;
    if (canary && this.#serves === "canary") return { arm: "canary", release, state };
    if (!canary || !isDrawn(requestId, canary)) return { arm: "current", release, state };
    if (!this.#roles.canary) {
      const reason = this.#lost?.canary === canary.release ? this.#lost.note : "is not loaded yet";
      const note = `canary ${canary.release}: ${reason}`;
      return { arm: "canary", release, state: { ...state, note } };
    }
    const drawn = releaseOf(this.#roles.canary);
    return { arm: "canary", release: drawn, state: { release: drawn.id, note: null } };
  }

  /** Whether a second Worker is to serve the request: it was drawn for a canary that there is no room for here. */
  isForSecondWorker(requestId: string): boolean {
    const canary = this.#record?.canary;
    if (!canary || this.#serves === "canary" || this.#lost?.canary !== canary.release) return false;
    return this.#lost.isTooBig && !this.#roles.canary && isDrawn(requestId, canary);
  }

  /**
   * Looks at the channel if the last look is old. The promise never rejects; it must outlive the request. A look does
   * not wait for an older one that still loads: what the channel says now counts.
   */
  look(source: ReleaseSource): Promise<void> {
    if (Date.now() < this.#lookAgainAt) return this.#looking;
    this.#lookAgainAt = Date.now() + LOOK_INTERVAL_MS;
    const answer = this.#ask(source);
    this.#answered = answer.catch(() => undefined);
    this.#looking = answer
      .then((news) => (news ? this.#follow(source, news) : undefined))
      .catch((error: unknown) => this.#tell(messageOf(error)));
    return this.#looking;
  }

  /**
   * Resolves at once where the channel was asked lately, otherwise when it has answered, after a second at most: so a
   * release that was taken back is not begun with in an isolate that nobody has used for a while.
   */
  async fresh(): Promise<void> {
    if (!this.release || Date.now() - this.#readAt < STALE_MS) return;
    await Promise.race([this.#answered, new Promise((resolve) => setTimeout(resolve, MOST_WAIT_MS))]);
  }

  /** Reads the record; null where it is older than what is known. */
  async #ask(source: ReleaseSource): Promise<News | null> {
    const target = await source.target();
    const record = await readRecord(source, target);
    if (!record) throw new Error(`channel ${target.id}: names no release yet`);
    if (record.sequence < (this.#record?.sequence ?? 0)) return null;
    this.#record = record;
    this.#readAt = Date.now();
    this.#roles.take(this.#toLoad(record));
    return { record, target };
  }

  /** A Worker for canaries loads the canary alone, as its own current release. */
  #toLoad(record: ChannelRecord): Pick<ChannelRecord, "current" | "canary"> {
    const { current, canary } = record;
    return this.#serves === "canary" ? { current: canary ?? current, canary: null } : { current, canary };
  }

  /** Loads what the record names and is not there yet, the current release first. */
  async #follow(source: ReleaseSource, { record, target }: News): Promise<void> {
    const load = (wanted: Wanted, as: "replaceCurrent" | "loadCanary") =>
      this.#loads.run(wanted.manifest_sha256, async (isWanted) => {
        const { bucket } = source;
        const manifest = await readManifest(source, wanted, target);
        await this.#roles[as]({ bucket, manifest, manifestSha256: wanted.manifest_sha256, isWanted });
        if (isWanted()) log("info", "draft release loaded", { release: manifest.id });
      });
    const { current, canary } = this.#toLoad(record);
    if (this.#roles.current?.manifestSha256 !== current.manifest_sha256)
      await load(current, "replaceCurrent");
    // A later look has seen another record and goes on from there.
    if (!canary || this.#roles.canary || record !== this.#record) return;
    await load(canary, "loadCanary").catch((error: unknown) => this.#lose(canary.release, error));
  }

  #tell(note: string): void {
    if (note !== this.#note) log("warn", "no new draft release", { note });
    this.#note = note;
  }

  #lose(canary: string, error: unknown): void {
    const note = messageOf(error);
    this.#lost = { canary, note, isTooBig: error instanceof DoesNotFit };
    log("warn", "the current release serves the canary's share too", { canary, note });
  }
}

const releaseOf = ({ manifest, engine }: Loaded): Release => ({ id: manifest.id, engine });
const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
const log = (level: "info" | "warn", message: string, facts: object): void =>
  (level === "info" ? console.log : console.warn)(JSON.stringify({ level, message, ...facts }));
