/** The token that every `open` carries: for the request's tenant, good once. */
import {
  type LinkKey,
  MAX_TOKEN_LIFETIME_S,
  signToken,
  toBase64Url,
} from "../../gpu-service/protocol/token.ts";
import type { SequenceRequest } from "./link.ts";

export function tokenFor({ target, tenant }: SequenceRequest, key: LinkKey): Promise<string> {
  const iat = Math.floor(Date.now() / 1000);
  const claims = {
    aud: target,
    kid: key.id,
    tenant,
    nonce: toBase64Url(crypto.getRandomValues(new Uint8Array(12))),
    iat,
    exp: iat + MAX_TOKEN_LIFETIME_S / 2,
  };
  return signToken(claims, key.secret);
}
