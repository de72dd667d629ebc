/** Whether an `open` may start: version, target, token, tokenizer, in that order. */
import type { ErrorFrame, OpenFrame } from "../../protocol/frames.ts";
import { type LinkKey, verifyToken } from "../../protocol/token.ts";
import { agreedVersion, namesOf, SPOKEN, type Versions } from "../../protocol/versions.ts";
import type { EngineInfo, StartFrame } from "../engines/engine.ts";
import type { NonceWindow } from "./nonces.ts";

export type Refusal = Pick<ErrorFrame, "code" | "message" | "retryable">;
/** `protocol`: the version that both sides speak. */
export type Admitted = { ok: true; start: StartFrame; protocol: number } | { ok: false; refusal: Refusal };

export type Gate = {
  info: EngineInfo;
  keys: readonly LinkKey[];
  nonces: NonceWindow;
  /** Unix seconds from which on `nonces` knows every token that was used: those made earlier are refused. */
  since: number;
  nowSeconds: () => number;
  /** This code's versions when absent. */
  spoken?: Versions;
};

export async function admitOpen(open: OpenFrame, gate: Gate): Promise<Admitted> {
  const refuse = (code: ErrorFrame["code"], message: string, retryable = false): Admitted => ({
    ok: false,
    refusal: { code, message, retryable },
  });
  const {
    type: _,
    protocol: newest,
    oldest_protocol: oldest = newest,
    target,
    tokenizer,
    token,
    ...rest
  } = open;
  const { spoken = SPOKEN } = gate;
  const protocol = agreedVersion(open, spoken);
  if (protocol === undefined) {
    const asked = namesOf({ oldest, newest });
    return refuse("unsupported_protocol", `protocol: ${asked} is not spoken here, only ${namesOf(spoken)}`);
  }
  if (target !== gate.info.target)
    return refuse("unknown_target", `target: ${target} is not served here, only ${gate.info.target}`);
  const expected = { audience: gate.info.target, tenant: open.tenant };
  const verified = await verifyToken(token, gate.keys, expected, gate.nowSeconds());
  if (!verified.ok) return refuse("unauthorized", verified.message);
  const { nonce, iat, exp } = verified.claims;
  if (iat < gate.since) return refuse("unauthorized", "token: made before this verifier started", true);
  switch (gate.nonces.take(nonce, exp, gate.nowSeconds())) {
    case "replayed":
      return refuse("unauthorized", "token: used before");
    case "full":
      return refuse("overloaded", "token: too many are valid at once", true);
    case "fresh":
  }
  if (tokenizer !== gate.info.tokenizer)
    return refuse("tokenizer_mismatch", `tokenizer: ids were made by another tokenizer than ${target}'s`);
  return { ok: true, start: { type: "start", ...rest }, protocol };
}
