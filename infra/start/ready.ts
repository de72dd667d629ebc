/** Waiting for a service to answer. */
import { setTimeout as sleep } from "node:timers/promises";
import { StartError } from "./errors.ts";
import type { Processes } from "./processes.ts";

const POLL_MS = 100;

/** Polls `url` until it answers 2xx. Throws with the log's tail if the process ends or the time is up. */
export async function waitUntilReady(
  processes: Processes,
  service: { name: string; url: string; timeoutMs: number },
): Promise<void> {
  const { name, url, timeoutMs } = service;
  const deadline = Date.now() + timeoutMs;
  let last = "no answer";
  while (Date.now() < deadline) {
    if (!processes.isRunning(name)) throw failed(processes, name, "ended before it was ready");
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(2_000) });
      const text = await response.text();
      if (response.ok) return;
      last = `${response.status} ${text.slice(0, 300)}`;
    } catch (error) {
      last = error instanceof Error ? error.message : String(error);
    }
    await sleep(POLL_MS);
  }
  throw failed(processes, name, `was not ready after ${timeoutMs / 1000} s (${url}: ${last})`);
}

export const failed = (processes: Processes, name: string, what: string): StartError =>
  new StartError(
    `The ${name} ${what}. The end of ${processes.logPath(name)}:\n${indent(processes.tail(name))}`,
  );

const indent = (text: string): string => text.replaceAll(/^/gm, "  | ");
