/** `npm run demo:loop [-- --json]`: the closed loop, once, in front of you; exit status 1 where it gains too little. */
import { parseArgs } from "node:util";
import { makeResult } from "../bench/result.ts";
import { runMain } from "../start/run-main.ts";
import { demonstrate } from "./demonstrate.ts";
import { figuresOf, GAIN, storyOf } from "./figures.ts";

await runMain(main);

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { json: { type: "boolean", default: false } } });
  const shown = await demonstrate((line) => console.error(line));
  console.log(storyOf(shown));
  if (values.json) console.log(JSON.stringify(makeResult("loop", false, figuresOf(shown))));
  const { failures } = shown.books;
  return shown.after.greedy - shown.before.greedy >= GAIN && failures.length + shown.changed === 0 ? 0 : 1;
}
