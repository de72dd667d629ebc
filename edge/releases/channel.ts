/**
 * A target's channel: the signed record of what the edge serves, one Durable Object per target.
 *
 * A record replaces another only by compare-and-swap, under a trusted signature, with a greater sequence number:
 * an old record cannot be played back. Every record ever in force is kept, for the audit.
 */
import { DurableObject } from "cloudflare:workers";
import { z } from "zod";
import {
  channelRecordSchema,
  type Envelope,
  openEnvelope,
  type TrustedKey,
} from "../../gpu-service/protocol/manifest.ts";

export type ChannelPut = {
  target: string;
  envelope: Envelope;
  /** The sequence that the writer believes in force; 0 for none. */
  expected: number;
  trusted: readonly TrustedKey[];
  /** Unix milliseconds. */
  now: number;
};
export type ChannelPutResult =
  | { kind: "stored"; sequence: number }
  | { kind: "untrusted" | "invalid" | "changed" | "replayed"; message: string };
export type ChannelState = { sequence: number; envelope: Envelope };
export type ChannelHistoryEntry = {
  sequence: number;
  release: string;
  canary: { release: string; share: number } | null;
  key_id: string;
  at: string;
};

const storedSchema = z.object({
  sequence: z.number(),
  payload: z.string(),
  key_id: z.string(),
  signature: z.string(),
});
const historySchema = z.object({
  sequence: z.number(),
  release: z.string(),
  payload: z.string(),
  key_id: z.string(),
  at: z.number(),
});
const canarySchema = channelRecordSchema.pick({ canary: true });
const MAX_HISTORY = 200;

export class Channel extends DurableObject {
  constructor(state: DurableObjectState, env: unknown) {
    super(state, env as never);
    state.storage.sql.exec(`CREATE TABLE IF NOT EXISTS records (
      sequence INTEGER PRIMARY KEY, release TEXT NOT NULL, payload TEXT NOT NULL,
      key_id TEXT NOT NULL, signature TEXT NOT NULL, at INTEGER NOT NULL) STRICT`);
  }

  /** The record in force, or null before the first. */
  current(): Envelope | null {
    return this.state()?.envelope ?? null;
  }

  state(): ChannelState | null {
    const [row] = this.ctx.storage.sql.exec("SELECT * FROM records ORDER BY sequence DESC LIMIT 1").toArray();
    if (!row) return null;
    const { sequence, ...envelope } = storedSchema.parse(row);
    return { sequence, envelope };
  }

  async put({ target, envelope, expected, trusted, now }: ChannelPut): Promise<ChannelPutResult> {
    const signed = await openEnvelope("channel", envelope, trusted, z.unknown());
    if (!signed.ok) return { kind: "untrusted", message: signed.message };
    const parsed = channelRecordSchema.safeParse(signed.value);
    if (!parsed.success) {
      const issue = parsed.error.issues[0];
      return { kind: "invalid", message: `channel record: ${issue?.path.join(".")}: ${issue?.message}` };
    }
    const record = parsed.data;
    if (record.target !== target) {
      return { kind: "invalid", message: `channel record: is for ${record.target}, not for ${target}` };
    }
    // No await from here on: comparing and writing are one step.
    const sequence = this.state()?.sequence ?? 0;
    if (expected !== sequence) {
      return { kind: "changed", message: `channel ${target}: is at sequence ${sequence}, not ${expected}` };
    }
    if (record.sequence <= sequence) {
      return {
        kind: "replayed",
        message: `channel ${target}: sequence ${record.sequence} is not above ${sequence}`,
      };
    }
    this.ctx.storage.sql.exec(
      "INSERT INTO records (sequence, release, payload, key_id, signature, at) VALUES (?, ?, ?, ?, ?, ?)",
      record.sequence,
      record.current.release,
      envelope.payload,
      envelope.key_id,
      envelope.signature,
      now,
    );
    return { kind: "stored", sequence: record.sequence };
  }

  /** Newest first. */
  history(): ChannelHistoryEntry[] {
    return this.ctx.storage.sql
      .exec(
        "SELECT sequence, release, payload, key_id, at FROM records ORDER BY sequence DESC LIMIT ?",
        MAX_HISTORY,
      )
      .toArray()
      .map((row) => historySchema.parse(row))
      .map(({ sequence, release, payload, key_id, at }) => {
        const { canary } = canarySchema.parse(JSON.parse(payload));
        const tried = canary && { release: canary.release, share: canary.share };
        return { sequence, release, canary: tried, key_id, at: new Date(at).toISOString() };
      });
  }
}
