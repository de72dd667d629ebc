/** What an answer is made with, whole or streamed. */
import type { Finished } from "../completion/job.ts";
import type { Details } from "./details.ts";
import type { Shape } from "./shape.ts";
import type { Choices } from "./written.ts";

export type Answer = {
  shape: Shape;
  model: string;
  choices: Choices;
  includeUsage: boolean;
  /** Present when the client asked for details. `index`: of the sequence, in the order of prompts and choices. */
  details: ((index: number, finished: Finished) => Details) | undefined;
};

/** What every object of an answer begins with. */
export const head = ({ shape, model }: Answer, object: string) => ({
  id: shape.idPrefix + crypto.randomUUID().replaceAll("-", ""),
  object,
  created: Math.floor(Date.now() / 1000),
  model,
});
