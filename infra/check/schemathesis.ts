/** Good and bad requests, made by schemathesis from the OpenAPI document, against a running service. */
import { execFile } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { ROOT } from "../start/paths.ts";
import type { System } from "../start/system.ts";
import { ensureClientsPython } from "./clients-python.ts";

const CHECKS = [
  ...["not_a_server_error", "status_code_conformance", "content_type_conformance"],
  ...["response_schema_conformance", "negative_data_rejection", "ignored_auth"],
];

export type SchemaReport = {
  /** Requests that were made. */
  requests: number;
  /** Whether every answer was as the document says, and none a 5xx. */
  passed: boolean;
  /** What schemathesis says. */
  output: string;
};

/** `examples`: for each route; the same `seed` makes the same requests. Throws StartError without a fitting Python. */
export async function runSchemathesis(
  { address, key }: Pick<System, "address" | "key">,
  { examples, seed }: { examples: number; seed: number },
): Promise<SchemaReport> {
  const python = await ensureClientsPython("clients");
  const args = [
    ...["-c", "from schemathesis.cli import schemathesis; schemathesis()", "run"],
    ...[`${address}/openapi.json`, "-H", `Authorization: Bearer ${key}`],
    ...["--checks", CHECKS.join(","), "--phases", "coverage,fuzzing"],
    ...["--max-examples", String(examples), "--seed", String(seed), "--request-timeout", "60"],
    ...["--workers", "1", "--no-color", "--generation-database", "none"],
  ];
  const env = { ...process.env, SCHEMATHESIS_HOOKS: join(ROOT, "test/clients/schemathesis_hooks.py") };
  const options = { env, cwd: tmpdir(), maxBuffer: 1 << 26 };
  const ended = await promisify(execFile)(python, args, options).catch((error) => error);
  const output = `${ended.stdout ?? ended}${ended.stderr ?? ""}`;
  const requests = Number(/(\d+) generated/.exec(output)?.[1] ?? 0);
  return { requests, passed: (ended.code ?? 0) === 0, output };
}
