/**
 * Gates `acceptance: DOMAIN`: the candidate foresees what the target writes no worse than the current release does.
 *
 * The texts are those that a real verifier writes greedily from held-out prompts; the guesses are those of the edge's
 * kernel for every id of them, given what the edge lets it see of what stands before. An id that is guessed is one that
 * the verifier accepts: verification changes no text.
 */
import { join } from "node:path";
import type { GatesEnvironment, GatesRequest } from "../../gpu-service/protocol/gates.ts";
import type { Gate } from "../../gpu-service/protocol/jobs.ts";
import { type OpenDraft, openDraft } from "../bench/acceptance/draft.ts";
import { foreseeByKernel } from "../bench/acceptance/kernel.ts";
import type { Written } from "../bench/acceptance/written.ts";
import type { Candidate } from "./candidate.ts";
import { compare, type Foreseen, MARGIN } from "./comparison.ts";
import type { Held } from "./evidence.ts";
import { writeTexts } from "./texts.ts";

export async function acceptanceGates(
  candidate: Candidate,
  current: GatesRequest["current"],
  held: Held,
  environment: GatesEnvironment,
): Promise<Gate[]> {
  const { target, tokenizer_sha256: tokenizer } = candidate.manifest;
  const texts = await writeTexts(environment, { target, tokenizer, ...held });
  const other = current && (await openDraft(join(current.folder, "model.draft")));
  const gates: Gate[] = [];
  for (const domain of new Set(held.prompts.map((prompt) => prompt.domain))) {
    const counts: Foreseen[] = [];
    for (const text of texts.filter((one) => one.domain === domain)) {
      const alone = await count(candidate, text);
      counts.push({
        ids: text.ids.length,
        candidate: alone,
        current: other ? await count(other, text) : alone,
      });
    }
    gates.push(gateOf(domain, counts, current?.release));
  }
  return gates;
}

/** Ids of the text that the draft's first guess was. */
async function count(draft: OpenDraft, text: Written): Promise<number> {
  const { said } = await foreseeByKernel(draft, text);
  return text.ids.filter((id, place) => said[place] === id).length;
}

function gateOf(domain: string, counts: readonly Foreseen[], current: string | undefined): Gate {
  const gate = `acceptance: ${domain}`;
  if (counts.length < 2) {
    return { gate, passed: false, message: `the target wrote ${counts.length} texts`, figures: {} };
  }
  const found = compare(counts);
  const { candidate, difference, lowest } = found;
  if (current === undefined) {
    const message = `${share(candidate)} of ids foreseen; there is no current release to compare with`;
    return { gate, passed: candidate > 0, message, figures: { candidate, texts: counts.length } };
  }
  return {
    gate,
    passed: found.isNoWorse,
    message: `${share(candidate)} of ids foreseen, ${share(found.current)} by ${current}: the difference is above ${signed(lowest)} with 95% confidence (needed: ${signed(-MARGIN)})`,
    figures: { candidate, current: found.current, difference, lowest, texts: counts.length },
  };
}

const share = (value: number): string => value.toFixed(3);
const signed = (value: number): string => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(3)}`;
