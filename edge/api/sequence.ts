/** One sequence of a request: its own seed, its own drafter, its own memory. */
import type { Context } from "hono";
import { type DoneFrame, type Sampling, traceparentSchema } from "../../gpu-service/protocol/frames.ts";
import { complete } from "../completion/completion.ts";
import { type Drafting, readTestHints } from "../drafting/drafting.ts";
import type { TestHints } from "../drafting/test-hints.ts";
import type { TargetText } from "../text/target-text.ts";
import type { AppEnv } from "./context.ts";
import { type AnswerEvent, type Echo, withEcho } from "./echo.ts";
import { invalidRequest } from "./errors.ts";

export type Planned = { ids: number[]; maxTokens: number; echo?: Echo; sampling: Sampling };
/** What the sequences of a request have in common. */
export type Common = {
  text: TargetText;
  stops: readonly string[];
  prediction: readonly number[] | undefined;
  /** Likeliest tokens beside each; undefined: none are asked for. */
  logprobs: number | undefined;
  /** Tokens are shown: those of an echoed prompt are scored too. */
  showsTokens: boolean;
  wishes: Wishes;
  signal: AbortSignal;
};
export type Begun = { events: AsyncGenerator<AnswerEvent, void>; drafts: Drafting["state"] };

/** `ended` hears once how many output tokens were confirmed, also of a text that was broken off. */
export function beginSequence(
  c: Context<AppEnv>,
  planned: Planned,
  common: Common,
  ended: (tokens: number) => void,
): Begun {
  const { links, recall: recallFor, startDrafting, account } = c.var.services;
  const { ids: prompt, maxTokens, sampling, echo } = planned;
  const { text, prediction, wishes, logprobs } = common;
  const scored = echo !== undefined && common.showsTokens;
  const { tenant } = c.var;
  const recall = wishes.drafts && wishes.remembers ? recallFor({ tenant, text, prompt }) : undefined;
  const { drafts, hints } = wishes;
  const vocabulary = text.manifest.vocab_size;
  const drafting = startDrafting(
    { prompt, sampling, tenant, maxTokens, vocabulary, drafts, hints, ...(prediction && { prediction }) },
    recall?.source,
  );
  const job = {
    ...{ text, prompt, sampling, maxTokens, logprobs, tenant },
    ...{ stops: common.stops, signal: common.signal, wantsReport: wishes.details },
    ...(scored && logprobs !== undefined && { promptLogprobs: logprobs }),
    release: drafting.state.release ?? undefined,
    ...(wishes.traceparent !== undefined && { traceparent: wishes.traceparent }),
    hasPrediction: prediction !== undefined,
    remember: (output: readonly number[]) => {
      recall?.remember(output);
      ended(output.length);
    },
    account: (report: Promise<DoneFrame | null>, output: readonly number[]) => {
      const mayCapture = c.var.key.capture && wishes.remembers;
      account({ release: drafting.state.release, prompt, output, sampling }, report, mayCapture);
    },
  };
  const events = complete(job, links(prompt), drafting.drafter);
  return { events: echo ? withEcho(events, echo, scored) : events, drafts: drafting.state };
}

/** What a client asks for in headers. */
export type Wishes = {
  details: boolean;
  drafts: boolean;
  hints: TestHints;
  remembers: boolean;
  traceparent: string | undefined;
};

/** Throws an ApiError for one that is none. */
export function readWishes(c: Context<AppEnv>): Wishes {
  const hints = readTestHints(c.req.header("x-outrider-hints"), c.var.services.config.testHints);
  if (!hints) throw invalidRequest("x-outrider-hints: must be honest, random, adversarial or wrong");
  return {
    details: c.req.header("x-outrider-details") === "1",
    drafts: c.req.header("x-outrider-drafts") !== "off",
    hints,
    // HTTP's word for "keep nothing of this": neither is anything that was kept used.
    remembers: !/(^|,)\s*no-store\s*(,|$)/i.test(c.req.header("cache-control") ?? ""),
    // W3C: one that is malformed is ignored.
    traceparent: traceparentSchema.safeParse(c.req.header("traceparent")).data,
  };
}
