/** The end of a job's log as text. */
import { closeSync, existsSync, fstatSync, openSync, readSync } from "node:fs";

const MAX_LOG_BYTES = 1 << 20;

export function logResponse(path: string): Response {
  const headers = { "content-type": "text/plain; charset=utf-8" };
  return new Response(existsSync(path) ? readEnd(path) : "", { headers });
}

/** The last MiB, from the beginning of a line. */
function readEnd(path: string): string {
  const file = openSync(path, "r");
  try {
    const { size } = fstatSync(file);
    const bytes = Buffer.alloc(Math.min(size, MAX_LOG_BYTES));
    const text = bytes.toString("utf8", 0, readSync(file, bytes, 0, bytes.length, size - bytes.length));
    return size > MAX_LOG_BYTES ? text.slice(text.indexOf("\n") + 1) : text;
  } finally {
    closeSync(file);
  }
}
