/** A key's token quota in answers: OpenAI's headers, and the refusal where it does not suffice. */
import type { Quota, Reservation } from "../accounts/quota.ts";
import { ApiError } from "./errors.ts";

type Headers = Record<string, string>;

export function quotaHeaders({ tokens }: Quota, { remaining, resetMs }: Reservation): Headers {
  return {
    "x-ratelimit-limit-tokens": String(tokens),
    "x-ratelimit-remaining-tokens": String(remaining),
    ...(resetMs !== null && { "x-ratelimit-reset-tokens": `${seconds(resetMs)}s` }),
  };
}

/** `most`: the tokens that the request may take. SDKs would ask again by themselves, in vain. */
export function quotaExhausted(quota: Quota, reservation: Reservation, most: number): ApiError {
  const { remaining, resetMs } = reservation;
  const per = quota.period === "ever" ? "in all" : `per ${quota.period}`;
  return new ApiError({
    status: 429,
    type: "insufficient_quota",
    code: "insufficient_quota",
    message:
      `This request may take ${most} tokens (prompt and output together); ${remaining} remain of this key's ` +
      `quota of ${quota.tokens} ${per}.`,
    headers: {
      ...quotaHeaders(quota, reservation),
      ...(resetMs !== null && { "retry-after": String(seconds(resetMs)) }),
      "x-should-retry": "false",
    },
  });
}

const seconds = (ms: number): number => Math.ceil(ms / 1000);
