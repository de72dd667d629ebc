/**
 * The token in every `open`: proves that an edge may use this verifier, and for which tenant.
 *
 * Form: `v1.<claims>.<mac>`, both base64url; claims are JSON; mac is HMAC-SHA-256 over `v1.<claims>`.
 * Two keys may be accepted at once, so that a key can be rotated without a gap.
 */
import { z } from "zod";
import { hmacKey } from "./hmac.ts";

export const MAX_TOKEN_LIFETIME_S = 60;
/** A token may come from a clock that is so much ahead. */
const CLOCK_SKEW_S = 5;

const claimsSchema = z.object({
  /** Who may accept it: the target id. */
  aud: z.string(),
  kid: z.string(),
  tenant: z.string(),
  nonce: z.string().min(16),
  /** When it was made, and until when it is good. Unix seconds. */
  iat: z.number(),
  exp: z.number(),
});
export type TokenClaims = z.infer<typeof claimsSchema>;
export type LinkKey = { id: string; secret: string };
export type Verified = { ok: true; claims: TokenClaims } | { ok: false; message: string };

const text = new TextEncoder();

export async function signToken(claims: TokenClaims, secret: string): Promise<string> {
  const body = `v1.${toBase64Url(text.encode(JSON.stringify(claims)))}`;
  const mac = await crypto.subtle.sign("HMAC", await hmacKey(secret, "sign"), text.encode(body));
  return `${body}.${toBase64Url(new Uint8Array(mac))}`;
}

/**
 * Checks form, key, mac, audience, tenant, expiry and lifetime. Replay is the caller's to check: by nonce, and by `iat`
 * where it does not remember the nonces of an earlier time.
 */
export async function verifyToken(
  token: string,
  keys: readonly LinkKey[],
  expected: { audience: string; tenant: string },
  nowSeconds: number,
): Promise<Verified> {
  const refuse = (message: string): Verified => ({ ok: false, message });
  const [version, claimsPart, macPart, rest] = token.split(".");
  if (version !== "v1" || !claimsPart || !macPart || rest !== undefined)
    return refuse("token: not of the form v1.claims.mac");
  const claims = parseClaims(claimsPart);
  if (!claims) return refuse("token: claims do not parse");
  const key = keys.find((k) => k.id === claims.kid);
  if (!key) return refuse(`token: unknown key id ${claims.kid}`);
  const mac = fromBase64Url(macPart);
  const good =
    mac !== undefined &&
    (await crypto.subtle.verify(
      "HMAC",
      await hmacKey(key.secret, "verify"),
      mac,
      text.encode(`v1.${claimsPart}`),
    ));
  if (!good) return refuse("token: wrong mac");
  if (claims.aud !== expected.audience)
    return refuse(`token: audience ${claims.aud} is not ${expected.audience}`);
  if (claims.tenant !== expected.tenant) return refuse("token: made for another tenant");
  if (claims.exp < nowSeconds) return refuse("token: expired");
  const lifetime = claims.exp - Math.min(claims.iat, nowSeconds + CLOCK_SKEW_S);
  if (lifetime > MAX_TOKEN_LIFETIME_S) return refuse(`token: lives longer than ${MAX_TOKEN_LIFETIME_S} s`);
  return { ok: true, claims };
}

function parseClaims(part: string): TokenClaims | undefined {
  const bytes = fromBase64Url(part);
  if (!bytes) return undefined;
  try {
    const result = claimsSchema.safeParse(JSON.parse(new TextDecoder().decode(bytes)));
    return result.success ? result.data : undefined;
  } catch {
    return undefined;
  }
}

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
