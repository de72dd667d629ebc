/** `loop`: what `npm run demo:loop` shows, as a benchmark. It knows no quicker way: training takes what it takes. */
import { demonstrate } from "../demo/demonstrate.ts";
import { figuresOf } from "../demo/figures.ts";
import type { Bench } from "./result.ts";

export const benchLoop: Bench = async (_options, say) => figuresOf(await demonstrate(say));
