/** Prometheus metrics of the training service, read from the store when they are asked for. */
import { Gauge, Registry } from "prom-client";
import { JOB_STATES } from "../../protocol/jobs.ts";
import type { JobStore } from "../jobs/store.ts";

export function trainingMetrics(store: JobStore): { contentType: string; text(): Promise<string> } {
  const registry = new Registry();
  new Gauge({
    name: "outrider_training_jobs",
    help: "Jobs in the store, by state.",
    labelNames: ["state"],
    registers: [registry],
    collect() {
      const counts = store.countByState();
      for (const state of JOB_STATES) this.set({ state }, counts[state] ?? 0);
    },
  });
  new Gauge({
    name: "outrider_training_tokens_per_second",
    help: "Training speed that the running job last reported, by recipe and stage.",
    labelNames: ["recipe", "stage"],
    registers: [registry],
    collect() {
      this.reset();
      for (const { recipe, progress } of store.running()) {
        if (progress?.tok_s != null) this.set({ recipe, stage: progress.stage }, progress.tok_s);
      }
    },
  });
  return { contentType: registry.contentType, text: () => registry.metrics() };
}
