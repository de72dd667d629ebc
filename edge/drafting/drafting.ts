/** Who drafts for a request: the portfolio, nobody, or (in tests) someone who means harm. */
import type { Sampling } from "../../gpu-service/protocol/frames.ts";
import type { DraftState, Release } from "../releases/loader.ts";
import { type Drafter, PortfolioDrafter } from "./drafter.ts";
import { Lookup } from "./lookup.ts";
import { SEATS, seatedModel } from "./model-seats.ts";
import { Prediction } from "./prediction.ts";
import type { DraftSource } from "./source.ts";
import { HostileDrafter, TEST_HINTS, type TestHints } from "./test-hints.ts";
import { WrongSource } from "./wrong-source.ts";

export type DraftingRequest = {
  prompt: readonly number[];
  sampling: Sampling;
  /** Whose request it is: what the draft model computed is never shared across tenants. */
  tenant: string;
  maxTokens: number;
  vocabulary: number;
  /** False: the request asked for the plain path. */
  drafts: boolean;
  hints: TestHints;
  /** What the client expects the output to be, in ids. */
  prediction?: readonly number[];
};
/** `drafter` is absent where drafts are off. `state`: what the request is attributed to. */
export type Drafting = { drafter: Drafter | undefined; state: DraftState };

/** `memory`: what is remembered for this request's tenant, where it may be used. */
export function startDrafting(
  request: DraftingRequest,
  release: Release | undefined,
  state: DraftState,
  memory?: DraftSource,
): Drafting {
  if (!request.drafts) return { drafter: undefined, state: { release: null, note: "drafts are off" } };
  if (request.hints === "wrong") {
    const drafter = portfolio(request, [new WrongSource(request.vocabulary)]);
    return { drafter, state: { release: null, note: "wrong test hints" } };
  }
  if (request.hints !== "honest") {
    const drafter = new HostileDrafter(request.hints, request.prompt, request.vocabulary);
    return { drafter, state: { release: null, note: `${request.hints} test hints` } };
  }
  const sources = sourcesOf(request, memory);
  if (!release) return { drafter: portfolio(request, sources), state };
  const model = seatedModel(release, request.sampling, request.tenant);
  if (model) return { drafter: portfolio(request, [...sources, model]), state };
  const note = `the draft model is busy with ${SEATS} requests`;
  return { drafter: portfolio(request, sources), state: { release: null, note } };
}

/** Those that answer at once, in the order in which they are heard; the model comes after them. */
function sourcesOf({ prediction, prompt }: DraftingRequest, memory: DraftSource | undefined): DraftSource[] {
  return [
    ...(prediction ? [new Prediction(prediction, prompt.length)] : []),
    ...(memory ? [memory] : []),
    new Lookup(),
  ];
}

const portfolio = ({ prompt, maxTokens }: DraftingRequest, sources: readonly DraftSource[]): Drafter =>
  new PortfolioDrafter(prompt, maxTokens, sources);

/** The `x-outrider-hints` header, heeded only where the configuration lets tests use it. */
export function readTestHints(header: string | undefined, allowed: boolean): TestHints | undefined {
  if (header === undefined || !allowed) return "honest";
  return TEST_HINTS.find((kind) => kind === header);
}
