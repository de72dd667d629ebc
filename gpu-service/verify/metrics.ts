/** The service's Prometheus metrics, in a registry of their own. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { EngineTurn, StepReport } from "./engines/engine.ts";

const STEP_BUCKETS_MS = [1, 2, 4, 6, 8, 10, 12, 16, 20, 25, 32, 40, 50, 65, 80, 100, 150, 250, 500, 1000];

export class Metrics {
  readonly registry = new Registry();
  readonly sockets = this.#gauge("sockets", "Open sockets of the link");
  readonly active = this.#gauge("sequences_active", "Sequences that hold a slot");
  readonly queued = this.#gauge("sequences_queued", "Sequences that wait for a slot");
  readonly steps = this.#counter("steps_total", "Steps of the engine");
  readonly rows = this.#counter("rows_total", "Rows run, prefill and hints included");
  readonly tokens = this.#counter("tokens_total", "Tokens confirmed");
  readonly drafted = this.#counter("drafted_total", "Hint rows run", ["source"]);
  readonly accepted = this.#counter("accepted_total", "Hint rows that came true", ["source"]);
  readonly sequences = this.#counter("sequences_total", "Sequences ended, by outcome", ["outcome"]);
  readonly refused = this.#counter("opens_refused_total", "Opens refused by the link", ["code"]);
  readonly paced = this.#gauge("paced", "1: steps are stretched to an emulated machine's pace", ["label"]);
  readonly overruns = this.#counter("paced_overruns_total", "Paced steps that took longer than their pace");
  readonly stepMs = this.#histogram("step_ms", "Milliseconds of a step, sampling included");
  readonly samplingMs = this.#histogram("sampling_ms", "Milliseconds of a step's sampling");

  constructor() {
    collectDefaultMetrics({ register: this.registry, prefix: "outrider_verify_" });
  }

  turn({ report, load, overrunMs }: EngineTurn): void {
    this.active.set(load.active);
    this.queued.set(load.queued);
    if (overrunMs > 0) this.overruns.inc();
    if (report) this.#step(report);
  }

  #step(report: StepReport): void {
    this.steps.inc();
    this.rows.inc(report.rows);
    this.tokens.inc(report.tokens);
    this.stepMs.observe(report.ms);
    this.samplingMs.observe(report.samplingMs);
    for (const [source, n] of Object.entries(report.drafted)) this.drafted.inc({ source }, n);
    for (const [source, n] of Object.entries(report.accepted)) this.accepted.inc({ source }, n);
  }

  #gauge<L extends string>(name: string, help: string, labelNames: L[] = []): Gauge<L> {
    return new Gauge({ name: `outrider_verify_${name}`, help, labelNames, registers: [this.registry] });
  }
  #counter<L extends string>(name: string, help: string, labelNames: L[] = []): Counter<L> {
    return new Counter({ name: `outrider_verify_${name}`, help, labelNames, registers: [this.registry] });
  }
  #histogram(name: string, help: string): Histogram {
    const registers = [this.registry];
    return new Histogram({ name: `outrider_verify_${name}`, help, buckets: STEP_BUCKETS_MS, registers });
  }
}
