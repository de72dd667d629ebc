/** The Python process around vLLM, seen from here: started, spoken to over its channel, and ended with all its children. */
import { type ChildProcess, spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { Channel } from "./channel.ts";
import { type FromProcess, parseMessage, type ToProcess } from "./messages.ts";

const CLOSE_TIMEOUT_MS = 20_000;
/** How long its children may take to end after it: they take their shared memory away. */
const CHILDREN_TIMEOUT_MS = 3_000;
const CHILDREN_POLL_MS = 50;
/** What it said last may come after the news of its end. */
const LAST_WORDS_MS = 500;
const STANDARD_ERROR = 2;

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
  readonly #channel: Channel;
  readonly #exited: Promise<void>;
  readonly #listener: ProcessListener;
  #isEnding = false;

  private constructor(
    { python, configuration, env }: ProcessOptions,
    channel: Channel,
    listener: ProcessListener,
  ) {
    this.#listener = listener;
    this.#channel = channel;
    const args = ["-m", "outrider_vllm.serve", JSON.stringify(configuration)];
    // A group of its own: vLLM's workers are in it, and end with it. What it prints goes to the log.
    this.#child = spawn(python, args, {
      env: { ...env, ...channel.address },
      stdio: ["ignore", STANDARD_ERROR, STANDARD_ERROR],
      detached: true,
    });
    this.#exited = new Promise((resolve) => this.#child.once("close", () => resolve()));
    this.#child.once("error", (error) => this.#lose(`${python}: ${error.message}`));
    this.#child.once("exit", async (code, signal) => {
      await Promise.race([channel.ended, sleep(LAST_WORDS_MS)]);
      this.#lose(`the vLLM process ended (${signal ?? code})`);
    });
    // Without its channel it is of no use; where it ends by itself, its exit says why.
    void channel.ended.then(() =>
      setTimeout(() => this.#lose("the vLLM process closed its channel"), CLOSE_TIMEOUT_MS).unref(),
    );
    process.once("exit", this.#kill);
  }

  /** Rejects where no channel can be made; whether the process starts, `listener` hears. */
  static async start(options: ProcessOptions, listener: ProcessListener): Promise<VllmProcess> {
    let hear = (_line: string): void => {};
    const channel = await Channel.open((line) => hear(line));
    const started = new VllmProcess(options, channel, listener);
    hear = (line) => started.#receive(line);
    return started;
  }

  send(message: ToProcess): void {
    this.#channel.send(JSON.stringify(message), message.type === "hint");
  }

  /** Asks it to end, and ends it with its group where it does not. */
  async close(): Promise<void> {
    this.#isEnding = true;
    this.send({ type: "close" });
    this.#channel.close();
    const timer = setTimeout(this.#kill, CLOSE_TIMEOUT_MS);
    if (this.#child.pid !== undefined) await this.#exited;
    clearTimeout(timer);
    for (let waited = 0; this.#hasGroup() && waited < CHILDREN_TIMEOUT_MS; waited += CHILDREN_POLL_MS)
      await sleep(CHILDREN_POLL_MS);
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
    this.#channel.close();
    this.#kill();
    this.#listener.lost(reason);
  }

  /** Whether anyone of its group is left. */
  #hasGroup(): boolean {
    try {
      return this.#child.pid !== undefined && process.kill(-this.#child.pid, 0);
    } catch {
      return false;
    }
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
