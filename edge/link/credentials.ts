/** The token that every `open` carries: for the request's tenant, good once. */
import { type LinkKey, MAX_TOKEN_LIFETIME_S, signToken } from "../../gpu-service/protocol/token.ts";
import type { SequenceRequest } from "./link.ts";

export function tokenFor({ target, tenant }: SequenceRequest, key: LinkKey): Promise<string> {
  const iat = Math.floor(Date.now() / 1000);
  const claims = {
    aud: target,
    kid: key.id,
    tenant,
    nonce: crypto.randomUUID(),
    iat,
    exp: iat + MAX_TOKEN_LIFETIME_S / 2,
  };
  return signToken(claims, key.secret);
}
