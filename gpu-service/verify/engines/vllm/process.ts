/**
 * The Python process around vLLM, seen from here: started, spoken to in lines of JSON, and ended with all its children.
 *
 * Its standard input and output are pipes that nobody else can reach. What it takes in more slowly than it is sent is
 * held back: hints are dropped then, as they may be, and everything else waits.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { type FromProcess, parseMessage, type ToProcess } from "./messages.ts";

const CLOSE_TIMEOUT_MS = 20_000;
/** Bytes that may wait for the process before hints are dropped. */
const MAX_WAITING_BYTES = 1 << 20;

export type ProcessOptions = {
  /** The interpreter of an environment that has vLLM and outrider_vllm. */
  python: string;
  /** What `outrider_vllm.serve` is told (its `Configuration`). */
  configuration: Readonly<Record<string, unknown>>;
  env: Readonly<Record<string, string | undefined>>;
};
export type ProcessListener = {
  message(message: FromProcess): void;
  /** It is gone, or said what cannot be understood; no further message will come. */
  lost(reason: string): void;
};

export class VllmProcess {
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;
  readonly #listener: ProcessListener;
  #isEnding = false;

  constructor({ python, configuration, env }: ProcessOptions, listener: ProcessListener) {
    this.#listener = listener;
    const args = ["-m", "outrider_vllm.serve", JSON.stringify(configuration)];
    // A group of its own: vLLM's workers are in it, and end with it.
    this.#child = spawn(python, args, { env, stdio: ["pipe", "pipe", "inherit"], detached: true });
    this.#exited = new Promise((resolve) => this.#child.once("close", () => resolve()));
    this.#child.once("error", (error) => this.#lose(`${python}: ${error.message}`));
    this.#child.once("exit", (code, signal) => this.#lose(`the vLLM process ended (${signal ?? code})`));
    this.#child.stdin!.on("error", () => {});
    createInterface({ input: this.#child.stdout! }).on("line", (line) => this.#receive(line));
    process.once("exit", this.#kill);
  }

  send(message: ToProcess): void {
    const { stdin } = this.#child;
    if (!stdin!.writable) return;
    if (message.type === "hint" && stdin!.writableLength > MAX_WAITING_BYTES) return;
    stdin!.write(`${JSON.stringify(message)}\n`);
  }

  /** Asks it to end, and ends it with its group where it does not. */
  async close(): Promise<void> {
    this.#isEnding = true;
    this.send({ type: "close" });
    this.#child.stdin!.end();
    const timer = setTimeout(this.#kill, CLOSE_TIMEOUT_MS);
    if (this.#child.pid !== undefined) await this.#exited;
    clearTimeout(timer);
    process.off("exit", this.#kill);
    this.#kill();
  }

  #receive(line: string): void {
    if (this.#isEnding) return;
    try {
      this.#listener.message(parseMessage(line));
    } catch (error) {
      this.#lose((error as Error).message);
    }
  }

  #lose(reason: string): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    this.#kill();
    this.#listener.lost(reason);
  }

  /** The whole group; safe when it is gone. */
  readonly #kill = (): void => {
    if (this.#child.pid === undefined) return;
    try {
      process.kill(-this.#child.pid, "SIGKILL");
    } catch {
      // It is gone.
    }
  };
}
