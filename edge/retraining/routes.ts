/** `/admin/retraining`: what the chains did and do, one begun by hand, and the training service's events. */
import { type Context, type Env, Hono, type MiddlewareHandler } from "hono";
import { JOB_EVENT_SIGNATURE } from "../../gpu-service/protocol/job-events.ts";
import { takeEvent } from "./events.ts";
import { begin, type ScheduleParts } from "./schedule.ts";

export type RetrainingParts = ScheduleParts & {
  /** The training service's token, under which its events are signed. */
  token: string | undefined;
  newId(): string;
};

const SHOWN_CHAINS = 20;
const SHOWN_ENTRIES = 100;

/** To be mounted at /admin/retraining. Events carry their own proof; everything else is the operator's. */
export function retrainingRoutes<E extends Env>(
  partsOf: (context: Context<E>) => RetrainingParts,
  operatorOnly: MiddlewareHandler<E>,
): Hono<E> {
  const app = new Hono<E>();
  app.post("/events", async (context) => {
    const parts = partsOf(context);
    const signature = context.req.header(JOB_EVENT_SIGNATURE) ?? "";
    const answer = await takeEvent(await context.req.text(), signature, parts);
    return answer.status === 204 ? context.body(null, 204) : refuse(context, answer.status, answer.message);
  });
  app.use(operatorOnly);
  app.get("/", async (context) => {
    const { store } = partsOf(context);
    const [chains, audit] = await Promise.all([store.newest(SHOWN_CHAINS), store.audit(SHOWN_ENTRIES)]);
    return context.json({ chains, audit });
  });
  app.post("/", async (context) => {
    const parts = partsOf(context);
    if (parts.recipe === undefined) return refuse(context, 409, "RETRAIN_RECIPE is not set");
    const chain = await begin({ id: parts.newId(), recipe: parts.recipe, forced: true }, parts);
    if (chain) return context.json(chain, 201);
    return refuse(context, 409, `target ${parts.target} has a chain that goes on`);
  });
  return app;
}

const refuse = (context: Context, status: 400 | 401 | 409, message: string): Response =>
  context.json({ error: { message, type: "invalid_request_error", param: null, code: null } }, status);
