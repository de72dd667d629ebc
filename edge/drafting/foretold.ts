/** What is foretold beyond the confirmed text: ids, and branches beside them. */
import type { HintSource } from "../../gpu-service/protocol/frames.ts";
import type { Ranked } from "./source.ts";

/** `place`: how many ids were hinted before it when it was foretold. */
export type Foretold = Ranked & { source: HintSource; place: number; runnerUp?: Ranked };
/** Another continuation from position `at`, the runner-up first; `sent`: how many of the ids the verifier knows. */
export type Branch = { at: number; ids: Foretold[]; sent: number; isOver: boolean };

/** Whether a branch has more to say than the verifier knows. */
export const isUnsent = ({ ids, sent }: Branch): boolean => ids.length > Math.max(1, sent);
