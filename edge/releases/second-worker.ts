/**
 * Where the canary does not fit beside the current release, a second Worker that holds it serves its share: the same
 * code behind a service binding, with `SERVES = "canary"`. What it cannot be given is served here.
 */
export type SecondWorker = { fetch(request: Request): Promise<Response> };
