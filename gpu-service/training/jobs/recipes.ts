/** The recipes of a folder: one JSON file each, asked for by name. */
import { readdirSync } from "node:fs";
import { join } from "node:path";

const FILE = /^([a-z0-9][a-z0-9-]{0,63})\.json$/;

export class Recipes {
  readonly #paths: ReadonlyMap<string, string>;

  constructor(folder: string) {
    const found = readdirSync(folder).flatMap((file) => {
      const name = FILE.exec(file)?.[1];
      return name === undefined ? [] : [[name, join(folder, file)] as const];
    });
    this.#paths = new Map(found.sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  get names(): string[] {
    return [...this.#paths.keys()];
  }

  pathOf(name: string): string | undefined {
    return this.#paths.get(name);
  }
}
