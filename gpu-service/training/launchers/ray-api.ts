/** Ray's Jobs API over HTTP, as far as a launcher needs it. */
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";

const TIMEOUT_MS = 15_000;
const TRIES = 6;
const FIRST_WAIT_MS = 500;
const jobSchema = z.object({
  status: z.enum(["PENDING", "RUNNING", "STOPPED", "SUCCEEDED", "FAILED"]),
  message: z.string().nullish(),
});
const logsSchema = z.object({ logs: z.string() });
export type RayJob = z.infer<typeof jobSchema>;
export type RayJobRequest = {
  submission_id: string;
  entrypoint: string;
  runtime_env: { env_vars: Record<string, string> };
};

/** The cluster could not be reached, or said no. */
export class RayError extends Error {
  override name = "RayError";
}

export class RayApi {
  readonly #address: string;
  readonly #token: string | undefined;

  /** `address`: of the dashboard, such as http://head:8265. `token`: where the cluster asks for one. */
  constructor(address: string, token?: string) {
    this.#address = address;
    this.#token = token;
  }

  /** Submitting the same id again finds the first. */
  async submit(request: RayJobRequest): Promise<void> {
    if (await this.find(request.submission_id)) return;
    await this.#ask("POST", "", request);
  }

  async find(id: string): Promise<RayJob | undefined> {
    const found = await this.#ask("GET", id);
    return found === undefined ? undefined : jobSchema.parse(found);
  }

  /** All that the driver has printed so far. */
  async logs(id: string): Promise<string> {
    return logsSchema.parse((await this.#ask("GET", `${id}/logs`)) ?? { logs: "" }).logs;
  }

  async stop(id: string): Promise<void> {
    await this.#ask("POST", `${id}/stop`, {});
  }

  /** Undefined where there is no such job. Waits out a head that restarts; throws RayError. */
  async #ask(method: "GET" | "POST", path: string, body?: object): Promise<unknown> {
    for (let attempt = 1; ; attempt++) {
      const outcome = await this.#try(method, path, body);
      if (outcome.kind === "answer") return outcome.json;
      if (!outcome.isWorthAnotherTry || attempt === TRIES) {
        throw new RayError(`Ray at ${this.#address}: ${outcome.message}`);
      }
      await sleep(FIRST_WAIT_MS * 2 ** (attempt - 1));
    }
  }

  async #try(
    method: string,
    path: string,
    body: object | undefined,
  ): Promise<
    { kind: "answer"; json: unknown } | { kind: "problem"; message: string; isWorthAnotherTry: boolean }
  > {
    try {
      const { status, text } = await this.#exchange(method, path, body);
      if (status >= 200 && status < 300) return { kind: "answer", json: JSON.parse(text) };
      if (status === 404) return { kind: "answer", json: undefined };
      const message = `answered ${status}: ${text.slice(0, 500)}`;
      return { kind: "problem", message, isWorthAnotherTry: status >= 500 };
    } catch (error) {
      const message = error instanceof Error ? `${error.message} ${error.cause ?? ""}`.trim() : String(error);
      return { kind: "problem", message, isWorthAnotherTry: true };
    }
  }

  /** Not by `fetch`: its headers are a browser's, to which Ray gives no job. */
  #exchange(
    method: string,
    path: string,
    body: object | undefined,
  ): Promise<{ status: number; text: string }> {
    const url = new URL(`/api/jobs/${path}`, this.#address);
    const headers = {
      "content-type": "application/json",
      ...(this.#token && { authorization: `Bearer ${this.#token}` }),
    };
    return new Promise((resolve, reject) => {
      const options = { method, headers, timeout: TIMEOUT_MS };
      const request = (url.protocol === "https:" ? httpsRequest : httpRequest)(
        url.href,
        options,
        (response) => {
          const chunks: Buffer[] = [];
          response.on("data", (chunk: Buffer) => chunks.push(chunk));
          response.on("end", () =>
            resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString("utf8") }),
          );
          response.on("error", reject);
        },
      );
      request.on("timeout", () => request.destroy(new Error(`no answer within ${TIMEOUT_MS / 1000} s`)));
      request.on("error", reject);
      request.end(body && JSON.stringify(body));
    });
  }
}
