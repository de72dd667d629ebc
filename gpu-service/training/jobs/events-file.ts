/** Follows a file of progress lines as it grows. The trainer only ever appends to it. */
import { closeSync, existsSync, fstatSync, openSync, readSync } from "node:fs";
import { type Progress, progressSchema } from "../../protocol/jobs.ts";

const POLL_MS = 300;
const MAX_READ_BYTES = 1 << 20;

export class EventsFile {
  readonly #path: string;
  #offset = 0;

  constructor(path: string) {
    this.#path = path;
  }

  /** The newest whole line of progress since the last call; lines that are not progress are passed over. */
  latest(): Progress | undefined {
    let newest: Progress | undefined;
    for (let text = this.#read(); text !== ""; text = this.#read()) {
      const lines = text.split("\n").reverse();
      newest = lines.map(parseLine).find((progress) => progress !== undefined) ?? newest;
    }
    return newest;
  }

  /** Calls back with the newest progress every 0.3 s; returns what ends that. */
  follow(take: (progress: Progress) => void): () => void {
    const look = () => {
      const progress = this.latest();
      if (progress) take(progress);
    };
    const timer = setInterval(look, POLL_MS);
    return () => {
      clearInterval(timer);
      look();
    };
  }

  /** Whole lines from where the last read ended, at most 1 MiB of them. */
  #read(): string {
    if (!existsSync(this.#path)) return "";
    const file = openSync(this.#path, "r");
    try {
      const wanted = Math.min(fstatSync(file).size - this.#offset, MAX_READ_BYTES);
      if (wanted <= 0) return "";
      const bytes = Buffer.alloc(wanted);
      const end = bytes.subarray(0, readSync(file, bytes, 0, wanted, this.#offset)).lastIndexOf(0x0a);
      if (end < 0) return "";
      this.#offset += end + 1;
      return bytes.toString("utf8", 0, end);
    } finally {
      closeSync(file);
    }
  }
}

function parseLine(line: string): Progress | undefined {
  try {
    return progressSchema.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}
