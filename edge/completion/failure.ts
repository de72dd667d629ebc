/** What can go wrong with a completion, as values; mapped to HTTP in one switch (api/errors.ts). */
import type { ErrorFrame } from "../../gpu-service/protocol/frames.ts";

export type Failure =
  /** The verifier refused or gave up. */
  | { kind: "verifier"; code: ErrorFrame["code"]; message: string; retryable: boolean }
  /** No replica could be reached, or the last one was lost in the middle of the text. */
  | { kind: "unreachable"; message: string }
  /** The target's text assets are missing or broken. */
  | { kind: "target-unavailable"; message: string }
  /** The client went away. */
  | { kind: "aborted" };
