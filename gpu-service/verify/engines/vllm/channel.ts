/**
 * The line to one process around vLLM: a local socket, in a folder that is this user's alone, for whoever knows the
 * secret. Lines of JSON either way. The first that says the secret is the process; nobody is let in after it.
 */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** Letters of a first line; who sends more before its end is not the process. */
const MAX_HELLO = 256;
/** Bytes that may wait for the process before hints are dropped. */
const MAX_WAITING_BYTES = 1 << 20;

export class Channel {
  /** What the process is told in its environment. */
  readonly address: Readonly<{ OUTRIDER_VLLM_SOCKET: string; OUTRIDER_VLLM_SECRET: string }>;
  readonly #folder: string;
  readonly #server: Server;
  readonly #heard: (line: string) => void;
  #socket: Socket | undefined;
  #end: () => void = () => {};
  /** When the process has closed it, after its last line; never if it has not called. */
  readonly ended = new Promise<void>((resolve) => {
    this.#end = resolve;
  });

  private constructor(folder: string, heard: (line: string) => void) {
    this.#folder = folder;
    this.#heard = heard;
    this.address = {
      OUTRIDER_VLLM_SOCKET: join(folder, "socket"),
      OUTRIDER_VLLM_SECRET: randomBytes(32).toString("hex"),
    };
    this.#server = createServer((socket) => this.#greet(socket));
  }

  /** `heard`: what the process says. Rejects where no socket can be made. */
  static async open(heard: (line: string) => void): Promise<Channel> {
    // mkdtemp makes it for this user only.
    const channel = new Channel(mkdtempSync(join(tmpdir(), "outrider-vllm-")), heard);
    await new Promise<void>((resolve, reject) => {
      channel.#server.once("error", reject);
      channel.#server.listen(channel.address.OUTRIDER_VLLM_SOCKET, resolve);
    });
    return channel;
  }

  /** Nothing where nobody is there, or where what may be lost would have to wait behind too much. */
  send(line: string, mayBeLost: boolean): void {
    if (!this.#socket?.writable || (mayBeLost && this.#socket.writableLength > MAX_WAITING_BYTES)) return;
    this.#socket.write(`${line}\n`);
  }

  /** May be called twice. */
  close(): void {
    this.#stopListening();
    this.#socket?.end();
  }

  /** As soon as the process is there: nothing is left behind where this one is killed. */
  #stopListening(): void {
    this.#server.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #greet(socket: Socket): void {
    let length = 0;
    const count = (bytes: Buffer) => {
      const end = bytes.indexOf("\n");
      length += end < 0 ? bytes.length : end;
      if (end >= 0) socket.off("data", count);
      if (length > MAX_HELLO) socket.destroy();
    };
    socket.on("error", () => {});
    socket.on("data", count);
    createInterface({ input: socket }).on("line", (line) => {
      if (socket === this.#socket) this.#heard(line);
      else if (this.#socket || !isSame(line, this.address.OUTRIDER_VLLM_SECRET)) socket.destroy();
      else {
        this.#socket = socket;
        this.#stopListening();
        socket.once("close", this.#end);
      }
    });
  }
}

function isSame(a: string, b: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}
