/** A batch of captured traffic: gzip of JSON lines. */
import { gunzipSync, gzipSync } from "node:zlib";
import { type TrafficLine, trafficLineSchema } from "../../protocol/traffic.ts";

const MAX_BYTES = 256 << 20;

/** The lines that are wanted; null where the bytes are no batch. A line that is none is left out. */
export function linesOf(bytes: Uint8Array, isWanted: (line: TrafficLine) => boolean): TrafficLine[] | null {
  let text: string;
  try {
    text = gunzipSync(bytes, { maxOutputLength: MAX_BYTES }).toString("utf8");
  } catch {
    return null;
  }
  return text.split("\n").flatMap((line) => {
    const parsed = trafficLineSchema.safeParse(tryJson(line));
    return parsed.success && isWanted(parsed.data) ? [parsed.data] : [];
  });
}

export const packed = (lines: readonly TrafficLine[]): Uint8Array =>
  gzipSync(lines.map((line) => `${JSON.stringify(line)}\n`).join(""));

function tryJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
