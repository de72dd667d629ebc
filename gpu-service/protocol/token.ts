/**
 * The token in every `open`: proves that an edge may use this verifier, and for which tenant.
 *
 * Form: `v2.<iat>.<seconds of life>.<nonce>.<mac>.<key id>`. The mac is HMAC-SHA-256, in base64url, over the claims as
 * a JSON list, those included that the `open` itself names: the target and the tenant.
 * Two keys may be accepted at once, so that a key can be rotated without a gap.
 */
import { hmacKey } from "./hmac.ts";

export const MAX_TOKEN_LIFETIME_S = 60;
/** A token may come from a clock that is so much ahead. */
const CLOCK_SKEW_S = 5;
const VERSION = "v2";
const FORM = /^v2\.(\d{1,12})\.(\d{1,12})\.([\w-]{16,64})\.([\w-]{43})\.(.{1,256})$/;

export type TokenClaims = {
  /** Who may accept it: the target id. */
  aud: string;
  kid: string;
  tenant: string;
  /** 16 to 64 characters of base64url. */
  nonce: string;
  /** When it was made, and until when it is good, `exp` not before `iat`. Unix seconds, whole. */
  iat: number;
  exp: number;
};
export type LinkKey = { id: string; secret: string };
export type Verified = { ok: true; claims: TokenClaims } | { ok: false; message: string };

export async function signToken(claims: TokenClaims, secret: string): Promise<string> {
  const { kid, nonce, iat, exp } = claims;
  const mac = await crypto.subtle.sign("HMAC", await hmacKey(secret, "sign"), signedBytes(claims));
  return [VERSION, iat, exp - iat, nonce, toBase64Url(new Uint8Array(mac)), kid].join(".");
}

/**
 * Checks form, key, mac (and with it audience and tenant), expiry and lifetime. Replay is the caller's to check: by
 * nonce, and by `iat` where it does not remember the nonces of an earlier time.
 */
export async function verifyToken(
  token: string,
  keys: readonly LinkKey[],
  expected: { audience: string; tenant: string },
  nowSeconds: number,
): Promise<Verified> {
  const refuse = (message: string): Verified => ({ ok: false, message });
  const [, made, life, nonce, macPart, kid] = FORM.exec(token) ?? [];
  const mac = fromBase64Url(macPart ?? "");
  if (!nonce || !kid || !mac) return refuse(`token: not of the form ${VERSION}.iat.life.nonce.mac.key`);
  const iat = Number(made);
  const { audience: aud, tenant } = expected;
  const claims: TokenClaims = { aud, kid, tenant, nonce, iat, exp: iat + Number(life) };
  const key = keys.find((k) => k.id === kid);
  if (!key) return refuse(`token: unknown key id ${kid}`);
  const hmac = await hmacKey(key.secret, "verify");
  if (!(await crypto.subtle.verify("HMAC", hmac, mac, signedBytes(claims))))
    return refuse(`token: wrong mac: of another secret than key ${kid}'s, or for another target or tenant`);
  if (claims.exp < nowSeconds) return refuse("token: expired");
  const lifetime = claims.exp - Math.min(iat, nowSeconds + CLOCK_SKEW_S);
  if (lifetime > MAX_TOKEN_LIFETIME_S) return refuse(`token: lives longer than ${MAX_TOKEN_LIFETIME_S} s`);
  return { ok: true, claims };
}

const signedBytes = ({ aud, kid, tenant, nonce, iat, exp }: TokenClaims) =>
  new TextEncoder().encode(JSON.stringify([VERSION, aud, kid, tenant, nonce, iat, exp]));

export function toBase64Url(bytes: Uint8Array): string {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

export function fromBase64Url(value: string): Uint8Array<ArrayBuffer> | undefined {
  if (!/^[A-Za-z0-9_-]*$/.test(value)) return undefined;
  try {
    return Uint8Array.from(atob(value.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  } catch {
    return undefined;
  }
}
