/**
 * What the service does through bucket and worker: a job's inputs, its gates, its release, the channel. Keys are read
 * anew each time: they may have been rotated since the last job.
 */
import type { ChannelChange } from "../protocol/channel-change.ts";
import type { Gate } from "../protocol/jobs.ts";
import type { GatesConfig, PublishingConfig } from "./config.ts";
import { askGates } from "./gates/gates.ts";
import type { StoredJob } from "./jobs/job-row.ts";
import type { TrainingTask } from "./launchers/launcher.ts";
import type { LocalLauncherOptions } from "./launchers/local.ts";
import { Bucket } from "./publish/bucket.ts";
import { openPublisher, type Publisher } from "./publish/publisher.ts";
import { JobInputs } from "./traffic/job-inputs.ts";

export class Releasing {
  readonly #config: PublishingConfig & GatesConfig;
  readonly #trainer: LocalLauncherOptions;

  constructor(config: PublishingConfig & GatesConfig, trainer: LocalLauncherOptions) {
    this.#config = config;
    this.#trainer = trainer;
  }

  readonly inputs = new JobInputs(async () => {
    const [bucket, publisher] = [new Bucket(this.#config), await openPublisher(this.#config)];
    return {
      bucket,
      release: (id) => publisher.readRelease(id),
      close: () => {
        bucket.close();
        publisher.close();
      },
    };
  });

  judge(task: TrainingTask, tell: { log(line: string): void; signal: AbortSignal }): Promise<Gate[]> {
    const { GATES_PROGRAM: program, VERIFIER_URL, LINK_KEY_ID, LINK_SECRET } = this.#config;
    const { project, modelsRoot, environment } = this.#trainer;
    return askGates(
      {
        program,
        environment: { VERIFIER_URL, LINK_KEY_ID, LINK_SECRET },
        trainer: { project, modelsRoot, python: () => environment({ ...tell, step: () => {} }) },
        fetchCurrent: (target, folder) =>
          this.#withPublisher((publisher) => publisher.fetchCurrent(target, folder)),
      },
      task,
      tell,
    );
  }

  async publish({ release, publish }: StoredJob, folder: string, signal: AbortSignal): Promise<void> {
    if (publish === "no") return;
    await this.#withPublisher((publisher) => publisher.publishJob(folder, release, publish, signal));
  }

  changeChannel(target: string, change: ChannelChange): Promise<void> {
    return this.#withPublisher((publisher) => publisher.changeChannel(target, change));
  }

  async #withPublisher<T>(use: (publisher: Publisher) => Promise<T>): Promise<T> {
    const publisher = await openPublisher(this.#config);
    try {
      return await use(publisher);
    } finally {
      publisher.close();
    }
  }
}
