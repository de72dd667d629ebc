/** A virtual clock's time and what is to happen, in order of time; of equal times the first entered comes first. */
export class Agenda {
  now = 0;
  #events: { time: number; act: () => void }[] = [];

  at(time: number, act: () => void): void {
    let i = this.#events.length;
    while (i > 0 && this.#events[i - 1]!.time > time) i--;
    this.#events.splice(i, 0, { time, act });
  }

  /** Moves time to the next event, up to `time`, and lets it happen; false where there is none. */
  happen(time: number): boolean {
    const next = this.#events[0];
    if (!next || next.time > time) return false;
    this.#events.shift();
    this.now = Math.max(this.now, next.time);
    next.act();
    return true;
  }

  /** Nothing happens before `time`: throws where it never does. */
  passTo(time: number): void {
    if (time === Number.POSITIVE_INFINITY) throw new Error("nothing will ever happen");
    this.now = time;
  }
}
