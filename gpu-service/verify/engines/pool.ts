/**
 * Several engines as one: each has its own copy of the target, its slots and its scheduler.
 *
 * A sequence stays where it began. It begins where fewest run; among those, if it can, where prompts that begin alike
 * have run, so that their keys and values may still be there.
 */
import { mix32 } from "../../protocol/noise.ts";
import type { Engine, EngineInput, EngineListener, EngineLoad, StartFrame } from "./engine.ts";

/** Ids of a prompt that decide where its like have run. */
const HOME_IDS = 32;

type Member<E> = { engine: E; sequences: number; load: EngineLoad };

export class EnginePool<E extends Engine> implements Engine {
  readonly #members: Member<E>[] = [];
  readonly #homes = new Map<number, Member<E>>();

  /** Starts `count` engines one after the other, so that none disturbs what another measures. Rejects if one does. */
  static async start<E extends Engine>(
    count: number,
    startOne: (listener: EngineListener) => Promise<E>,
    listener: EngineListener,
  ): Promise<EnginePool<E>> {
    const pool = new EnginePool<E>();
    try {
      for (let n = 0; n < count; n++) await pool.#add(startOne, listener);
      const numerics = new Set(pool.#members.map(({ engine }) => engine.info.numerics));
      if (numerics.size > 1) throw new Error(`workers differ in their numerics: ${[...numerics].join(", ")}`);
    } catch (error) {
      await pool.close();
      throw error;
    }
    return pool;
  }

  get engines(): readonly E[] {
    return this.#members.map(({ engine }) => engine);
  }

  get info() {
    return this.#members[0]!.engine.info;
  }

  send(input: EngineInput): void {
    if (input.type === "start") this.#begin(input);
    else this.#homes.get(input.stream)?.engine.send(input);
  }

  async close(): Promise<void> {
    await Promise.all(this.#members.map(({ engine }) => engine.close()));
  }

  async #add(startOne: (listener: EngineListener) => Promise<E>, listener: EngineListener): Promise<void> {
    const load = { active: 0, queued: 0 };
    const engine = await startOne({
      failed: (reason) => listener.failed(reason),
      turn: (turn) => {
        member.load = turn.load;
        for (const { type, stream } of turn.frames)
          if (type === "done" || type === "error") this.#end(stream, member);
        listener.turn({ ...turn, load: this.#load() });
      },
    });
    const member: Member<E> = { engine, sequences: 0, load };
    this.#members.push(member);
  }

  #begin(start: StartFrame): void {
    const least = Math.min(...this.#members.map(({ sequences }) => sequences));
    const home = this.#members[homeOf(start) % this.#members.length]!;
    const member =
      home.sequences === least ? home : this.#members.find(({ sequences }) => sequences === least)!;
    member.sequences++;
    this.#homes.set(start.stream, member);
    member.engine.send(start);
  }

  #end(stream: number, member: Member<E>): void {
    if (this.#homes.delete(stream)) member.sequences--;
  }

  #load(): EngineLoad {
    const sum = (key: keyof EngineLoad) => this.#members.reduce((total, { load }) => total + load[key], 0);
    return { active: sum("active"), queued: sum("queued") };
  }
}

/** The same number for prompts of one tenant that begin alike: tenants share nothing that would draw them together. */
function homeOf({ tenant, prompt }: StartFrame): number {
  const letters = Array.from(tenant, (letter) => letter.codePointAt(0)!);
  return [...letters, ...prompt.slice(0, HOME_IDS)].reduce((hash, n) => mix32(hash ^ n), 1);
}
